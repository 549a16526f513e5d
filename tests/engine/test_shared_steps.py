"""Steps that wait together: how many share a transaction, and what becomes of the rest."""

import itertools

import anyio
import anyio.lowlevel
import pytest

from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.executors.base import Call
from forum_mcp.executors.scripted import ScriptedExecutor
from tests.engine.stage import HOST, WORKER, Stage, assert_clean

FOUR = {"tasks": [{"id": name, "lane": "backend", "instruction": f"do {name}"} for name in "abcd"]}


def clock(work_s: int, commit_s: int) -> Clock:
    """Return a clock by which each transaction works and commits for so many seconds."""
    per_step = (0, work_s, work_s + commit_s)
    ticks = (step * (work_s + commit_s) + at for step in itertools.count() for at in per_step)
    return Clock(elapsed_s=lambda: float(next(ticks)))


@pytest.mark.parametrize(
    ("work_s", "commit_s", "groups"),
    [(1, 0, [1, 1, 1, 1]), (2, 1, [2, 2]), (0, 1, [4]), (1, 50, [4])],
    ids=["a commit costs nothing", "half as much as the work", "more than can be said", "much more"],
)
async def test_outcomes_that_come_together_share_a_commit_as_far_as_it_pays(
    stage: Stage, work_s: int, commit_s: int, groups: list[int]
) -> None:
    begun, together = 0, anyio.Event()

    async def task(_: Call) -> str:
        nonlocal begun
        begun += 1
        if begun == len(FOUR["tasks"]):
            together.set()
        await together.wait()
        return "done"

    stage.cast.task = task
    executors = {"model": ScriptedExecutor(stage.cast)}
    async with Orchestrator.open(stage.settings(WORKER), executors=executors, clock=clock(work_s, commit_s)) as forum:
        assert (await forum.submit("do it", plan=FOUR, wait_s=60)).state == "succeeded"
        kinds = [entry.kind for entry in stage.entries(forum)]
        runs = [len(list(same)) for kind, same in itertools.groupby(kinds) if kind == "call.finished"]
        assert runs == groups
        assert_clean(forum)


async def test_a_step_given_up_while_it_waits_leaves_the_turn_to_the_next(stage: Stage) -> None:
    executors = {"model": ScriptedExecutor(stage.cast)}
    async with Orchestrator.open(stage.settings(HOST), executors=executors, clock=clock(1, 0)) as forum:
        run = (await forum.submit("do it", plan=FOUR)).run_id
        items = (await forum.work_next(run, limit=3)).items
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                scopes = [anyio.CancelScope() for _ in items]

                async def complete(at: int) -> None:
                    with scopes[at]:
                        await forum.work_complete(items[at].item, "done")

                for at in range(len(items)):
                    group.start_soon(complete, at)
                await anyio.lowlevel.checkpoint()
                scopes[1].cancel()
        states = {task.id: task.state for task in (await forum.run(run)).tasks}
        assert [states[item.task or ""] for item in items] == ["succeeded", "waiting", "succeeded"]
        assert_clean(forum)
