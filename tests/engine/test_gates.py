"""Gates through the whole engine: what waits, who may let it through, and what nobody's answer does."""

import time

import pytest

from forum_mcp.configs.settings import GateSettings, LimitSettings, Settings
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import AppendRefused, NotFound, RequestRefused
from forum_mcp.executors.scripted import ScriptedExecutor
from tests.engine.stage import WORKER, Stage, assert_clean

TWO = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "do a"},
        {"id": "b", "lane": "cloud-infra", "instruction": "do b", "depends_on": ["a"]},
    ]
}


def gated(stage: Stage, gates: GateSettings, limits: LimitSettings | None = None) -> Settings:
    return stage.settings(WORKER, limits=limits).model_copy(update={"gates": gates})


async def test_a_run_that_wants_approval_calls_nobody_before_it_has_it(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        view = await forum.submit("both", plan=TWO, approve="run", wait_s=60)
        assert (view.state, stage.cast.received) == ("waiting", [])
        [gate] = forum.gates().gates
        assert view.gates == [gate.gate]
        assert [task["id"] for task in gate.asks["tasks"]] == ["a", "b"]  # type: ignore[attr-defined]
        view = await forum.resolve(gate.gate, approved=True, digest=gate.digest, wait_s=60)
        assert (view.state, view.gates) == ("succeeded", [])
        [given] = stage.entries(forum, "gate.resolved")
        assert (given.actor, given.data["how"], given.data["digest"]) == ("person:local", "api", gate.digest)
        assert_clean(forum)


async def test_a_rejected_run_does_nothing_and_says_why(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = await forum.submit("both", plan=TWO, approve="run", wait_s=60)
        view = await forum.resolve(run.gates[0], approved=False, reason="not today", wait_s=60)
        assert (view.state, [task.error for task in view.tasks]) == ("failed", ["gate", "upstream"])
        assert stage.cast.received == []
        assert_clean(forum)


async def test_each_wave_waits_and_one_approval_may_be_for_all_of_them(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        once = await forum.submit("both", plan=TWO, approve="wave", wait_s=60)
        once = await forum.resolve(once.gates[0], approved=True, wait_s=60)
        assert (once.state, [task.state for task in once.tasks]) == ("waiting", ["succeeded", "waiting"])
        whole = await forum.submit("both again", plan=TWO, approve="wave", wait_s=60)
        whole = await forum.resolve(whole.gates[0], approved=True, scope="run", wait_s=60)
        assert whole.state == "succeeded"
        assert_clean(forum)


async def test_only_the_lanes_that_are_named_wait(stage: Stage) -> None:
    async with stage.forum(gated(stage, GateSettings(lanes=["cloud-infra"]))) as forum:
        view = await forum.submit("both", plan=TWO, wait_s=60)
        assert (view.state, [task.state for task in view.tasks]) == ("waiting", ["succeeded", "waiting"])
        [gate] = forum.gates(view.run_id).gates
        assert gate.subject == "lane:cloud-infra"


async def test_an_approval_of_a_class_stands_for_later_runs_until_its_time(stage: Stage) -> None:
    now_us = time.time_ns() // 1_000
    settings = gated(stage, GateSettings(lanes=["cloud-infra"]))
    async with stage.forum(settings) as forum:
        first = await forum.submit("both", plan=TWO, wait_s=60)
        until_us = now_us + 3_600_000_000
        await forum.resolve(first.gates[0], approved=True, scope="class", until_us=until_us, wait_s=60)
        second = await forum.submit("both", plan=TWO, wait_s=60)
        assert second.state == "succeeded"
        given, standing = stage.entries(forum, "gate.resolved")
        assert (standing.data["how"], standing.data["standing"]) == ("standing", given.seq)
        assert given.seq in standing.parents
        assert_clean(forum)
    later = Clock(now_us=lambda: until_us + 1)
    cast = {"model": ScriptedExecutor(stage.cast)}
    async with Orchestrator.open(settings, executors=cast, clock=later) as forum:
        assert (await forum.submit("both", plan=TWO, wait_s=60)).state == "waiting"


async def test_a_gate_that_nobody_answers_is_rejected_by_its_deadline(stage: Stage) -> None:
    async with stage.forum(gated(stage, GateSettings(run=True, timeout_s=0.05))) as forum:
        run = (await forum.submit("both", plan=TWO, wait_s=0)).run_id
        while (view := await forum.run(run, wait_s=1)).state not in ("failed", "succeeded"):
            pass
        assert view.state == "failed"
        [fired] = stage.entries(forum, "timer.fired")
        assert fired.parents == [stage.entries(forum, "gate.opened")[0].seq]
        with pytest.raises(AppendRefused, match="not open any more"):
            await forum.resolve(fired.parents[0], approved=True)
        assert_clean(forum)


async def test_a_gate_outlives_the_process_that_opened_it(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("both", plan=TWO, approve="run", wait_s=60)).run_id
    async with stage.forum(stage.settings(WORKER)) as forum:
        [gate] = forum.gates().gates
        view = await forum.resolve(gate.gate, approved=True, take_up=False)
        assert (view.state, stage.cast.received) == ("interrupted", [])
        assert (await forum.resume(run, wait_s=60)).state == "succeeded"
        assert_clean(forum)


async def test_an_approval_names_what_was_read(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = await forum.submit("both", plan=TWO, approve="run", wait_s=60)
        with pytest.raises(AppendRefused, match="asks for approval of"):
            await forum.resolve(run.gates[0], approved=True, digest="0" * 64)
        with pytest.raises(NotFound, match="is no gate"):
            await forum.resolve(0, approved=True)
        with pytest.raises(RequestRefused, match="until which"):
            await forum.resolve(run.gates[0], approved=True, scope="class")
        with pytest.raises(RequestRefused, match="scope 'ever'"):
            await forum.resolve(run.gates[0], approved=True, scope="ever")
        assert (await forum.run(run.run_id)).state == "waiting"


async def test_a_caller_adds_gates_and_takes_none_away(stage: Stage) -> None:
    async with stage.forum(gated(stage, GateSettings(run=True))) as forum:
        view = await forum.submit("both", plan=TWO, approve="wave", wait_s=60)
        view = await forum.resolve(view.gates[0], approved=True, wait_s=60)
        assert view.state == "waiting"
        assert [gate.subject for gate in forum.gates().gates] == ["wave"]
