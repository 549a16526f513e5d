"""The calling assistant is the executor: items are parked in the record, handed out and taken back."""

import anyio
import pytest

from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import AttemptClosed, NotFound
from forum_mcp.executors.scripted import ScriptedExecutor
from tests.engine.stage import HOST, Stage, assert_clean

REQUEST = "1. write the readme\n2. test the backend endpoint\n3. make the css responsive"


async def do_all(forum: Orchestrator, run: str) -> None:
    while (await forum.run(run)).state == "waiting":
        for item in (await forum.work_next(run, limit=2, client="tester")).items:
            await forum.work_complete(item.item, f"done: {item.task}", client="tester")


async def noticed(forum: Orchestrator, run: str) -> None:
    """Wait until the run's first task is settled; another process's append has no event here."""
    while True:
        if (await forum.run(run)).tasks[0].state == "succeeded":
            return
        await anyio.sleep(0.02)


async def test_submit_answers_at_once_with_the_call_to_make(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        with anyio.fail_after(20):
            view = await forum.submit(REQUEST, wait_s=3600)
        assert view.state == "waiting"
        assert view.next is not None
        assert (view.next.tool, view.next.arguments["action"]) == ("work", "next")


async def test_a_run_is_finished_by_its_caller_alone(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        view = await forum.submit(REQUEST)
        await do_all(forum, view.run_id)
        done = await forum.run(view.run_id)
        assert (done.state, len(done.tasks)) == ("succeeded", 3)
        actors = {entry.actor for entry in stage.entries(forum, "call.finished")}
        assert actors == {"host:tester"}
        assert_clean(forum)


async def test_an_item_is_handed_to_one_worker_only(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        view = await forum.submit(REQUEST)
        first, second = [(await forum.work_next(view.run_id, limit=2)).items for _ in range(2)]
        assert {item.item for item in first}.isdisjoint({item.item for item in second})
        assert len(first) + len(second) == 3


async def test_a_second_result_for_an_item_is_refused_and_changes_nothing(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        await forum.submit(REQUEST)
        (item,) = (await forum.work_next()).items
        await forum.work_complete(item.item, "one")
        size = forum.ledger.size
        with pytest.raises(AttemptClosed):
            await forum.work_complete(item.item, "two")
        with pytest.raises(AttemptClosed):
            await forum.work_fail(item.item, "two")
        assert forum.ledger.size == size
        assert_clean(forum)


async def test_work_that_is_declined_fails_its_task_and_the_others_go_on(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        view = await forum.submit(REQUEST)
        (item,) = (await forum.work_next(view.run_id)).items
        await forum.work_fail(item.item, "no access to the repository")
        await do_all(forum, view.run_id)
        done = await forum.run(view.run_id)
        assert (done.state, done.failed) == ("failed", [item.task])
        assert done.answer is not None
        assert_clean(forum)


async def test_rubbish_handed_back_is_judged_like_any_output(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        view = await forum.submit("one thing", single=True)
        (item,) = (await forum.work_next(view.run_id)).items
        await forum.work_complete(item.item, "  \n ")
        done = await forum.run(view.run_id)
        assert (done.state, done.tasks[0].error) == ("failed", "empty-reply")
        assert_clean(forum)


async def test_an_unknown_item_is_not_found(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        for item in (0, 99, -1):
            with pytest.raises(NotFound):
                await forum.work_complete(item, "x")


async def test_another_process_may_do_the_work_while_the_first_lives_and_after_it_left(stage: Stage) -> None:
    settings = stage.settings(HOST)
    async with stage.forum(settings) as other:
        async with stage.forum(settings) as forum:
            view = await forum.submit(REQUEST)
            (item,) = (await other.work_next(view.run_id)).items
            await other.work_complete(item.item, "from the other process")
            with anyio.fail_after(20):
                await noticed(forum, view.run_id)
        assert (await other.run(view.run_id)).state == "waiting"
        await do_all(other, view.run_id)
        assert (await other.run(view.run_id)).state == "succeeded"
        assert_clean(other)


async def test_a_waiting_run_can_be_cancelled(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        view = await forum.submit(REQUEST)
        (item,) = (await forum.work_next(view.run_id)).items
        assert (await forum.cancel(view.run_id)).state == "cancelled"
        with pytest.raises(AttemptClosed):
            await forum.work_complete(item.item, "too late")
        assert_clean(forum)


async def test_an_item_whose_answer_was_lost_is_given_again_to_whoever_took_it(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        run = (await forum.submit("write the readme", single=True)).run_id
        (item,) = (await forum.work_next(run, client="tester")).items
        lost = await forum.work_next(run, client="tester")
        assert lost.items == []
        assert lost.next is not None
        assert lost.next.arguments == {"action": "next", "item": item.item}
        assert (await forum.work_next(item=item.item, client="tester")).items == [item]
        other = await forum.work_next(client="somebody else")
        assert (other.items, other.next) == ([], None)
        await forum.work_complete(item.item, "done", client="tester")
        with pytest.raises(AttemptClosed):
            await forum.work_next(item=item.item, client="tester")
        with pytest.raises(NotFound):
            await forum.work_next(item=0, client="tester")
        assert_clean(forum)


async def test_progress_keeps_an_item_for_whoever_is_at_it(stage: Stage) -> None:
    wall_us = 1_900_000_000_000_000
    clock = Clock(now_us=lambda: wall_us)
    async with Orchestrator.open(
        stage.settings(HOST), executors={"model": ScriptedExecutor(stage.cast)}, clock=clock
    ) as forum:
        run = (await forum.submit("write the readme", single=True)).run_id
        (item,) = (await forum.work_next(run, client="tester")).items
        wall_us += 800_000_000
        told = await forum.work_progress(item.item, "half of it", client="tester")
        assert told.next is not None
        assert told.next.arguments["item"] == item.item
        wall_us += 800_000_000
        assert (await forum.work_next(run, client="another")).items == [], "its lease would have run out"
        with pytest.raises(AttemptClosed, match="not yours"):
            await forum.work_progress(item.item, client="another")
        wall_us += 200_000_000
        assert [each.item for each in (await forum.work_next(run, client="another")).items] == [item.item]
        with pytest.raises(AttemptClosed, match="host:another has it"):
            await forum.work_progress(item.item, client="tester")
        await forum.work_complete(item.item, "done", client="another")
        with pytest.raises(AttemptClosed):
            await forum.work_progress(item.item, client="another")
        with pytest.raises(NotFound):
            await forum.work_progress(0, client="another")
        [told_of] = stage.entries(forum, "work.progressed")
        assert told_of.bodies["note"]["text"] == "half of it"
        assert_clean(forum)
