"""Finding entries: by run, kind, actor, time and text, page by page and as they come."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forum_mcp.cli.reading import follow
from forum_mcp.engine.filtering import make_filter
from forum_mcp.engine.ledger import Ledger
from forum_mcp.errors import RequestRefused
from tests.cli.commands import forum
from tests.reading.recorded import exported, record


def kinds(ledger: Path, **wanted: str) -> set[str]:
    with Ledger.open(ledger, read_only=True) as record:
        return {entry.kind for entry in record.show(limit=1000, **wanted).entries}  # type: ignore[arg-type]


def test_a_kind_is_itself_or_the_first_words_of_several(ledger: Path) -> None:
    assert kinds(ledger, kind="call.finished") == {"call.finished"}
    for spelled in ("call", "call.", "call.*"):
        assert kinds(ledger, kind=spelled) == {"call.started", "call.finished"}
    assert kinds(ledger, kind="cal") == set()


def test_an_actor_is_itself_or_the_first_word_of_several(ledger: Path) -> None:
    assert kinds(ledger, actor="executor") == kinds(ledger, actor="executor:script") == {"call.finished"}
    assert kinds(ledger, actor="exec") == set()
    assert kinds(ledger, actor="person") == {"run.started"}


def test_text_is_found_in_facts_and_in_bodies_whatever_its_case(ledger: Path) -> None:
    assert kinds(ledger, text="THE SCHEMA") >= {"call.finished", "task.finished"}
    assert kinds(ledger, text="snowball") == {"run.started"}
    assert kinds(ledger, text="nobody wrote this") == set()


def test_text_that_json_would_escape_is_found_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "hostile.db"
    with Ledger.open(path) as record:
        record.append("note.made", actor="person:me", data={"words": 'say "hi" \\ \u202e straße'})
        for text in ('"hi"', "\\", "\u202e", "STRASSE"):
            assert [entry.kind for entry in record.show(text=text).entries] == ["note.made"]


def test_times_bound_the_wall_clock_and_a_date_means_all_of_its_day(tmp_path: Path) -> None:
    moment = datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC)
    first = datetime(2026, 2, 27, tzinfo=UTC)
    clock = iter([first, moment, moment + timedelta(microseconds=1), moment + timedelta(days=9)])
    with Ledger.open(tmp_path / "l.db", now_us=lambda: round(next(clock).timestamp() * 1_000_000)) as record:
        for number in range(3):
            record.append("note.made", actor="me", data={"n": number})

        def found(**bounds: str) -> list[int]:
            return [entry.seq for entry in record.show(**bounds).entries]  # type: ignore[arg-type]

        assert found(since="2026-03-01", until="2026-03-01") == [1]
        assert found(since="2026-03-02T00:00:00Z") == [2, 3]
        assert found(since="2026-03-02T01:00:00+01:00") == [2, 3]
        assert found(until="2026-02-27T00:00:00") == [0]
        for wrong in ("", "yesterday", "2026-13-01", "9" * 400):
            with pytest.raises(RequestRefused, match="is not a time"):
                record.show(since=wrong)
        assert found(since="0001-01-01T00:00:00+23:59") == found(until="9999-12-31") == [0, 1, 2, 3]


def test_pages_under_a_filter_join_without_gap_or_repetition(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as record:
        whole = [entry.seq for entry in record.show(kind="task", limit=1000).entries]
        pages: list[int] = []
        before: int | None = None
        while True:
            view = record.show(kind="task", limit=4, before=before)
            pages = [entry.seq for entry in view.entries] + pages
            before = view.before
            if before is None:
                break
    assert pages == whole
    assert len(whole) > 8


def test_the_command_takes_every_filter_and_prints_bodies(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as record:
        run = record.store.runs(1)[0].run
    done = forum(
        "ledger", "show", "--ledger", str(ledger), "--run", run, "--kind", "task", "--actor", "executor",
        "--from", "2020-01-01", "--to", "2200-01-01", "--text", "schema", "--bodies",
    )  # fmt: skip
    assert done.code == 0
    with Ledger.open(ledger, read_only=True) as record:
        expected = record.show(
            run_id=run, kind="task", actor="executor", since="2020-01-01", until="2200-01-01", text="schema"
        ).entries
    assert len([line for line in done.out.splitlines() if "task." in line]) == len(expected)
    assert forum("ledger", "show", "--ledger", str(ledger), "--from", "soon").code == 2
    assert forum("ledger", "show", "--ledger", str(ledger), "--follow", "--before", "3").code == 2


def test_bodies_of_a_hostile_model_reach_the_terminal_written_out(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    with Ledger.open(path) as record:
        record.append("note.made", actor="a\u202eb", bodies={"words": "\x1b[2J\x07\u202e\u2066evil\r"})
    for command in (("show", "--bodies"), ("trace", "1"), ("trace", "0", "--down"), ("summary",)):
        shown = forum("ledger", *command, "--ledger", str(path)).out
        assert not set("\x1b\x07\r\u202e\u2066") & set(shown)
    assert "\\x1b[2J\\x07\\u202e\\u2066evil" in forum("ledger", "show", "--bodies", "--ledger", str(path)).out


def test_following_yields_what_others_append_and_nothing_twice(ledger: Path) -> None:
    with Ledger.open(ledger) as writer, Ledger.open(ledger, read_only=True) as reader:
        told: list[str] = []
        rounds = [["note.one"], [], ["other.thing", "note.two"]]

        def wait() -> None:
            if not rounds:
                raise KeyboardInterrupt
            for kind in rounds.pop(0):
                writer.append(kind, actor="me")

        following = follow(reader, make_filter(kind="note"), reader.size, bodies=False, wait=wait)
        with pytest.raises(KeyboardInterrupt):
            told.extend(entry.kind for entry in following)
    assert told == ["note.one", "note.two"]


def test_following_a_run_ends_with_it(ledger: Path) -> None:
    (run,) = record(ledger)
    with Ledger.open(ledger, read_only=True) as reader:
        first = reader.store.run_entries(reader.store.runs(1)[0].run)[0].entry.seq

        def wait() -> None:
            raise AssertionError("the run is over: there is nothing to wait for")

        wanted = make_filter(run_id=run)
        seen = [entry.kind for entry in follow(reader, wanted, first, bodies=False, wait=wait)]
        assert (seen[0], seen[-1]) == ("run.started", "run.finished")
        assert list(follow(reader, wanted, reader.size, bodies=False, wait=wait)) == []
    done = forum("ledger", "show", "--follow", "--run", run, "--ledger", str(ledger), "--limit", "1", "--json")
    assert done.code == 0
    assert done.json()["kind"] == "run.finished"


def test_an_export_is_followed_to_its_end(ledger: Path) -> None:
    done = forum("ledger", "show", "--follow", "--limit", "3", "--ledger", str(exported(ledger)))
    assert (done.code, len(done.out.splitlines())) == (0, 3)
