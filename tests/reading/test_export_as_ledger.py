"""A handed-over export is read wherever a ledger is, and believed no further than its chain holds."""

import json
from pathlib import Path
from typing import cast

import anyio
import pytest
from mcp import Client

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.verifying import verify_path
from forum_mcp.errors import LedgerReadOnly, LedgerUnreadable, NotFound
from forum_mcp.ledger import merkle
from forum_mcp.ledger.entry import Draft, RunId
from forum_mcp.server.app import build_server
from forum_mcp.stores.export_file import ExportStore
from forum_mcp.stores.recognition import is_export
from tests.cli.commands import forum
from tests.reading.recorded import entry_lines, exported


@pytest.fixture
def export(ledger: Path) -> Path:
    return exported(ledger)


def test_an_export_answers_every_reading_operation_as_its_ledger_does(ledger: Path, export: Path) -> None:
    with Ledger.open(ledger, read_only=True) as ours, Ledger.open(export) as theirs:
        assert theirs.ledger_id == ours.ledger_id
        assert theirs.show(limit=1000, bodies=True) == ours.show(limit=1000, bodies=True)
        assert theirs.vkey == ours.vkey
        assert theirs.root() == ours.root()
        for row in ours.store.runs(10):
            assert theirs.replay(run_id=row.run) == ours.replay(run_id=row.run)
            assert theirs.store.run_entries(row.run, 3) == ours.store.run_entries(row.run, 3)
            assert theirs.store.newest(row.run) == ours.store.newest(row.run)
        assert theirs.store.runs(10) == ours.store.runs(10)
        assert theirs.store.runs(1, before=5) == ours.store.runs(1, before=5)
        for seq in range(ours.size):
            assert theirs.raw(seq) == ours.raw(seq)
            assert theirs.trace(seq) == ours.trace(seq)
            assert theirs.inclusion_proof(seq) == ours.inclusion_proof(seq)
        assert list(theirs.store.raw_nodes()) == list(ours.store.raw_nodes())
        assert list(theirs.store.raw_bodies()) == list(ours.store.raw_bodies())
        assert list(theirs.store.raw_entries(2, 7)) == list(ours.store.raw_entries(2, 7))
        assert theirs.store.newest_of_kind("checkpoint.signed") == ours.store.newest_of_kind("checkpoint.signed")
        assert theirs.store.newest(RunId("\ud800")) is None
        assert theirs.verify(level=4).clean


def test_an_export_of_an_export_is_the_same_bytes(export: Path) -> None:
    with Ledger.open(export) as record:
        assert b"".join(record.export()) == export.read_bytes()


def test_nothing_can_be_appended_to_an_export(export: Path) -> None:
    with Ledger.open(export) as record:
        assert record.store.read_only
        with pytest.raises(LedgerReadOnly):
            record.append("note.made", actor="person:me")
        with pytest.raises(LedgerReadOnly):
            record.store.transact_all([lambda transaction: transaction.append(Draft("a.b", "me"), run=None, at_us=1)])


def test_a_copy_shows_the_note_it_carries_and_signs_none_of_its_own(ledger: Path, export: Path) -> None:
    with Ledger.open(ledger) as ours, Ledger.open(export) as theirs:
        note = ours.checkpoint()
        assert theirs.newest_checkpoint() == theirs.checkpoint() == note
        ours.append("note.made", actor="person:me")
        longer = exported(ledger)
    lines = longer.read_bytes().splitlines(keepends=True)
    longer.write_bytes(b"".join([*lines[:-1], json.dumps({"t": "checkpoint", "note": note}).encode(), b"\n"]))
    with Ledger.open(longer) as theirs, pytest.raises(LedgerReadOnly):
        theirs.checkpoint()


def test_an_export_without_bodies_shows_that_they_are_absent(ledger: Path) -> None:
    with Ledger.open(exported(ledger, without_bodies=True)) as record:
        shown = record.show(limit=1000, bodies=True)
        assert all(body["absent"] for entry in shown.entries for body in entry.bodies.values())
        assert record.verify().clean


def test_a_cut_last_line_loads_up_to_it_and_is_a_finding(export: Path) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    last = list(entry_lines(lines))[7]
    export.write_bytes(b"".join([*lines[:last], lines[last][:-9]]))
    with Ledger.open(export) as record:
        assert record.size == 7
        assert [entry.seq for entry in record.show().entries] == list(range(7))
        assert record.missing_rest is not None
        assert f"line {last + 1} " in record.missing_rest
        codes = {finding.code for finding in record.verify().findings}
    assert {"unreadable", "size"} <= codes
    shown = forum("ledger", "show", "--ledger", str(export))
    assert shown.code == 0
    assert "only the first 7 entries" in shown.err


