"""One run, several hands: callers at once or gone away, a process that takes over, news for a run that is over."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
import msgspec
import pytest

from forum_mcp.configs.settings import RoleSettings
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.leases import holder_id
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.views import RunView
from forum_mcp.errors import AttemptClosed, RunHeld
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from forum_mcp.ledger.entry import RunId
from forum_mcp.stores.base import Lease
from tests.engine.stage import HOST, WORKER, Stage, assert_clean, plan_of

HOST_THEN_MODEL = RoleSettings(worker=["host", "model"])


@dataclass
class SteppedClock:
    """A wall clock that moves when told."""

    us: int = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.us


async def cut_at_await(number: int, work: Callable[[], Awaitable[object]]) -> bool:
    """Run ``work`` and cancel it when it has given way ``number`` times; tell whether it was cancelled."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cut() -> None:
                for _ in range(number):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()

            group.start_soon(cut)
            await work()
            group.cancel_scope.cancel()
    return scope.cancelled_caught


@pytest.mark.parametrize("awaits", range(12))
async def test_a_caller_that_goes_away_at_any_await_leaves_no_call_unperformed(stage: Stage, awaits: int) -> None:
    async with stage.forum(stage.settings(HOST_THEN_MODEL)) as forum:
        view = await forum.submit("say hello", single=True)
        item = (await forum.work_next(view.run_id)).items[0].item
        await cut_at_await(awaits, lambda: forum.work_fail(item, "not today"))
        if not stage.entries(forum, "work.returned"):
            await forum.work_fail(item, "not today")
        with anyio.fail_after(5):
            view = await forum.run(view.run_id, wait_s=60)
        assert view.state == "succeeded"
        assert [call.task for call in stage.cast.received] == ["t1"]
        assert_clean(forum)


@pytest.mark.parametrize("awaits", range(6))
async def test_a_run_whose_caller_goes_away_while_it_begins_is_held_to_its_end(stage: Stage, awaits: int) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        await cut_at_await(awaits, lambda: forum.submit("say hello", single=True, idempotency_key="once"))
        with anyio.fail_after(5):
            view = await forum.submit("say hello", single=True, idempotency_key="once", wait_s=60)
        assert view.state == "succeeded"
        assert len(stage.entries(forum, "run.started")) == 1
        assert_clean(forum)


async def test_callers_that_submit_one_plan_at_once_make_one_run_of_it(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.plan("say hello", single=True)).run_id
        views: list[RunView] = []

        async def submit() -> None:
            views.append(await forum.submit(plan=run, wait_s=60))

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(submit)
        assert [view.state for view in views] == ["succeeded"] * 3
        assert len(stage.entries(forum, "run.resumed")) == 1
        assert len(stage.cast.received) == 1
        assert_clean(forum)


