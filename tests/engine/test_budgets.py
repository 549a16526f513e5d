"""Budgets through the whole engine: what is refused, what is kept, what a stopped run returns."""

from contextlib import AbstractAsyncContextManager

import anyio
import msgspec
import pytest

from forum_mcp.configs.settings import (
    AmountSettings,
    ExecutorSettings,
    LimitSettings,
    PriceSettings,
    RoleSettings,
    Settings,
)
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.views import EntryView
from forum_mcp.errors import RequestRefused
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from forum_mcp.rules.budget import day_of
from tests.engine.stage import ALL, Stage, assert_clean

THREE = {
    "tasks": [
        {"id": "one", "lane": "backend", "instruction": "write part one"},
        {"id": "two", "lane": "backend", "instruction": "write part two", "depends_on": ["one"]},
        {"id": "three", "lane": "backend", "instruction": "write part three", "depends_on": ["two"]},
    ]
}


class Dear(ScriptedExecutor):
    """A model that nobody has a price for."""

    type = "chat"


def used(call: Call) -> Outcome:
    """Answer and tell what was used."""
    return Outcome(reply=f"{call.task or call.purpose} done".encode(), tokens_in=100, tokens_out=50)


def whole(entry: EntryView, *path: str) -> int:
    """Return an integer of an entry's data."""
    value: object = entry.data
    for name in path:
        value = msgspec.convert(value, dict[str, object])[name]
    assert isinstance(value, int)
    return value


def open_with(stage: Stage, settings: Settings, name: str) -> AbstractAsyncContextManager[Orchestrator]:
    """Open a forum whose executor of that name is the cast too."""
    cast = ScriptedExecutor(stage.cast)
    return Orchestrator.open(settings, executors={"model": cast, name: cast})


@pytest.mark.parametrize("calls", range(1, 8))
async def test_a_run_stopped_at_any_call_returns_what_was_finished(stage: Stage, calls: int) -> None:
    roles = RoleSettings(worker=["model"], validator=["model"], synthesizer=["model"])
    async with stage.forum(stage.settings(roles, limits=LimitSettings(calls=calls))) as forum:
        view = await forum.submit("write it all", plan=THREE, wait_s=60)
        done = [task.id for task in view.tasks if task.state == "succeeded"]
        assert len(done) >= calls // 2 - 1
        assert (view.answer is not None) == bool(done)
        assert (view.state, view.error) == (("succeeded", None) if len(done) == 3 else ("failed", "budget-calls"))
        assert view.spent.calls <= calls
        assert_clean(forum)


async def test_tokens_are_reserved_before_a_call_and_settled_after_it(stage: Stage) -> None:
    stage.cast.task = used
    terms = ExecutorSettings(type="scripted", script="-", max_tokens=400)
    settings = stage.settings(RoleSettings(worker=["small"]), extra={"small": terms})
    async with open_with(stage, settings, "small") as forum:
        view = await forum.submit("write it all", plan=THREE, max_total_tokens=4_000, wait_s=60)
        assert view.state == "succeeded"
        reserved = [whole(entry, "reserve", "tokens") for entry in stage.entries(forum, "call.started")]
        assert all(400 < each < 4_000 for each in reserved)
        assert view.spent.tokens == 450


async def test_dollars_are_refused_where_nobody_knows_a_price(stage: Stage) -> None:
    terms = ExecutorSettings(type="scripted", script="-")
    settings = stage.settings(RoleSettings(worker=["dear"]), extra={"dear": terms})
    async with Orchestrator.open(settings, executors={"dear": Dear(used), "model": Dear(used)}) as forum:
        with pytest.raises(RequestRefused, match="nobody knows what executor 'dear' costs"):
            await forum.submit("say hello", single=True, max_usd=1.0)
        view = await forum.submit("say hello", single=True)
        assert view.spent.cost_usd is None, "unknown is not zero"


async def test_dollars_are_counted_by_the_price_and_end_the_run(stage: Stage) -> None:
    price = PriceSettings(input=1_000.0, output=2_000.0)
    terms = ExecutorSettings(type="scripted", script="-", max_tokens=50, price=price)
    settings = stage.settings(RoleSettings(worker=["dear"]), extra={"dear": terms}, limits=LimitSettings(usd=1.0))
    async with Orchestrator.open(settings, executors={"dear": Dear(used), "model": Dear(used)}) as forum:
        view = await forum.submit("write it all", plan=THREE, wait_s=60)
        assert (view.state, view.error) == ("failed", "budget-microusd")
        assert view.spent.cost_usd is not None
        assert 0 < view.spent.cost_usd <= 1.0
        [stop] = stage.entries(forum, "budget.stopped")
        assert whole(stop, "settled") + whole(stop, "asked") > whole(stop, "limit")
        assert_clean(forum)