def test_reordered_lines_say_where(export: Path) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    fourth, fifth = list(entry_lines(lines))[4:6]
    lines[fourth], lines[fifth] = lines[fifth], lines[fourth]
    export.write_bytes(b"".join(lines))
    with Ledger.open(export) as record:
        assert record.size == 4
        assert record.missing_rest == f"line {fourth + 1}: entry 5 stands where entry 4 is expected"
        found = [(finding.code, finding.seq) for finding in record.verify().findings]
    assert ("seq", 4) in found


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_body_line_moved_among_the_entries_is_told_with_its_line(export: Path, place: int) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    body = next(at for at, line in enumerate(lines) if line.startswith(b'{"t":"body"'))
    lines.insert(2 + place, lines.pop(body))
    export.write_bytes(b"".join(lines))
    told = [finding.found for finding in verify_path(export).findings]
    assert any(f"line {4 + place}" in text for text in told)
    with Ledger.open(export) as record:
        assert record.verify().findings


def test_an_entry_whose_bytes_were_changed_ends_what_is_shown(export: Path) -> None:
    text = export.read_bytes()
    changed = text.replace(b'\\"kind\\":\\"plan.accepted\\"', b'\\"kind\\":\\"plan.rejected\\"', 1)
    assert changed != text
    export.write_bytes(changed)
    with Ledger.open(export) as record:
        assert "does not follow" in str(record.missing_rest)
        assert record.show(limit=1).entries[0].kind == "plan.rejected"
        assert record.verify().findings


def test_a_body_that_does_not_match_its_commitment_is_not_shown(export: Path) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    place = next(at for at, line in enumerate(lines) if line.startswith(b'{"t":"body"'))
    line = cast("dict[str, str]", json.loads(lines[place]))
    lines[place] = json.dumps({**line, "bytes": "Zm9yZ2Vk"}).encode() + b"\n"
    export.write_bytes(b"".join(lines))
    with Ledger.open(export) as record:
        with pytest.raises(NotFound):
            record.body(line["commit"])
        assert "body-mismatch" in {finding.code for finding in record.verify().findings}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", "not the head of an export"),
        (b'{"t":"entry","bytes":"{}"}\n', "not the head of an export"),
        (b"{" * 100_000, "not the head of an export"),
        (b'{"t":"head","format":"forum-export/v2","ledger":"a","size":1,"vkey":null}\n', "forum-export/v2"),
        (b'{"t":"head","format":"forum-receipt/v1","ledger":"a","vkey":null}\n', "receipt"),
        (b'{"t":"head","format":"forum-export/v1","ledger":"a","size":0,"vkey":null}\n', "no entry"),
        (b'{"t":"head","format":"forum-export/v1","ledger":"a","size":1,"vkey":null}\n\x00\n', "line 2"),
    ],
)
def test_json_that_is_no_export_is_refused_with_the_reason(tmp_path: Path, text: bytes, words: str) -> None:
    path = tmp_path / "some.jsonl"
    path.write_bytes(text)
    with pytest.raises(LedgerUnreadable, match=words):
        ExportStore.open(path)
    assert forum("ledger", "show", "--ledger", str(path)).code == 3


def test_what_is_no_json_is_no_export(tmp_path: Path, ledger: Path) -> None:
    (tmp_path / "empty").touch()
    assert not any(is_export(path) for path in (ledger, tmp_path, tmp_path / "empty", tmp_path / "none"))


def test_a_file_cut_while_it_is_open_is_refused_and_never_shown_as_another_entry(export: Path) -> None:
    with Ledger.open(export) as record:
        export.write_bytes(b"")
        with pytest.raises(LedgerUnreadable, match="changed while it was open"):
            record.raw(3)


def test_closing_twice_is_harmless(export: Path) -> None:
    store = ExportStore.open(export)
    store.close()
    store.close()


def test_every_prefix_of_an_export_opens_or_is_refused_and_verification_never_raises(export: Path) -> None:
    whole = export.read_bytes()
    step = max(1, len(whole) // 60)
    for length in range(1, len(whole), step):
        export.write_bytes(whole[:length])
        try:
            with Ledger.open(export) as record:
                assert merkle.root_from_nodes(record.size, record.store.node) == record.root()
                assert record.verify().findings
        except LedgerUnreadable:
            assert forum("ledger", "verify", "--ledger", str(export)).code in (1, 3)


async def test_the_resources_of_a_server_serve_an_export(export: Path) -> None:
    with Ledger.open(export) as record:
        raw, run_id, note = record.raw(1).decode(), record.store.runs(1)[0].run, record.newest_checkpoint()
        commit = next(iter(record.entry(1).bodies.values()))["commit"]
    server = build_server(lambda: Orchestrator.open(Settings(ledger=str(export))), read_only=True)
    with anyio.fail_after(30):
        async with Client(server) as client:

            async def text(uri: str) -> str:
                (content,) = (await client.read_resource(uri)).contents
                return cast("str", getattr(content, "text", ""))

            assert await text("forum://ledger/entries/1") == raw
            assert await text("forum://ledger/checkpoint") == note
            assert json.loads(await text(f"forum://runs/{run_id}"))["state"] == "succeeded"
            assert await text(f"forum://ledger/bodies/{commit}")
            assert (await client.list_resources()).resources
            verified = await client.call_tool("ledger_verify", {"level": 4})
            assert verified.structured_content is not None
            assert verified.structured_content["clean"] is True
