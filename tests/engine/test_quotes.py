"""Quotes: what a plan is likely to take, told by the record's own history."""

from forum_mcp.engine.history import History
from forum_mcp.executors.base import Call, Outcome
from tests.engine.stage import WORKER, Stage

PLAN = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "do a"},
        {"id": "b", "lane": "frontend", "instruction": "do b", "depends_on": ["a"]},
    ]
}


def told(call: Call) -> Outcome:
    """Answer and tell what was used."""
    return Outcome(reply=b"done", tokens_in=100 if call.task == "a" else 40, tokens_out=10)


async def test_a_plan_without_history_is_not_guessed_at(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        view = await forum.quoted(await forum.plan("both", plan=PLAN))
        assert view.quote is not None
        assert (view.quote.unknown, view.quote.calls, view.quote.tokens) == (["a", "b"], 0, None)


async def test_a_quote_is_the_median_of_what_tasks_of_the_lane_took(stage: Stage) -> None:
    stage.cast.task = told
    async with stage.forum(stage.settings(WORKER)) as forum:
        for _ in range(3):
            await forum.submit("both", plan=PLAN, wait_s=60)
        view = await forum.quoted(await forum.plan("both again", plan=PLAN))
        assert view.quote is not None
        assert [(each.basis, each.calls, each.tokens, each.cost_usd) for each in view.quote.tasks] == [
            (3, 1, 110, 0.0),
            (3, 1, 50, 0.0),
        ]
        assert (view.quote.calls, view.quote.tokens, view.quote.unknown) == (2, 160, [])


async def test_a_lane_without_history_borrows_what_its_executor_took_elsewhere(stage: Stage) -> None:
    stage.cast.task = told
    async with stage.forum(stage.settings(WORKER)) as forum:
        await forum.submit("both", plan=PLAN, wait_s=60)
        other = {"tasks": [{"id": "x", "lane": "security", "instruction": "look"}]}
        view = await forum.quoted(await forum.plan("look", plan=other))
        assert view.quote is not None
        assert [(each.id, each.basis) for each in view.quote.tasks] == [("x", 2)]


async def test_a_task_that_was_taken_over_earned_nothing_again(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("both", plan=PLAN, wait_s=60)).run_id
        await forum.fork(run, wait_s=60)
        assert [(row.lane, row.model, row.passed, row.undecided) for row in (await forum.learned()).rows] == [
            ("backend", "model", 1, 0),
            ("frontend", "model", 1, 0),
        ]


async def test_what_a_finished_run_took_is_read_once(stage: Stage) -> None:
    stage.cast.task = told
    history = History()
    async with stage.forum(stage.settings(WORKER)) as forum:
        await forum.submit("both", plan=PLAN, wait_s=60)
        resting = (await forum.plan("both", plan=PLAN)).run_id
        store = forum.ledger.store
        before = dict(history.runs(store, 10))
        after = dict(history.runs(store, 10))
        assert [run for run in before if before[run] and before[run] is after[run]] == [
            run for run in before if run != resting
        ]
