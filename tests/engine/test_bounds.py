"""What is bounded says so: answers, limits, and how often a task with effects may run."""

from typing import Any

import msgspec
import pytest

from forum_mcp.configs.settings import LimitSettings, RoleSettings
from forum_mcp.errors import PlanRefused, RequestRefused
from forum_mcp.executors.base import Outcome
from tests.engine.stage import WORKER, Stage, assert_clean, plan_of


@pytest.mark.parametrize("max_parallel", [0, -1])
async def test_a_parallel_cap_below_one_is_refused_and_nothing_is_recorded(stage: Stage, max_parallel: int) -> None:
    async with stage.forum() as forum:
        with pytest.raises(RequestRefused, match="max_parallel"):
            await forum.submit("say hello", max_parallel=max_parallel)
        assert forum.ledger.size == 1


@pytest.mark.parametrize(
    "option",
    [
        {"max_calls": True},
        {"max_calls": 2.5},
        {"max_calls": "3"},
        {"max_usd": "1"},
        {"max_seconds": []},
        {"max_parallel": 1.0},
        {"single": "yes"},
        {"escalate": 1},
        {"context": "guide"},
        {"workers": "model"},
        {"workers": {"*": 1}},
        {"lane": 7},
        {"approve": True},
    ],
    ids=str,
)
async def test_an_option_of_another_type_is_refused_by_name_and_nothing_is_recorded(
    stage: Stage, option: dict[str, Any]
) -> None:
    async with stage.forum() as forum:
        with pytest.raises(RequestRefused, match=rf"`\$\.{next(iter(option))}"):
            await forum.submit("say hello", **option)
        assert forum.ledger.size == 1


@pytest.mark.parametrize("beside", [{"max_calls": 1}, {"max_seconds": 1.0}, {"max_parallel": 1}, {"request": "other"}])
async def test_a_planned_run_takes_no_other_limits_or_request(stage: Stage, beside: dict[str, Any]) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.plan("say hello", single=True)).run_id
        with pytest.raises(RequestRefused, match="without any of them"):
            await forum.submit(plan=run, **beside)
        assert (await forum.run(run)).state == "waiting"


async def test_an_answer_that_leaves_something_out_says_so(stage: Stage) -> None:
    stage.cast.task = lambda _: f"{'x' * 500_000}END"
    stage.cast.validate = lambda _: "no verdict"
    roles = RoleSettings(worker=["model"], validator=["model"])
    async with stage.forum(stage.settings(roles)) as forum:
        answer = (await forum.submit("say it all", single=True, wait_s=60)).answer or ""
        assert "characters left out" in answer
        assert "END\n\nNot validated: t1." in answer
        assert stage.entries(forum, "task.finished")[0].bodies["output"]["size"] == 500_003
        assert_clean(forum)


async def test_an_answer_of_very_many_results_fits_the_record(stage: Stage) -> None:
    stage.cast.task = lambda call: f"{call.task} {'x' * 66_000}"
    plan = msgspec.json.decode(plan_of(*((f"t{number}", list[str]()) for number in range(1_100))))
    settings = stage.settings(WORKER, max_parallel=16, limits=LimitSettings(calls=2_000))
    async with stage.forum(settings) as forum:
        view = await forum.submit("say it all", plan=plan, wait_s=60)
        assert view.state == "succeeded"
        assert len(view.answer or "") < 5_000_000
        assert_clean(forum)


@pytest.mark.parametrize("beside", [{"single": True}, {"lane": "backend"}])
async def test_a_plan_is_not_taken_with_options_that_it_would_make_void(stage: Stage, beside: dict[str, Any]) -> None:
    plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": "x"}]}
    async with stage.forum(stage.settings(WORKER)) as forum:
        for begin in (forum.submit, forum.plan):
            with pytest.raises(RequestRefused, match="names its own tasks and lanes"):
                await begin("x", plan=plan, **beside)
        assert forum.ledger.size == 1


async def test_a_plan_is_checked_as_it_is_recorded(stage: Stage) -> None:
    task = {"id": "a", "lane": "backend", "instruction": "x", "schema": {"minimum": float("nan")}}
    async with stage.forum(stage.settings(WORKER)) as forum:
        with pytest.raises(PlanRefused, match="not a JSON Schema"):
            await forum.submit(plan={"tasks": [task]})
        assert forum.ledger.size == 1


async def test_an_instruction_longer_than_a_prompt_may_be_is_refused(stage: Stage) -> None:
    plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": "x" * 100_001}]}
    async with stage.forum(stage.settings(WORKER)) as forum:
        with pytest.raises(PlanRefused, match="100001 characters"):
            await forum.submit("long", plan=plan)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [("timeout", 1), ("connection-lost", 1), ("exit-code", 1), ("rate-limit", 4), ("connect", 4), ("auth", 2)],
)
async def test_a_task_with_effects_runs_again_only_where_its_work_had_not_begun(
    stage: Stage, error: Any, attempts: int
) -> None:
    stage.cast.task = lambda _: Outcome(error=error, retry_after_ms=1)
    plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": "pay the bill", "effects": "once"}]}
    async with stage.forum(stage.settings(RoleSettings(worker=["model", "model"]))) as forum:
        view = await forum.submit("pay", plan=plan, wait_s=60)
        assert view.failed == ["a"]
        assert len(stage.cast.received) == attempts
        assert_clean(forum)


async def test_a_failed_verdict_makes_no_task_with_effects_run_again(stage: Stage) -> None:
    stage.cast.validate = lambda _: '{"passed": false, "reason": "not enough", "evidence": ""}'
    plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": "pay the bill", "effects": "once"}]}
    roles = RoleSettings(worker=["model", "model"], validator=["model"])
    async with stage.forum(stage.settings(roles)) as forum:
        assert (await forum.submit("pay", plan=plan, wait_s=60)).failed == ["a"]
        assert [call.purpose for call in stage.cast.received] == ["task", "validate"]
        assert_clean(forum)
