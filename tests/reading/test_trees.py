"""Causes and effects: each entry once, whatever the shape, and nothing that the record does not say."""

from pathlib import Path

import pytest

from forum_mcp.engine.descent import descent
from forum_mcp.engine.ledger import Ledger
from forum_mcp.errors import NotFound, RequestRefused
from tests.cli.commands import forum


def test_what_a_request_led_to_is_all_of_its_run(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as record:
        run = record.store.runs(1)[0]
        view = descent(record.store, run.first_seq)
        of_run = [stored.entry.seq for stored in record.store.run_entries(run.run)]
        assert {line.seq for line in view.lines} >= set(of_run)
        assert [line.seq for line in view.lines] == sorted(line.seq for line in view.lines)
        assert not view.more


def test_up_and_down_are_the_same_relation(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as record:
        up = {(line.seq, seq) for seq in range(record.size) for line in record.trace(seq).lines}
        down = {(seq, line.seq) for seq in range(record.size) for line in descent(record.store, seq).lines}
    assert up == down


def test_a_descent_is_cut_at_its_limit_and_says_so(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as record:
        assert descent(record.store, 1, limit=3).more
        assert len(descent(record.store, 1, limit=3).lines) == 3
        with pytest.raises(NotFound):
            descent(record.store, 10_000)
        with pytest.raises(RequestRefused):
            descent(record.store, 1, limit=0)
    done = forum("ledger", "trace", "1", "--down", "--limit", "3", "--ledger", str(ledger))
    assert len(done.out.splitlines()) <= 4
    assert "there is more" in done.err


def test_the_tree_shows_each_entry_in_full_once(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with Ledger.open(path) as record:
        for parents in ((), (1,), (1,), (2, 3), (4,), (4, 5)):
            record.append("note.made", actor="me", data={"by": len(parents)}, parents=parents)
    up = forum("ledger", "trace", "6", "--ledger", str(path)).out.splitlines()
    assert up == [
        "     6 note.made  by 2",
        "     5 ├─ note.made  by 1",
        "     4 │  └─ note.made  by 2",
        "     3 │     ├─ note.made  by 1",
        "     1 │     │  └─ note.made  by 0",
        "     2 │     └─ note.made  by 1",
        "     1 │        └─ note.made  (above)",
        "     4 └─ note.made  (above)",
    ]
    down = forum("ledger", "trace", "1", "--down", "--ledger", str(path)).out.splitlines()
    assert down == [
        "     1 note.made  by 0",
        "     2 ├─ note.made  by 1",
        "     4 │  └─ note.made  by 2",
        "     5 │     ├─ note.made  by 1",
        "     6 │     │  └─ note.made  by 2",
        "     6 │     └─ note.made  (above)",
        "     3 └─ note.made  by 1",
        "     4    └─ note.made  (above)",
    ]


def test_a_chain_of_a_thousand_causes_is_printed_without_running_out_of_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with Ledger.open(path) as record:
        newest = 0
        for _ in range(1_099):
            newest = record.append("note.made", actor="me", parents=(newest,)).seq
    done = forum("ledger", "trace", str(newest), "--limit", "2000", "--ledger", str(path))
    lines = done.out.splitlines()
    assert len(lines) == 1_100
    assert max(map(len, lines)) < 150
    cut = forum("ledger", "trace", str(newest), "--limit", "5", "--ledger", str(path))
    assert "(not shown)" in cut.out
