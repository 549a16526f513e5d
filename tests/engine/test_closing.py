"""Endings nobody asked for: a closing process, a store that fails, an outcome that does not fit the record."""

import time
from collections.abc import Callable, Sequence

import anyio
import msgspec
import pytest

from forum_mcp.configs.settings import LimitSettings, StepSettings
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.redaction import redact_commit
from forum_mcp.errors import LedgerError, LedgerUnreadable
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from forum_mcp.stores.base import Transaction
from tests.engine.stage import ALL, WORKER, Stage, assert_clean, plan_of

Works = Sequence[Callable[[Transaction], object]]


async def until_called(stage: Stage) -> None:
    while not stage.cast.received:
        await anyio.lowlevel.checkpoint()


async def never(_: Call) -> str:
    await anyio.sleep_forever()
    return "never"


async def test_a_closed_forum_leaves_each_attempt_with_its_outcome_and_goes_on_when_reopened(stage: Stage) -> None:
    stage.cast.task = never
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("say hello", single=True, wait_s=0)).run_id
        await until_called(stage)
    stage.cast.task = lambda _: "done"
    async with stage.forum(stage.settings(WORKER)) as forum:
        assert [entry.data["error"] for entry in stage.entries(forum, "call.finished")] == ["interrupted"]
        assert stage.entries(forum)[-1].kind == "run.interrupted"
        assert (await forum.resume(run, wait_s=60)).state == "succeeded"
        assert_clean(forum)


async def test_a_forum_that_is_cancelled_from_outside_records_its_end_like_a_closed_one(stage: Stage) -> None:
    stage.cast.task = never
    run = ""
    with anyio.CancelScope() as scope:
        async with stage.forum(stage.settings(WORKER)) as forum:
            run = (await forum.submit("say hello", single=True, wait_s=0)).run_id
            await until_called(stage)
            scope.cancel()
            await anyio.sleep_forever()
    stage.cast.task = lambda _: "done"
    async with stage.forum(stage.settings(WORKER)) as forum:
        assert [entry.data["error"] for entry in stage.entries(forum, "call.finished")] == ["interrupted"]
        assert stage.entries(forum)[-1].kind == "run.interrupted"
        assert (await forum.resume(run, wait_s=60)).state == "succeeded"
        assert len(stage.cast.received) == 2
        assert_clean(forum)


async def test_an_executor_that_is_deaf_to_cancellation_still_has_its_outcome_recorded(stage: Stage) -> None:
    ended = anyio.Event()

    async def deaf(_: Call) -> str:
        with anyio.CancelScope(shield=True):
            await ended.wait()
        return "late but whole"

    stage.cast.task = deaf
    async with stage.forum(stage.settings(WORKER)) as forum, anyio.create_task_group() as group:
        run = (await forum.submit("say hello", single=True, wait_s=0)).run_id
        await until_called(stage)
        group.start_soon(forum.cancel, run)
        while not stage.entries(forum, "run.cancelled"):
            await anyio.lowlevel.checkpoint()
        ended.set()
        with anyio.fail_after(5):
            assert (await forum.run(run, wait_s=60)).state == "cancelled"
        assert len(stage.entries(forum, "call.finished")) == 1
        assert_clean(forum)


@pytest.mark.parametrize("moment", ["before", "at the commit"])
async def test_a_store_that_fails_once_leaves_no_attempt_open_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    gate = anyio.Event()

    async def gated(_: Call) -> str:
        await gate.wait()
        return "done"

    stage.cast.task = gated
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("say hello", single=True, wait_s=0)).run_id
        await until_called(stage)
        store = forum.ledger.store
        whole = store.transact_all

        def refuse(tx: Transaction, works: Works) -> None:
            for work in works:
                work(tx)
            raise LedgerError("the disk is full")

        def fails_once(works: Works) -> list[object | Exception]:
            monkeypatch.setattr(store, "transact_all", whole)
            if moment == "before":
                raise LedgerError("another process held the lock for a minute")
            store.transact(lambda tx: refuse(tx, works))
            return []

        monkeypatch.setattr(store, "transact_all", fails_once)
        gate.set()
        with anyio.fail_after(5):
            assert (await forum.run(run, wait_s=60)).state == "succeeded"
        assert [entry.data.get("error") for entry in stage.entries(forum, "call.finished")] == ["in-doubt", None]
        assert_clean(forum)


