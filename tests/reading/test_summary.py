"""Figures of runs and ledgers: sums over entries, never a guess, and the same from an export."""

from pathlib import Path

import pytest

from forum_mcp.engine.compare import compare
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.summary import summarize
from forum_mcp.errors import NotFound
from tests.cli.commands import forum
from tests.reading.recorded import exported, record


def test_a_run_is_counted_from_its_record(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as record:
        run = record.store.runs(1)[0].run
        view = summarize(record, run)
        raws = [stored.raw for stored in record.store.run_entries(run)]
    assert (view.state, view.entries, view.calls) == ("succeeded", len(raws), 2)
    assert (view.tokens_in, view.tokens_out, view.tokens_untold) == (200, 40, 0)
    assert (view.cost_usd, view.unpriced) == (0.0, 0)
    assert view.tasks == {"succeeded": 2}
    assert view.verdicts == {"passed": 2}
    assert view.steps == {"routed by rules": 1}
    assert [(task.id, task.state, task.calls, task.tokens) for task in view.task_list] == [
        ("schema", "succeeded", 1, 120),
        ("endpoint", "succeeded", 1, 120),
    ]
    assert [(each.model, each.calls) for each in view.models] == [("script-1", 2)]
    assert view.payload.entry_bytes == sum(map(len, raws))
    assert view.request == "Build the login"
    assert view.verified is not None
    assert view.verified.clean


def test_a_ledger_is_the_sum_of_its_runs_and_a_body_counts_once(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as record:
        runs = [summarize(record, row.run, verify=False) for row in record.store.runs(10)]
        whole = summarize(record)
        bodies = {commit: len(data or b"") for commit, _, _, data in record.store.raw_bodies()}
    assert whole.runs == {"succeeded": 2}
    assert whole.tasks == {"succeeded": 4}
    assert whole.calls == sum(run.calls for run in runs)
    assert whole.tokens_in == sum(run.tokens_in or 0 for run in runs)
    assert whole.active_seconds == pytest.approx(sum(run.active_seconds for run in runs))
    assert sum(whole.kinds.values()) == whole.entries
    assert (whole.payload.bodies, whole.payload.body_bytes) == (len(bodies), sum(bodies.values()))
    assert whole.task_list == []


def test_the_figures_of_an_export_are_those_of_its_ledger(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as ours, Ledger.open(exported(ledger)) as theirs:
        assert summarize(theirs) == summarize(ours)


def test_what_no_entry_tells_is_unknown_and_not_zero(tmp_path: Path) -> None:
    run = "0a" * 16
    with Ledger.open(tmp_path / "l.db") as record:
        assert summarize(record).tokens_in is None
        call = {"purpose": "task", "executor": "script", "model": "asked", "task": "t1"}
        record.append("run.started", actor="me", run=run, data={"t_ms": 0})
        first = record.append("call.started", actor="me", run=run, data={**call, "t_ms": 1}).seq
        second = record.append("call.started", actor="me", run=run, data={**call, "t_ms": 2}).seq
        told = {"call": first, "served_model": "other", "tokens_in": 5, "cost_microusd": 7, "duration_ms": 1500}
        record.append("call.finished", actor="me", run=run, data={**told, "t_ms": 3})
        record.append("call.finished", actor="me", run=run, data={"call": second, "error": "timeout", "t_ms": 4000})
        record.append("call.finished", actor="me", run=run, data={"call": 99_999, "tokens_out": "many"})
        view = summarize(record, run)
    assert (view.calls, view.call_errors, view.served_other) == (2, {"timeout": 1}, 1)
    assert (view.tokens_in, view.tokens_out, view.tokens_untold) == (5, None, 3)
    assert (view.cost_usd, view.unpriced) == (0.000007, 2)
    assert (view.state, view.runs, view.tasks) == ("unfinished", {"unfinished": 1}, {"unfinished": 1})
    assert (view.active_seconds, view.call_seconds) == (4.0, 1.5)
    assert [each.model for each in view.models] == ["(no model named)", "asked", "other"]


def test_a_damaged_ledger_is_counted_and_the_damage_is_told(ledger: Path) -> None:
    export = exported(ledger)
    export.write_bytes(export.read_bytes().replace(b"the schema", b"the scheme").replace(b'"salt":"0', b'"salt":"1', 1))
    done = forum("ledger", "summary", "--ledger", str(export))
    assert done.code in (0, 1)
    lines = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(b"".join(lines[:-5]))
    done = forum("ledger", "summary", "--ledger", str(export))
    assert done.code == 1
    assert "findings" in done.out
    assert forum("ledger", "summary", "--no-verify", "--ledger", str(export)).code == 0


def test_an_unknown_run_is_refused(ledger: Path) -> None:
    with Ledger.open(ledger, read_only=True) as record, pytest.raises(NotFound):
        summarize(record, "0c" * 16)
    assert forum("ledger", "summary", "--run", "0c" * 16, "--ledger", str(ledger)).code == 2


def test_two_runs_are_set_side_by_side(ledger: Path) -> None:
    record(ledger, request="Build something else")
    with Ledger.open(ledger, read_only=True) as reader:
        newest, middle, oldest = (row.run for row in reader.store.runs(3))
        same = compare(summarize(reader, oldest, verify=False), summarize(reader, middle, verify=False))
        other = compare(summarize(reader, oldest, verify=False), summarize(reader, newest, verify=False))
    assert same.same_request is True
    assert other.same_request is False
    facts = {fact.name: fact for fact in same.facts}
    assert (facts["calls"].a, facts["calls"].b, facts["calls"].difference) == (2, 2, 0)
    assert facts["cost_usd"].difference == 0
    assert [pair.id for pair in same.tasks] == ["schema", "endpoint"]
    view = forum("ledger", "compare", oldest, newest, "--json", "--ledger", str(ledger))
    assert view.code == 0
    assert view.json() == {**other.to_dict(), **{side: view.json()[side] for side in ("a", "b")}}


def test_sides_are_runs_files_and_runs_of_files(ledger: Path, tmp_path: Path) -> None:
    export = exported(ledger)
    with Ledger.open(ledger, read_only=True) as reader:
        run = reader.store.runs(1)[0].run
    for a, b in ((str(ledger), str(export)), (run, f"{export}#{run}"), (f"{ledger}#{run}", run)):
        done = forum("ledger", "compare", a, b, "--ledger", str(ledger))
        assert done.code == 0, done.err
        numbers = [line.split()[-1] for line in done.out.splitlines() if line.startswith(("calls ", "entries "))]
        assert numbers == ["=", "="]
    assert forum("ledger", "compare", str(ledger), str(tmp_path / "none.db")).code == 3
    assert forum("ledger", "compare", "0c" * 16, run, "--ledger", str(ledger)).code == 2
