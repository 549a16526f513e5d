"""Forks and reuse at their edges: what a fork keeps of its origin, and what is not found done before."""

import pytest

from forum_mcp.configs.settings import RoleSettings
from tests.engine.stage import WORKER, Stage, assert_clean

TWO = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "do a"},
        {"id": "b", "lane": "backend", "instruction": "do b", "depends_on": ["a"]},
    ]
}


async def test_a_fork_keeps_the_limits_and_gates_it_is_not_given_anew(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = await forum.submit("both", plan=TWO, approve="run", max_calls=1, wait_s=60)
        fork = await forum.fork(run.run_id, wait_s=60)
        assert (fork.state, stage.cast.received) == ("waiting", [])
        fork = await forum.resolve(fork.gates[0], approved=True, wait_s=60)
        assert (fork.state, fork.error, fork.spent.calls) == ("failed", "budget-calls", 1)
        again = await forum.fork(fork.run_id, max_calls=5, wait_s=60)
        again = await forum.resolve(again.gates[0], approved=True, wait_s=60)
        assert (again.state, again.spent.calls) == ("succeeded", 1), "the first task was done in the fork before"
        assert_clean(forum)


async def test_a_run_with_a_stricter_judge_does_not_take_over_a_verdict(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        await forum.submit("both", plan=TWO, reuse=True, wait_s=60)
    stage.cast.received.clear()
    async with stage.forum(stage.settings(RoleSettings(worker=["model"], validator=["model"]))) as forum:
        await forum.submit("both", plan=TWO, reuse=True, wait_s=60)
        assert [call.purpose for call in stage.cast.received] == ["task", "validate"] * 2
        assert_clean(forum)


@pytest.mark.parametrize("task", ["a", "b"])
async def test_a_look_up_that_found_what_was_never_done_is_named(stage: Stage, task: str) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("both", plan=TWO, wait_s=60)).run_id
        data = {"task": task, "n": 1, "key": "0" * 64, "found": 1, "run": run, "age_ms": 0}
        seq = forum.ledger.append("task.recalled", actor="engine", data=data, run=run).seq
        assert [(each.code, each.seq) for each in forum.ledger.verify(level=4).findings] == [("decision", seq)]
