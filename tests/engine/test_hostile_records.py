"""Entries appended by hand into a live run: nothing hangs or raises, and verification names the forged decision."""

from collections.abc import Mapping

import anyio
import msgspec
import pytest

from forum_mcp.engine.redaction import redact_commit
from forum_mcp.errors import LedgerUnreadable
from forum_mcp.executors.base import Call
from tests.engine.stage import WORKER, Stage, assert_clean, plan_of

CHAIN: dict[str, object] = msgspec.json.decode(plan_of(("a", []), ("b", ["a"]), ("c", ["b"])))
CALL: dict[str, object] = {
    "executor": "model",
    "attempt": 1,
    "timeout_ms": 1,
    "reserve": {"calls": 1},
    "egress": "none",
}
ACCEPTED: dict[str, object] = {"by": "rules", "tasks": 1, "edges": 0, "waves": 1}

DECISIONS: list[tuple[str, dict[str, object], dict[str, str]]] = [
    ("call.started", {**CALL, "type": "scripted", "purpose": "task", "task": "a", "rung": 7}, {}),
    ("call.started", {**CALL, "type": "scripted", "purpose": "plan", "rung": 0}, {}),
    ("call.started", {**CALL, "type": "host", "purpose": "task", "task": "b", "rung": 0}, {}),
    ("task.started", {"task": "b", "n": 1, "lane": "backend"}, {}),
    ("task.finished", {"task": "b", "n": 1, "rung": 0}, {}),
    ("task.judged", {"task": "b", "n": 1, "rung": 0, "verdict": "passed", "ok": True, "by": "rules"}, {}),
    ("task.escalated", {"task": "a", "n": 1, "rung": 9, "because": "verdict"}, {}),
    ("task.skipped", {"task": "b", "because": "upstream"}, {}),
    ("route.decided", {"chosen": "no-lane", "by": "rules"}, {}),
    ("plan.accepted", ACCEPTED, {"plan": plan_of(("q", ["nowhere"]))}),
    ("plan.accepted", ACCEPTED, {"plan": plan_of(("q", ["q"]))}),
    ("plan.rejected", {"by": "caller", "reason": "bad-plan"}, {}),
    ("call.deferred", {"call": 5, "purpose": "task", "task": "a", "not_before_ms": 2**50, "reason": "timeout"}, {}),
    ("answer.synthesized", {"by": "rules", "tasks_ok": 3}, {}),
]
EVENTS: list[tuple[str, dict[str, object], dict[str, str]]] = [
    ("run.started", {"mode": "plan"}, {}),
    ("run.started", {"mode": "plan", "fence": 9, "seed": "", "rules": {}, "environment": {}}, {}),
    ("call.finished", {"call": 1_000}, {}),
    ("call.finished", {"call": "five"}, {}),
    ("work.taken", {"call": 5, "lease_until_us": 0}, {}),
    ("no.such.kind", {"t_ms": -1}, {}),
]


async def run_with(stage: Stage, kind: str, data: Mapping[str, object], bodies: Mapping[str, str]) -> list[str]:
    """Run a chain of three tasks, append an entry while the first is under way; return the codes of the findings."""
    begun, gate = anyio.Event(), anyio.Event()

    async def play(call: Call) -> str:
        begun.set()
        await gate.wait()
        return f"result of {call.task}"

    stage.cast.task = play
    async with stage.forum(stage.settings(WORKER)) as forum, stage.forum(stage.settings(WORKER)) as other:
        run = (await forum.submit("three steps", plan=CHAIN, wait_s=0)).run_id
        await begun.wait()
        forged = other.ledger.append(kind, actor="person:mallory", data=data, bodies=bodies, run=run).seq
        gate.set()
        with anyio.fail_after(10):
            view = await forum.run(run, wait_s=60)
        assert view.state == "succeeded"
        assert [call.task for call in stage.cast.received] == ["a", "b", "c"]
        assert [line.run_id for line in forum.runs().runs if line.run_id == run]
        for until in range(forged, forum.ledger.size):
            forum.replay(until)
        findings = forum.ledger.verify(level=4).findings
        assert all(finding.seq == forged for finding in findings)
        return [finding.code for finding in findings]


@pytest.mark.parametrize(("kind", "data", "bodies"), DECISIONS)
async def test_a_decision_appended_by_hand_changes_nothing_and_is_found(
    stage: Stage, kind: str, data: dict[str, object], bodies: dict[str, str]
) -> None:
    assert await run_with(stage, kind, data, bodies) == ["decision"]


@pytest.mark.parametrize(("kind", "data", "bodies"), EVENTS)
async def test_an_event_that_does_not_fit_changes_nothing(
    stage: Stage, kind: str, data: dict[str, object], bodies: dict[str, str]
) -> None:
    assert await run_with(stage, kind, data, bodies) == []


RECALLED: dict[str, object] = {"task": "nobody", "n": 1, "key": "", "found": 1, "run": "ab" * 16}


@pytest.mark.parametrize(("kind", "data"), [("call.finished", {"call": "five"}), ("task.recalled", RECALLED)])
async def test_an_entry_that_changes_nothing_excuses_no_decision_after_it(
    stage: Stage, kind: str, data: dict[str, object]
) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("three steps", plan=CHAIN, wait_s=60)).run_id
        blind = forum.ledger.append(kind, actor="person:mallory", data=data, bodies={"output": "x"}, run=run)
        redact_commit(forum.ledger, str(blind.bodies["output"]["commit"]), "so that nobody can tell", yes=True)
        verdict = {"task": "c", "n": 1, "rung": 0, "verdict": "passed", "ok": True, "by": "validator"}
        forged = forum.ledger.append("task.judged", actor="validator", data=verdict, run=run).seq
        report = forum.ledger.verify(level=4)
        assert forged in [finding.seq for finding in report.findings if finding.code == "decision"]
        assert report.counts["not-rederivable"] == 0


async def test_a_run_that_was_begun_by_hand_is_listed_and_cannot_go_on(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = "ab" * 16
        forum.ledger.append("run.started", actor="person:mallory", data={"mode": "submit"}, run=run)
        assert [(line.run_id, line.state) for line in forum.runs().runs] == [(run, "interrupted")]
        assert (await forum.work_next()).items == []
        size = forum.ledger.size
        with pytest.raises(LedgerUnreadable, match="cannot go on"):
            await forum.resume(run)
        assert forum.ledger.size == size
        assert_clean(forum)
