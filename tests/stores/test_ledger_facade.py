"""``Ledger``: the operations on an open ledger, and what its key can and cannot do."""

import json
import stat
from itertools import pairwise
from pathlib import Path

import pytest

from forum_mcp.engine.entry_summary import SUMMARY_MAX_CHARS, summary
from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.errors import EntryRefused, LedgerReadOnly, NoteError, NotFound, RequestRefused
from forum_mcp.ledger import merkle, note
from forum_mcp.ledger.checkpoint import parse
from forum_mcp.ledger.entry import LedgerId, NewBody, leaf_hash
from forum_mcp.ledger.export import ExportSource
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.ledger.verify import verify
from forum_mcp.stores.keys import KeyFile, new_signer, signer_of_text, signer_text

RUN = "9d" * 16


@pytest.fixture(params=["file", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    return Ledger.open(":memory:" if request.param == "memory" else tmp_path / "ledger.db")


def fill(ledger: Ledger, count: int) -> None:
    first = ledger.append("run.started", actor="person:test", data={"mode": "submit"}, run=RUN).seq
    for n in range(count):
        ledger.append(
            "x.noted", actor="test", data={"n": n}, bodies={"text": f"word {n}"}, parents=[first + n], run=RUN
        )


def test_a_checkpoint_is_signed_over_the_head_and_appends_nothing(ledger: Ledger) -> None:
    with ledger:
        for _ in range(5):
            ledger.append("x.noted", actor="test")
            signed = note.verify(ledger.checkpoint(), ledger.vkey)
            head = parse(signed.text)
            leaves = [leaf_hash(raw) for _, raw in ledger.store.raw_entries()]
            assert (head.size, head.root) == (ledger.size, merkle.root(leaves))
            assert head.origin == f"forum-mcp.local/{ledger.ledger_id}"
        assert ledger.size == 6


def test_a_recorded_checkpoint_covers_the_entries_before_it(ledger: Ledger) -> None:
    with ledger:
        fill(ledger, 3)
        entry = ledger.record_checkpoint([2])
        assert (entry.seq, entry.kind, entry.data, entry.parents) == (5, "checkpoint.signed", {"size": 5}, [2])
        text = ledger.body(str(entry.bodies["note"]["commit"])).data.decode()
        assert parse(note.verify(text, ledger.vkey).text).root == ledger.root(5)
        view = ledger.verify()
        assert view.clean
        assert view.counts["checkpoints"] == 1


def test_every_kept_checkpoint_is_extended_by_the_ledger_of_later(ledger: Ledger) -> None:
    with ledger:
        kept = [ledger.checkpoint()]
        for _ in range(6):
            fill(ledger, 2)
            kept.append(ledger.checkpoint())
        assert ledger.verify(3, kept).clean
        heads = [parse(note.verify(text, ledger.vkey).text) for text in kept]
        for old, new in pairwise(heads):
            proof = ledger.consistency_proof(old.size, new.size)
            assert merkle.verify_consistency(old.size, new.size, proof, old.root, new.root)


def test_proofs_outside_the_tree_are_refused(ledger: Ledger) -> None:
    with ledger:
        with pytest.raises(NotFound):
            ledger.inclusion_proof(1)
        with pytest.raises(NotFound):
            ledger.root(2)
        with pytest.raises(RequestRefused):
            ledger.consistency_proof(0)
        assert ledger.inclusion_proof(0) == []


def test_an_export_verifies_by_itself_and_holds_every_entry_byte_for_byte(ledger: Ledger) -> None:
    with ledger:
        fill(ledger, 4)
        ledger.append(
            "x.noted", actor="test", bodies={"raw": b"\x00\xff", "page": NewBody("text/html", b"<p>\xc2\x85")}
        )
        lines = list(ledger.export())
        assert all(line.endswith(b"\n") for line in lines)
        report = verify(ExportSource(b"".join(lines)), vkeys=[ledger.vkey], checkpoints=[ledger.checkpoint()])
        assert report.clean, report.findings
        entries = [json.loads(line)["bytes"].encode() for line in lines if line.startswith(b'{"t":"entry"')]
        assert entries == [raw for _, raw in ledger.store.raw_entries()]
        bare = list(ledger.export(without_bodies=True))
        assert not any(line.startswith(b'{"t":"body"') for line in bare)


def test_text_that_utf_8_cannot_carry_is_refused(ledger: Ledger) -> None:
    with ledger, pytest.raises(EntryRefused, match="surrogate"):
        ledger.append("x.noted", actor="test", bodies={"b": "\ud800"})


def test_show_pages_from_the_newest_to_the_oldest(ledger: Ledger) -> None:
    with ledger:
        fill(ledger, 30)
        seen: list[int] = []
        before: int | None = None
        while True:
            view = ledger.show(limit=7, before=before)
            assert [entry.seq for entry in view.entries] == sorted(entry.seq for entry in view.entries)
            seen = [entry.seq for entry in view.entries] + seen
            before = view.before
            if before is None:
                break
        assert seen == list(range(32))
        assert [entry.seq for entry in ledger.show(run_id=RUN, limit=2).entries] == [30, 31]
        assert [entry.seq for entry in ledger.show(kind="run.started").entries] == [1]
        assert ledger.show(kind="no.such").entries == []
        assert ledger.show(run_id="nobody").entries == []
        assert ledger.show(seq=4, bodies=True).entries[0].bodies["text"]["text"] == "word 2"
        for limit, before in ((0, None), (10**9, None), (20, -1)):
            with pytest.raises(RequestRefused):
                ledger.show(limit=limit, before=before)


def test_a_trace_reaches_the_request_and_says_when_it_is_cut(ledger: Ledger) -> None:
    with ledger:
        fill(ledger, 10)
        whole = ledger.trace(11)
        assert [line.seq for line in whole.lines] == list(range(11, 0, -1))
        assert [line.depth for line in whole.lines] == list(range(11))
        assert (whole.reaches_request, whole.more) == (True, False)
        part = ledger.trace(11, limit=3)
        assert (len(part.lines), part.reaches_request, part.more) == (3, False, True)
        alone = ledger.trace(0)
        assert (len(alone.lines), alone.reaches_request, alone.more) == (1, False, False)
        with pytest.raises(NotFound):
            ledger.trace(99)


def test_what_is_not_there_is_not_found(ledger: Ledger) -> None:
    with ledger:
        for seq in (-1, 1):
            with pytest.raises(NotFound):
                ledger.entry(seq)
            with pytest.raises(NotFound):
                ledger.raw(seq)
            with pytest.raises(NotFound):
                ledger.show(seq=seq)
        with pytest.raises(NotFound):
            ledger.body("0" * 64)
        for level in (0, 5):
            with pytest.raises(RequestRefused):
                ledger.verify(level)


def test_without_its_key_a_ledger_is_verified_and_appended_to_but_not_signed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        recorded = ledger.body(str(ledger.record_checkpoint().bodies["note"]["commit"])).data.decode()
        (key,) = (tmp_path / "keys").glob("*.key")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        key.unlink()
    with Ledger.open(path) as ledger:
        for sign in (ledger.checkpoint, ledger.record_checkpoint):
            with pytest.raises(LedgerReadOnly, match="key file"):
                sign()
        ledger.append("x.noted", actor="test")
        assert ledger.newest_checkpoint() == recorded
        assert ledger.verify().clean
        assert ledger.size == 3
    assert verify_path(path).clean
    assert list((tmp_path / "keys").glob("*.key")) == [], "no new key is made for an old ledger"


def test_a_key_that_is_not_the_records_own_signs_nothing_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        (key,) = (tmp_path / "keys").glob("*.key")
        key.write_text(signer_text(new_signer(ledger.ledger_id, lambda n: b"k" * n)))
    with Ledger.open(path) as ledger:
        with pytest.raises(NoteError, match="another key"):
            ledger.checkpoint()
        assert [finding.code for finding in ledger.verify().findings] == ["vkey"]
        key.write_text("PRIVATE+KEY+damaged\n")
    with Ledger.open(path) as ledger, pytest.raises(NoteError) as refused:
        ledger.checkpoint()
    assert "damaged" not in str(refused.value), "what stands in a key file is never repeated"


def test_a_signer_text_comes_back_and_a_changed_one_is_refused() -> None:
    signer = new_signer(LedgerId("a" * 32), lambda n: bytes(range(n)))
    text = signer_text(signer)
    assert signer_of_text(text) == signer
    for changed in (text[:-3], text.replace("AQAB", "AgAB"), text.replace("aaaa", "baaa", 1), "", "x" + text):
        with pytest.raises(NoteError):
            signer_of_text(changed)


def test_an_existing_key_is_never_replaced(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys")
    signer = keys.create(LedgerId("b" * 32), lambda n: b"1" * n)
    with pytest.raises(FileExistsError):
        keys.create(LedgerId("b" * 32), lambda n: b"2" * n)
    assert keys.read(LedgerId("b" * 32)) == signer


def test_every_kind_has_a_summary_that_fits_a_line_whatever_its_data() -> None:
    for kind in (*KINDS, "unknown.kind"):
        for data in ({}, {"task": "a\n\x1b[2J" * 100, "reason": ["x"] * 99, "error": None}):
            line = summary(kind, data)
            assert len(line) <= SUMMARY_MAX_CHARS
            assert line.isprintable()
        if kind in KINDS:
            assert summary(kind, {}) != "", kind