async def test_equal_keys_at_once_begin_one_run(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        views: list[RunView] = []

        async def submit() -> None:
            views.append(await forum.submit("say hello", single=True, idempotency_key="k", wait_s=60))

        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(submit)
        assert [view.state for view in views] == ["succeeded"] * 4
        assert len(stage.entries(forum, "run.started")) == 1
        assert len(stage.cast.received) == 1


async def test_a_cancel_that_meets_an_outcome_ends_the_call_that_the_outcome_began(stage: Stage) -> None:
    first, begun = anyio.Event(), anyio.Event()

    async def play(call: Call) -> str:
        begun.set()
        if call.task == "a":
            await first.wait()
            return "result of a"
        await anyio.sleep_forever()
        return "never"

    stage.cast.task = play
    async with stage.forum(stage.settings(WORKER)) as forum:
        plan = msgspec.json.decode(plan_of(("a", []), ("b", ["a"])))
        run = (await forum.submit("two steps", plan=plan, wait_s=0)).run_id
        await begun.wait()
        first.set()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(forum.cancel, run)
        assert (await forum.run(run)).state == "cancelled"
        assert [entry.data["error"] for entry in stage.entries(forum, "call.finished")[1:]] in ([], ["cancelled"])
        assert_clean(forum)


async def test_news_for_a_run_that_is_over_adds_nothing_to_it(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        run = (await forum.submit("say hello", single=True)).run_id
        item = (await forum.work_next(run)).items[0].item
        await forum.cancel(run)
        size = forum.ledger.size
        with pytest.raises(AttemptClosed):
            await forum.work_complete(item, "too late")
        assert (await forum.cancel(run)).state == "cancelled"
        assert (await forum.resume(run)).state == "cancelled"
        assert forum.ledger.size == size
        assert_clean(forum)


async def test_a_holder_that_slept_past_its_lease_loses_the_run_and_writes_nothing_more(stage: Stage) -> None:
    wall, asleep, settings = SteppedClock(), anyio.Event(), stage.settings(WORKER)

    async def sleeper(_: Call) -> str:
        await asleep.wait()
        return "from the first holder"

    clock = Clock(now_us=wall)
    async with Orchestrator.open(settings, executors={"model": ScriptedExecutor(sleeper)}, clock=clock) as first:
        run = (await first.submit("say hello", single=True, wait_s=0)).run_id
        while not stage.entries(first, "call.started"):
            await anyio.lowlevel.checkpoint()
        async with Orchestrator.open(
            settings, executors={"model": ScriptedExecutor(stage.cast)}, clock=clock
        ) as second:
            with pytest.raises(RunHeld):
                await second.resume(run)
            wall.us += 16_000_000
            with anyio.fail_after(5):
                view = await second.resume(run, wait_s=60)
            assert view.state == "succeeded"
            assert view.answer == "result of t1"
            size = second.ledger.size
            asleep.set()
            with anyio.fail_after(5):
                assert (await first.run(run, wait_s=60)).answer == "result of t1"
    async with stage.forum(settings) as forum:
        assert forum.ledger.size == size
        assert_clean(forum)


async def test_an_item_whose_holder_is_gone_is_offered_again_though_the_clock_was_set_back(stage: Stage) -> None:
    wall = SteppedClock()
    model = ScriptedExecutor(stage.cast)
    async with Orchestrator.open(stage.settings(HOST), executors={"model": model}, clock=Clock(now_us=wall)) as forum:
        run = (await forum.submit("say hello", single=True)).run_id
        [item] = (await forum.work_next(run, client="first")).items
        wall.us -= 600_000_000
        assert not (await forum.work_next(run, client="second")).items, "it may well be at work"
        wall.us -= 365 * 86_400_000_000
        [again] = (await forum.work_next(run, client="second")).items
        assert again.item == item.item
        await forum.work_complete(again.item, "hello", client="second", wait_s=60)
        assert (await forum.run(run, wait_s=60)).state == "succeeded"
        assert_clean(forum)


async def test_why_an_item_was_not_done_is_kept_and_not_by_the_megabyte(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        run = (await forum.submit("say hello", single=True)).run_id
        [item] = (await forum.work_next(run, client="first")).items
        await forum.work_fail(item.item, "no\ud800 " * 500_000, client="first", wait_s=60)
        [ref] = [entry.bodies["detail"] for entry in stage.entries(forum, "call.finished")]
        assert forum.ledger.body(str(ref["commit"])).data.decode().startswith("no? no? ")
        assert len(forum.ledger.body(str(ref["commit"])).data) == 4_000
        assert_clean(forum)


@pytest.mark.parametrize("holder", ["OTHER/1:1:1:x", "x", "", ":::", "BOOT:notapid:1:x", "BOOT:99999999999:1:x"])
async def test_a_lease_of_another_container_or_of_nobody_we_can_ask_holds_until_it_runs_out(
    stage: Stage, holder: str
) -> None:
    wall, settings = SteppedClock(), stage.settings(HOST)
    model = ScriptedExecutor(stage.cast)
    async with Orchestrator.open(settings, executors={"model": model}, clock=Clock(now_us=wall)) as forum:
        run = RunId((await forum.submit("say hello", single=True)).run_id)
    boot = holder_id("").partition(":")[0]
    named = holder.replace("BOOT", boot).replace("OTHER", boot.partition("/")[0])
    async with Orchestrator.open(settings, executors={"model": model}, clock=Clock(now_us=wall)) as forum:
        lease = Lease(run, named, 7, wall.us + 15_000_000)
        forum.ledger.store.transact(lambda tx: tx.set_lease(lease))
        if "99999999999" in holder:
            assert (await forum.resume(run)).state == "waiting", "no such process: it is dead, whatever its lease says"
            return
        with pytest.raises(RunHeld, match="of another machine or container" if "BOOT" not in holder else "alive"):
            await forum.resume(run)
        wall.us += 16_000_000
        assert (await forum.resume(run)).state == "waiting"
        assert_clean(forum)


async def test_an_item_goes_to_one_client_when_several_find_its_lease_run_out(stage: Stage) -> None:
    wall = SteppedClock()
    model = ScriptedExecutor(stage.cast)
    async with Orchestrator.open(stage.settings(HOST), executors={"model": model}, clock=Clock(now_us=wall)) as forum:
        run = (await forum.submit("say hello", single=True)).run_id
        await forum.work_next(run, client="first")
        wall.us += 901_000_000
        taken: list[str] = []

        async def take(client: str) -> None:
            taken.extend(client for _ in (await forum.work_next(run, client=client)).items)

        async with anyio.create_task_group() as group:
            for client in ("second", "third", "fourth"):
                group.start_soon(take, client)
        assert len(taken) == 1
        assert len(stage.entries(forum, "work.expired")) == 1
        assert_clean(forum)


async def test_a_cancel_of_an_interrupted_run_begins_no_call(stage: Stage) -> None:
    async def never(_: Call) -> Outcome:
        await anyio.sleep_forever()
        return Outcome()

    stage.cast.task = never
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("say hello", single=True, wait_s=0)).run_id
        while not stage.cast.received:
            await anyio.lowlevel.checkpoint()
    async with stage.forum(stage.settings(WORKER)) as forum:
        assert (await forum.run(run)).state == "interrupted"
        assert (await forum.cancel(run)).state == "cancelled"
        assert len(stage.cast.received) == 1
        assert len(stage.entries(forum, "call.started")) == 1
        assert_clean(forum)
