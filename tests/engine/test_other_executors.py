"""A run met by a process that is configured otherwise: it is left as it is, for one that can go on with it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from forum_mcp.configs.settings import RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.redaction import redact_commit
from forum_mcp.errors import ExecutorsDiffer
from forum_mcp.executors.base import Call
from forum_mcp.executors.scripted import ScriptedExecutor
from tests.engine.stage import HOST, WORKER, Stage, assert_clean


class Renamed(ScriptedExecutor):
    """The same executor under other parameters."""

    def identity(self) -> dict[str, object]:
        return {"temperature": 1}


async def never(_: Call) -> str:
    await anyio.sleep_forever()
    return "never"


def with_another(stage: Stage) -> Settings:
    """Return settings that have an executor, but not the one of ``WORKER``."""
    settings = stage.settings(HOST)
    other = {"other": settings.executors["model"]}
    return settings.model_copy(update={"executors": other, "roles": RoleSettings(worker=["other"])})


@asynccontextmanager
async def elsewhere(stage: Stage, how: str) -> AsyncGenerator[Orchestrator]:
    """Open the ledger where the executor of its runs is missing, or is another one."""
    if how == "missing":
        async with Orchestrator.open(with_another(stage), executors={"other": ScriptedExecutor(stage.cast)}) as forum:
            yield forum
    else:
        async with Orchestrator.open(stage.settings(WORKER), executors={"model": Renamed(stage.cast)}) as forum:
            yield forum


async def interrupted(stage: Stage, max_parallel: int = 2) -> str:
    """Begin a run whose process goes away while its task is under way."""
    stage.cast.task = never
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("say hello", single=True, max_parallel=max_parallel, wait_s=0)).run_id
        while not stage.cast.received:
            await anyio.lowlevel.checkpoint()
    stage.cast.task = lambda _: "hello"
    return run


@pytest.mark.parametrize(("how", "why"), [("missing", "no executor 'model'"), ("changed", "not configured as it was")])
async def test_a_run_is_not_taken_up_to_fail_where_its_executors_are_others(stage: Stage, how: str, why: str) -> None:
    run = await interrupted(stage)
    async with elsewhere(stage, how) as forum:
        size = forum.ledger.size
        with pytest.raises(ExecutorsDiffer, match=why):
            await forum.resume(run)
        assert await forum.resume_all() == []
        assert forum.ledger.size == size
    async with stage.forum(stage.settings(WORKER)) as forum:
        assert (await forum.resume(run, wait_s=60)).state == "succeeded"
        assert_clean(forum)


@pytest.mark.parametrize("how", ["missing", "changed"])
async def test_a_planned_run_is_not_submitted_to_fail_where_its_executors_are_others(stage: Stage, how: str) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.plan("say hello", single=True)).run_id
    async with elsewhere(stage, how) as forum:
        with pytest.raises(ExecutorsDiffer):
            await forum.submit(plan=run)
    async with stage.forum(stage.settings(WORKER)) as forum:
        assert (await forum.submit(plan=run, wait_s=60)).state == "succeeded"
        assert_clean(forum)


async def test_a_run_can_be_cancelled_and_forked_from_where_its_executors_are_others(stage: Stage) -> None:
    run = await interrupted(stage)
    async with elsewhere(stage, "missing") as forum:
        assert (await forum.fork(run, wait_s=60)).answer == "hello"
        assert (await forum.cancel(run)).state == "cancelled"
        assert_clean(forum)


async def test_work_that_is_handed_back_elsewhere_is_recorded_and_the_run_waits_for_its_executors(stage: Stage) -> None:
    judged = RoleSettings(validator=["model"])
    async with stage.forum(stage.settings(judged)) as forum:
        run = (await forum.submit("say hello", single=True)).run_id
    async with elsewhere(stage, "missing") as forum:
        [item] = (await forum.work_next(run)).items
        view = await forum.work_complete(item.item, "hello")
        assert view.runs == {run: "interrupted"}
    async with stage.forum(stage.settings(judged)) as forum:
        done = await forum.resume(run, wait_s=60)
        assert (done.state, done.answer, done.unvalidated) == ("succeeded", "hello", [])
        assert_clean(forum)


async def test_a_run_whose_terms_are_gone_does_not_keep_the_others_from_being_resumed(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [await interrupted(stage), await interrupted(stage, max_parallel=1)]  # equal terms are one body
    async with stage.forum(stage.settings(WORKER)) as forum:
        [started] = forum.ledger.show(run_id=runs[1], kind="run.started").entries
        redact_commit(forum.ledger, str(started.bodies["contract"]["commit"]), "asked", yes=True)
        assert [line.run_id for line in await forum.resume_all()] == runs[:1]
        assert (await forum.run(runs[0], wait_s=60)).state == "succeeded"
    assert f"run {runs[1]} cannot go on" in caplog.text
