"""Ledgers that the real ``forum-engine`` wrote (dependency group ``peer``): checked by its rules, kept as they are."""

import json
import sqlite3
from pathlib import Path
from typing import cast

import pytest

from forum_mcp.engine.importing import import_ledger
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.redaction import redact_commit
from forum_mcp.engine.scrubbing import Scrubber
from forum_mcp.errors import LedgerMissing, LedgerUnreadable, RequestRefused
from forum_mcp.ledger.forum_engine import check
from forum_mcp.stores.forum_engine import open_foreign
from tests.bench.peer import missing, open_peer
from tests.cli.commands import forum

pytestmark = pytest.mark.skipif(missing(), reason="forum-engine is in the group peer")

PAYLOADS: tuple[object, ...] = (
    {"request": "build it"},
    {"text": 'é 漢 😀 "quoted" \\ \x00 \x1f', "n": 1.5, "big": 10**30, "none": None, "list": [1, {"b": 1, "a": 2}]},
    "a text",
    [],
    {"request": "build it"},
    3,
)


def written(store: str, place: Path) -> None:
    """Let the peer write a ledger and let go of it; its file storage has nothing to close."""
    ledger, storage = open_peer(store, place / "ledger.db" if store == "sqlite" else place)
    for number, payload in enumerate(PAYLOADS):
        ledger.append(actor="wörker", kind="task", payload=payload, causal_parent=number - 1 if number > 1 else None)
    storage.sync()
    assert ledger.verify(deep=True)
    getattr(storage, "close", lambda: None)()


