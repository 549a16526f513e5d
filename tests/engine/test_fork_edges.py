"""Forks and reuse at their edges: what a fork keeps of its origin, and what is not found done before."""

import pytest

from forum_mcp.configs.settings import GateSettings, RoleSettings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.rules.contract import Contract
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


async def test_a_fork_keeps_the_one_task_its_lane_and_how_many_run_at_a_time(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = await forum.submit("write the guide", single=True, lane="backend", max_parallel=1, wait_s=60)
        fork = await forum.fork(run.run_id, request="write the other guide", wait_s=60)
        assert [(task.id, task.lane) for task in fork.tasks] == [(task.id, "backend") for task in run.tasks]
        assert {call.purpose for call in stage.cast.received} == {"task"}, "one task, so nobody is asked for a plan"
        assert contract_of(forum, fork.run_id).max_parallel == 1
        planned = await forum.fork(run.run_id, plan=TWO, wait_s=60)
        assert (planned.state, len(planned.tasks)) == ("succeeded", 2)
        [routed] = forum.ledger.show(run_id=planned.run_id, kind="route.decided").entries
        assert routed.data["by"] != "caller", "a plan names its own lanes"
        assert_clean(forum)


async def test_a_fork_takes_the_steps_its_origin_took_unless_told_otherwise(stage: Stage) -> None:
    settings = stage.settings(RoleSettings(worker=["model"], panelists=["model"], judge=["model"]))
    async with stage.forum(settings) as forum:
        run = await forum.submit("both", plan=TWO, panel=True, intent=True, escalate=False, wait_s=60)
        steps = contract_of(forum, (await forum.fork(run.run_id, wait_s=60)).run_id).steps
        assert (steps.panel, steps.intent, steps.escalate) == (True, True, False)
        other = await forum.fork(run.run_id, panel=False, wait_s=60)
        assert contract_of(forum, other.run_id).steps.panel is False
        assert_clean(forum)


async def test_a_fork_is_never_less_guarded_than_its_origin(stage: Stage) -> None:
    guarded = stage.settings(WORKER).model_copy(
        update={"local_only": True, "gates": GateSettings(run=True, lanes=["backend"], above_usd=9.0)}
    )
    async with stage.forum(guarded) as forum:
        run = await forum.submit("both", plan=TWO, approve="wave", approve_above_usd=2.0, wait_s=60)
    async with stage.forum(stage.settings(WORKER)) as forum:
        fork = await forum.fork(run.run_id, wait_s=60)
        assert fork.state == "waiting"
        contract = contract_of(forum, fork.run_id)
        assert contract.local_only
        gates = contract.gates
        assert (gates.run, gates.wave, gates.lanes, gates.cost_microusd) == (True, True, ["backend"], 2_000_000)
        again = contract_of(forum, (await forum.fork(fork.run_id, wait_s=60)).run_id)
        assert (again.gates, again.local_only) == (gates, True)
        assert_clean(forum)


def contract_of(forum: Orchestrator, run: str) -> Contract:
    [started] = forum.ledger.show(run_id=run, kind="run.started").entries
    return Contract.from_json(forum.ledger.body(str(started.bodies["contract"]["commit"])).data)


async def test_a_fork_from_before_its_plan_was_accepted_keeps_the_plan_its_caller_gave(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = await forum.submit("both", plan=TWO, wait_s=60)
        for seq in range(run.entries[0], run.entries[0] + 3):
            fork = await forum.fork(run.run_id, seq=seq, wait_s=60)
            assert [task.id for task in fork.tasks] == ["a", "b"], seq
        assert_clean(forum)
