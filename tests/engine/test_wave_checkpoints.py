"""A checkpoint is signed when a wave of tasks is settled: one for the wave, and none that stands in a run's way."""

import anyio
import pytest

from forum_mcp.errors import CheckpointRefused
from forum_mcp.executors.base import Call
from tests.engine.stage import DIAMOND, Stage, assert_clean, plan_of


async def test_each_settled_wave_is_signed_once_and_the_end_of_the_run_once(stage: Stage) -> None:
    stage.cast.plan = lambda _: DIAMOND  # three waves: a, then b and c, then d
    async with stage.forum() as forum:
        assert (await forum.submit("build it", wait_s=60)).state == "succeeded"
        entries = stage.entries(forum)
        signed = [entry for entry in entries if entry.kind == "checkpoint.signed"]
        causes = [entries[entry.parents[0]] for entry in signed]
        assert [cause.kind for cause in causes] == ["task.judged"] * 3 + ["run.finished"]
        assert [cause.data["task"] for cause in causes[:3]][::2] == ["a", "d"]
        assert [int(str(entry.data["size"])) > entry.parents[0] for entry in signed] == [True] * 4
        assert_clean(forum)


async def test_a_wave_is_not_signed_before_its_slowest_task_is_settled(stage: Stage) -> None:
    gate = anyio.Event()

    async def slow_b(call: Call) -> str:
        if call.task == "b":
            await gate.wait()
        return "done"

    stage.cast.plan = lambda _: plan_of(("a", []), ("b", []), ("c", ["a"]))
    stage.cast.task = slow_b
    async with stage.forum() as forum:
        run = (await forum.submit("build it", wait_s=0)).run_id
        with anyio.fail_after(30):
            while not stage.entries(forum, "checkpoint.signed"):
                await anyio.lowlevel.checkpoint()
        gate.set()
        assert (await forum.run(run, wait_s=60)).state == "succeeded"
        # Wave 2 (c) was settled before wave 1 (a, b): each is signed when its own last task is.
        entries = stage.entries(forum)
        causes = [entries[entry.parents[0]] for entry in stage.entries(forum, "checkpoint.signed")]
        assert [cause.data.get("task") for cause in causes] == ["c", "b", None]
        assert_clean(forum)


async def test_waves_that_a_failure_settles_together_and_a_run_that_ends_with_them_are_signed_once(
    stage: Stage,
) -> None:
    stage.cast.plan = lambda _: plan_of(("a", []), ("b", ["a"]), ("c", ["b"]))
    stage.cast.task = lambda _: ""  # nothing: a fails, b and c are skipped with it
    async with stage.forum(stage.settings(attempts=1)) as forum:
        assert (await forum.submit("build it", wait_s=60)).state == "failed"
        entries = stage.entries(forum)
        causes = [entries[entry.parents[0]].kind for entry in stage.entries(forum, "checkpoint.signed")]
        assert causes == ["run.finished"]
        assert_clean(forum)


async def test_a_signer_that_refuses_is_logged_and_the_run_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.cast.plan = lambda _: DIAMOND
    async with stage.forum() as forum:

        def refuse(parents: object = ()) -> None:
            raise CheckpointRefused("an older copy is back")

        monkeypatch.setattr(forum.ledger, "record_checkpoint", refuse)
        assert (await forum.submit("build it", wait_s=60)).state == "succeeded"
        assert stage.entries(forum, "checkpoint.signed") == []
        assert sum("an older copy is back" in record.getMessage() for record in caplog.records) == 4
        monkeypatch.undo()
        assert_clean(forum)