@pytest.fixture(params=["file", "sqlite"])
def original(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A ledger of the peer, as a path that can be imported."""
    store = cast("str", request.param)
    place = tmp_path / "theirs"
    place.mkdir()
    written(store, place)
    return place / "ledger.db" if store == "sqlite" else place


def faults(path: Path) -> list[tuple[int | None, str]]:
    with open_foreign(path) as ledger:
        return [(fault.place, fault.what) for fault in check(ledger.entries(), ledger.payload)]


def test_what_the_peer_writes_is_clean_by_its_own_rules(original: Path) -> None:
    assert faults(original) == []


def test_every_entry_and_payload_is_kept_with_the_hashes_it_states(original: Path, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ours.db", now_us=lambda: 1_900_000_000_000_000) as ledger:
        view = import_ledger(ledger, original, by="person:me")
        assert (view.imported, view.clean, view.entries, view.absent) == (True, True, len(PAYLOADS), 0)
        assert view.first is not None
        whole = ledger.entry(view.first)
        assert whole.data["entry_hash"] == view.head
        for place, payload in enumerate(PAYLOADS):
            kept = ledger.entry(view.first + 1 + place)
            line = json.loads(ledger.body(str(kept.bodies["entry"]["commit"])).data)
            assert kept.data["entry_hash"] == line["entry_hash"]
            assert kept.data["payload_hash"] == line["payload_hash"]
            assert (line["actor"], line["seq"], kept.data["place"]) == ("wörker", place, place)
            held = json.loads(ledger.body(str(kept.bodies["payload"]["commit"])).data)
            assert (held["body"] if original.is_dir() else held) == payload
            assert kept.at == 1_900_000_000_000_000, "ours says when it was imported, the original when it was made"
            assert view.first in kept.parents
            assert (view.first + place in kept.parents) == (place > 1 or place == 0)
        assert ledger.verify().clean


def test_the_bytes_of_a_line_are_kept_exactly(tmp_path: Path) -> None:
    written("file", tmp_path / "theirs")
    lines = (tmp_path / "theirs" / "entries.jsonl").read_bytes().split(b"\n")
    with Ledger.open(tmp_path / "ours.db") as ledger:
        view = import_ledger(ledger, tmp_path / "theirs", by="person:me")
        assert view.first is not None
        for place in range(len(PAYLOADS)):
            kept = ledger.entry(view.first + 1 + place)
            assert ledger.body(str(kept.bodies["entry"]["commit"])).data == lines[place]


def test_damage_is_found_where_it_is_and_nothing_is_recorded_unless_asked(original: Path, tmp_path: Path) -> None:
    if original.is_dir():
        entries = original / "entries.jsonl"
        lines = entries.read_bytes().split(b"\n")
        lines[2] = lines[2].replace("wörker".encode(), b"worker")
        entries.write_bytes(b"\n".join(lines))
    else:
        with sqlite3.connect(original) as connection:
            connection.execute("UPDATE entries SET actor = 'worker' WHERE seq = 2")
        connection.close()
    assert faults(original) == [(2, "its bytes do not have its hash")]
    with Ledger.open(tmp_path / "ours.db") as ledger:
        size = ledger.size
        assert not import_ledger(ledger, original, by="me").imported
        assert ledger.size == size
        view = import_ledger(ledger, original, by="me", damaged=True)
        assert (view.imported, view.faults_total) == (True, 1)
        assert view.first is not None
        assert "entry 2" in str(ledger.entry(view.first).bodies["faults"]["text"])
        assert ledger.verify().clean


def test_each_kind_of_damage_has_its_words(tmp_path: Path) -> None:
    place = tmp_path / "theirs"
    written("file", place)
    entries, payloads = place / "entries.jsonl", place / "payloads.jsonl"
    lines, bodies = entries.read_bytes().split(b"\n"), payloads.read_bytes()

    def found(changed: list[bytes]) -> set[str]:
        entries.write_bytes(b"\n".join(changed))
        return {what.partition(":")[0] for _, what in faults(place)}

    assert "does not link to the entry before it" in found(lines[:2] + lines[3:])
    assert "says it is entry 3" in found([*lines[:2], lines[3], lines[2], *lines[4:]])
    assert "cannot be read" in found([*lines[:2], b"{", *lines[3:]])
    assert "cannot be read" in found([*lines[:2], b'{"seq": 2}', *lines[3:]])
    assert found(lines[:-2]) == set(), "a last line without a line feed was cut while it was written"
    entries.write_bytes(b"\n".join(lines))
    payloads.write_bytes(bodies.replace(b"build it", b"break it"))
    assert (0, "its payload does not have its hash") in faults(place)
    payloads.write_bytes(b"")
    assert faults(place) == [], "its rules permit payloads that are not there"


def test_a_separator_inside_a_text_does_not_break_a_line(tmp_path: Path) -> None:
    ledger, _ = open_peer("file", tmp_path / "theirs")
    ledger.append(actor="a", kind="task", payload={"text": "one\u2028two\x85three"})
    ledger.append(actor="a", kind="task", payload={"text": "four"})
    assert faults(tmp_path / "theirs") == []


def test_payloads_and_entries_made_to_do_harm_are_faults_and_raise_nothing(tmp_path: Path) -> None:
    place = tmp_path / "theirs"
    written("file", place)
    entries, payloads = place / "entries.jsonl", place / "payloads.jsonl"
    lines = entries.read_bytes().split(b"\n")
    named = json.loads(lines[0])["payload_hash"]
    for depth in (900, 970, 990, 1_000, 100_000):
        payloads.write_bytes(b'{"hash": "%b", "body": %b}\n' % (named.encode(), b"[" * depth + b"]" * depth))
        with Ledger.open(tmp_path / "ours.db") as ledger:
            view = import_ledger(ledger, place, by="me", dry_run=True)
        assert {fault.what for fault in view.faults} & {
            "its payload does not have its hash",
            "line 1 of the payloads cannot be read",
        }
    for line in (
        b"[" * 100_000,
        b"9" * 5_000,
        b'{"seq": 1e400}',
        b"\xff\xfe",
        b"null",
        b'{"seq": NaN, "ts": Infinity}',
    ):
        entries.write_bytes(b"\n".join([line, *lines[1:]]))
        assert any(place == 0 and "cannot be read" in what for place, what in faults(place))
    row = json.loads(lines[0])
    for wrong in ({"ts": 10**400}, {"ts": True}, {"seq": "0"}, {"actor": None}, {"causal_parent": 1.5}):
        entries.write_bytes(json.dumps({**row, **wrong}).encode() + b"\n")
        assert [what.partition(":")[0] for _, what in faults(place)] == ["cannot be read"]
    entries.write_bytes(json.dumps({**row, "actor": "\ud800"}).encode() + b"\n")
    with Ledger.open(tmp_path / "ours.db") as ledger:
        assert import_ledger(ledger, place, by="me", damaged=True).imported
        assert ledger.verify().clean


def test_the_command_imports_and_says_what_it_found(original: Path, tmp_path: Path) -> None:
    ours = str(tmp_path / "ours.db")
    assert forum("ledger", "import", str(original), "--dry-run", "--ledger", ours).code == 3
    Ledger.open(ours).close()
    view = forum("ledger", "import", str(original), "--dry-run", "--json", "--ledger", ours).json()
    assert (view["imported"], view["entries"]) == (False, len(PAYLOADS))
    done = forum("ledger", "import", str(original), "--ledger", ours)
    assert (done.code, "clean by its own rules" in done.out) == (0, True)
    assert forum("ledger", "verify", "--ledger", ours).code == 0
    again = forum("ledger", "import", str(original), "--ledger", ours)
    assert (again.code, "nothing is imported" in again.err) == (2, True)


def test_what_is_no_such_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (a)").connection.close()
    with Ledger.open(tmp_path / "ours.db") as ledger:
        for name in ("empty", "text", "other.db", "ours.db"):
            with pytest.raises(LedgerUnreadable):
                import_ledger(ledger, tmp_path / name, by="me")
        with pytest.raises(LedgerMissing):
            import_ledger(ledger, tmp_path / "none", by="me")


def test_the_same_ledger_is_imported_once_and_a_longer_one_again(original: Path, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ours.db") as ledger:
        first = import_ledger(ledger, original, by="me")
        size = ledger.size
        for dry_run in (True, False):
            with pytest.raises(RequestRefused, match=f"entry {first.first} says that this ledger was"):
                import_ledger(ledger, original, by="me", dry_run=dry_run)
        assert ledger.size == size
        longer, storage = open_peer("sqlite" if original.is_file() else "file", original)
        longer.append(actor="w", kind="task", payload={"one": "more"}, causal_parent=None)
        storage.sync()
        getattr(storage, "close", lambda: None)()
        again = import_ledger(ledger, original, by="me")
        assert (again.imported, again.entries) == (True, first.entries + 1)
        assert ledger.verify().clean


def test_secrets_are_kept_as_they_were_written_and_told(original: Path, tmp_path: Path) -> None:
    token = "ghp_" + "a1B2" * 9
    peer, storage = open_peer("sqlite" if original.is_file() else "file", original)
    peer.append(actor="w", kind="task", payload={"text": f"use {token} and hunter2hunter2"}, causal_parent=None)
    storage.sync()
    getattr(storage, "close", lambda: None)()
    assert faults(original) == []
    with Ledger.open(tmp_path / "ours.db") as ledger:
        view = import_ledger(ledger, original, by="me", scrubber=Scrubber({"env:X_TOKEN": "hunter2hunter2"}))
        assert view.secrets == {"env:X_TOKEN": 1, "github-token": 1}
        assert view.secrets_at == [len(PAYLOADS)]
        assert view.last is not None
        commit = str(ledger.entry(view.last).bodies["payload"]["commit"])
        assert token.encode() in ledger.body(commit).data, "its hash is over these bytes"
        redact_commit(ledger, commit, "a token", yes=True)
        assert ledger.verify().clean
    done = forum("ledger", "import", str(original), "--ledger", str(tmp_path / "other.db"))
    assert done.code == 0
    assert "1 github-token; in its entries 6" in done.err