async def test_a_store_that_fails_for_good_ends_the_run_here_and_it_goes_on_elsewhere(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate = anyio.Event()

    async def gated(_: Call) -> str:
        await gate.wait()
        return "done"

    def fails(_: Works) -> list[object | Exception]:
        raise LedgerError("the disk is full")

    stage.cast.task = gated
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("say hello", single=True, wait_s=0)).run_id
        await until_called(stage)
        monkeypatch.setattr(forum.ledger.store, "transact_all", fails)
        gate.set()
        with anyio.fail_after(5):
            await forum.run(run, wait_s=2)
    (told,) = [record for record in caplog.records if "stopped here" in record.getMessage()]
    assert told.getMessage().endswith("stopped here: the disk is full; it can be resumed")
    assert told.exc_info is None, "what was expected needs no traceback"
    later = Clock(now_us=lambda: time.time_ns() // 1_000 + 16_000_000)  # the lease has run out
    model = ScriptedExecutor(stage.cast)
    async with Orchestrator.open(stage.settings(WORKER), executors={"model": model}, clock=later) as forum:
        assert (await forum.resume(run, wait_s=60)).state == "succeeded"
        assert_clean(forum)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Outcome(reply=b"x", reply_type="BAD TYPE\n"), "executor-crashed"),
        (Outcome(reply=b"x", served_model="\ud800"), "executor-crashed"),
        (Outcome(reply=b"x", sent_model="m" * 70_000), "executor-crashed"),
        (Outcome(error="no such class"), "executor-crashed"),  # type: ignore[arg-type]
        (None, "executor-crashed"),
        (Outcome(reply=b"\xff\xfe"), "bad-encoding"),
        (Outcome(error="timeout", detail="\ud800"), "timeout"),
    ],
)
async def test_an_outcome_that_does_not_fit_the_record_fails_its_task_and_ends_the_run(
    stage: Stage, outcome: Outcome, error: str
) -> None:
    stage.cast.task = lambda _: outcome
    async with stage.forum(stage.settings(WORKER, attempts=1)) as forum:
        with anyio.fail_after(5):
            view = await forum.submit("say hello", single=True, wait_s=60)
        assert view.state == "failed"
        assert view.tasks[0].error == error
        assert_clean(forum)


@pytest.mark.parametrize(("kind", "body"), [("run.started", "request"), ("task.finished", "output")])
async def test_a_run_does_not_go_on_from_a_text_that_was_redacted(stage: Stage, kind: str, body: str) -> None:
    async def second_waits(call: Call) -> str:
        return "a secret" if call.task == "a" else await never(call)

    stage.cast.task = second_waits
    plan: dict[str, object] = msgspec.json.decode(plan_of(("a", []), ("b", ["a"])))
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("two steps", plan=plan, wait_s=0)).run_id
        while len(stage.cast.received) < 2:
            await anyio.lowlevel.checkpoint()
    async with stage.forum(stage.settings(WORKER)) as forum:
        commit = str(stage.entries(forum, kind)[0].bodies[body]["commit"])
        redact_commit(forum.ledger, commit, "asked", yes=True)
        with pytest.raises(LedgerUnreadable, match="was redacted"):
            await forum.resume(run)
        assert len(stage.cast.received) == 2, "nobody was asked to go on from an empty text"
        assert (await forum.cancel(run)).state == "cancelled"
        assert forum.ledger.verify(level=4).clean


async def test_a_decision_that_no_record_takes_stops_the_run_and_asks_nobody_again(stage: Stage) -> None:
    seats = 260  # a verdict names each as its parent, and an entry has at most 256
    roles = ALL.model_copy(update={"panelists": ["model"] * seats})  # more than the settings take
    limits = LimitSettings(calls=1_000)
    settings = stage.settings(roles, steps=StepSettings(panel=True), limits=limits, attempts=1)
    async with stage.forum(settings) as forum:
        run = await forum.submit("say hello", single=True, wait_s=60)
        assert run.state == "interrupted"
        asked = len(stage.cast.received)
        assert sum(call.purpose == "panel" for call in stage.cast.received) == seats
        [stopped] = stage.entries(forum, "run.interrupted")
        assert stopped.data["reason"] == "fault"
        assert [entry.data.get("error") for entry in stage.entries(forum, "call.finished")] == [None] * asked
        await forum.resume(run.run_id, wait_s=60)
        assert len(stage.cast.received) == asked
        assert (await forum.cancel(run.run_id)).state == "cancelled"
        assert_clean(forum)