async def test_the_day_of_a_project_binds_all_its_runs(stage: Stage) -> None:
    limits = LimitSettings(day=AmountSettings(calls=4))
    async with stage.forum(stage.settings(RoleSettings(worker=["model"]), limits=limits)) as forum:
        assert (await forum.submit("write it all", plan=THREE, wait_s=60)).state == "succeeded"
    async with stage.forum(stage.settings(RoleSettings(worker=["model"]), limits=limits)) as forum:
        view = await forum.submit("write it all", plan=THREE, wait_s=60)
        assert (view.state, view.error) == ("failed", "budget-calls")
        assert [task.state for task in view.tasks] == ["succeeded", "skipped", "skipped"]
        [stop] = stage.entries(forum, "budget.stopped")
        assert stop.data["scope"] == "day"
        assert whole(stop, "seen", "settled", "calls") == 4
        assert_clean(forum)


async def test_a_task_that_used_its_own_budget_up_fails_and_the_run_goes_on(stage: Stage) -> None:
    stage.cast.task = lambda call: Outcome(error="server-error") if call.task == "a" else "done"
    plan = {"tasks": [{"id": name, "lane": "backend", "instruction": f"do {name}"} for name in ("a", "b")]}
    limits = LimitSettings(task=AmountSettings(calls=1))
    async with stage.forum(stage.settings(RoleSettings(worker=["model"]), limits=limits)) as forum:
        view = await forum.submit("both", plan=plan, wait_s=60)
        assert {task.id: task.state for task in view.tasks} == {"a": "failed", "b": "succeeded"}
        assert not stage.entries(forum, "budget.stopped")
        assert_clean(forum)


async def test_one_rate_limit_keeps_every_call_of_the_model_waiting(stage: Stage) -> None:
    refused: list[str] = []

    def limited(call: Call) -> Outcome | str:
        if not refused:
            refused.append(str(call.task))
            return Outcome(error="rate-limit", http_status=429, retry_after_ms=30)
        return "done"

    stage.cast.task = limited
    plan = {"tasks": [{"id": f"t{n}", "lane": "backend", "instruction": f"do {n}"} for n in range(3)]}
    settings = stage.settings(ALL.model_copy(update={"validator": ["rules"], "synthesizer": ["rules"]}), max_parallel=1)
    async with stage.forum(settings) as forum:
        assert (await forum.submit("all", plan=plan, wait_s=60)).state == "succeeded"
        entries = stage.entries(forum)
        waits = [entry for entry in entries if entry.kind == "call.deferred"]
        assert waits[0].data["reason"] == "rate-limit"
        told = next(entry for entry in entries if entry.data.get("error") == "rate-limit")
        later = [entry for entry in entries if entry.kind == "call.started" and entry.seq > told.seq]
        assert all(whole(entry, "t_ms") >= whole(told, "t_ms") + 30 for entry in later)
        assert_clean(forum)


async def test_a_rate_of_calls_a_minute_is_kept_by_waiting(stage: Stage) -> None:
    terms = ExecutorSettings(type="scripted", script="-", per_minute=1)
    plan = {"tasks": [{"id": f"t{n}", "lane": "backend", "instruction": f"do {n}"} for n in range(2)]}
    settings = stage.settings(RoleSettings(worker=["slow"]), extra={"slow": terms})
    async with open_with(stage, settings, "slow") as forum:
        run = (await forum.submit("both", plan=plan, wait_s=0.3)).run_id
        [wait], first = stage.entries(forum, "call.deferred"), stage.entries(forum, "call.started")[0]
        assert wait.data["reason"] == "rate"
        assert wait.data["not_before_ms"] == whole(first, "t_ms") + 60_000
        assert (await forum.cancel(run)).state == "cancelled"


async def test_a_rate_holds_though_the_time_ends_first_and_nobody_waits_on(stage: Stage) -> None:
    terms = ExecutorSettings(type="scripted", script="-", per_minute=1)
    plan = {"tasks": [{"id": f"t{n}", "lane": "backend", "instruction": f"do {n}"} for n in range(2)]}
    settings = stage.settings(RoleSettings(worker=["slow"]), extra={"slow": terms})
    async with open_with(stage, settings, "slow") as forum:
        with anyio.fail_after(20):
            view = await forum.submit("both", plan=plan, max_seconds=0.3, wait_s=60)
        assert (view.state, view.error, view.spent.calls) == ("failed", "budget-ms", 1)
        assert [(task.state, task.error) for task in view.tasks] == [("succeeded", None), ("failed", "budget")]
        assert "result of t0" in (view.answer or "")
        assert_clean(forum)


async def test_an_account_that_was_not_so_is_a_finding(stage: Stage) -> None:
    limits = LimitSettings(day=AmountSettings(calls=9))
    async with stage.forum(stage.settings(RoleSettings(worker=["model"]), limits=limits)) as forum:
        await forum.submit("write it all", plan=THREE, wait_s=60)
        store = forum.ledger.store
        day = day_of(stage.entries(forum, "call.started")[0].at)
        till = msgspec.json.encode({"day": day, "settled": {"calls": 5}, "reserved": {}})
        store.transact(lambda tx: tx.set_account(f"default:{day}", till))
        await forum.submit("write it all", plan=THREE, wait_s=60)
        found = forum.ledger.verify(level=4).findings
        assert found
        assert {finding.code for finding in found} == {"decision"}
        assert "settled 3 calls" in str(found[0].expected)
