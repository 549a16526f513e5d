"""Budgets at their edges: figures that cannot be, midnight, calls that were lost, and decisions that looked away."""

import msgspec
import pytest

from forum_mcp.configs.settings import AmountSettings, LimitSettings
from forum_mcp.engine.accounts import moves_between, position_of
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.redaction import redact_commit
from forum_mcp.engine.rederive_accounts import AccountAudit
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.ledger.entry import RunId
from forum_mcp.ledger.kinds.base import Amounts, Seen
from forum_mcp.rules.budget import day_of
from forum_mcp.rules.run import OpenCall, RunState
from forum_mcp.rules.transitions import settle_spend
from tests.engine.stage import WORKER, Stage, assert_clean
from tests.rules.record import Record, contract, plan_json

THREE = {"tasks": [{"id": f"t{n}", "lane": "backend", "instruction": f"do {n}"} for n in range(3)]}


@pytest.mark.parametrize(("tokens_in", "cost"), [(-5_000, -9), (10**30, 10**30), (True, None)])
async def test_figures_that_cannot_be_are_not_believed(stage: Stage, tokens_in: int, cost: int | None) -> None:
    def lie(call: Call) -> Outcome:
        return Outcome(reply=b"done", tokens_in=tokens_in, tokens_out=-1, cost_microusd=cost)

    stage.cast.task = lie
    async with stage.forum(stage.settings(WORKER)) as forum:
        view = await forum.submit("all", plan=THREE, max_total_tokens=5_000, max_parallel=1, wait_s=60)
        assert view.spent.tokens in (None, 5_000)
        assert [task.state for task in view.tasks] == ["succeeded", "skipped", "skipped"]
        told = [entry.data for entry in stage.entries(forum, "call.finished")]
        assert all("tokens_in" not in each and (each.get("cost_microusd") or 0) == 0 for each in told)
        assert_clean(forum)


def test_an_outcome_below_zero_in_the_record_gives_nothing_back() -> None:
    record = Record(contract(), plan=plan_json(("a", []), ("b", [])), limits=Amounts(tokens=9_000))
    record.answer(tokens=-(10**9), cost=-(10**9))
    assert (record.state.spend.tokens, record.state.spend.microusd) == (0, 0)


def test_calls_lost_together_are_charged_each_to_the_day_it_began() -> None:
    state = RunState(RunId("1" * 32))
    for seq, day in ((1, "2026-01-01"), (2, "2026-01-02")):
        state.open[seq] = OpenCall(seq, "task", None, "m", "chat", Amounts(calls=1, tokens=100 * seq), day=day)
    before = position_of(state)
    for seq in (1, 2):
        settle_spend(state, state.open.pop(seq), None)
    moved = {
        day: (settled.calls, settled.tokens, reserved.tokens) for day, settled, reserved in moves_between(before, state)
    }
    assert moved == {"2026-01-01": (1, 100, -100), "2026-01-02": (1, 200, -200)}


async def test_a_redacted_text_hides_no_false_account(stage: Stage) -> None:
    limits = LimitSettings(day=AmountSettings(calls=9))
    async with stage.forum(stage.settings(WORKER, limits=limits)) as forum:
        await forum.submit("all", plan=THREE, wait_s=60)
        output = stage.entries(forum, "call.finished")[0].bodies["reply"]
        redact_commit(forum.ledger, str(output["commit"]), "asked", yes=True)
        day = day_of(stage.entries(forum, "call.started")[0].at)
        till = msgspec.json.encode({"day": day, "settled": {}, "reserved": {}})
        forum.ledger.store.transact(lambda tx: tx.set_account(f"default:{day}", till))
        await forum.submit("all", plan=THREE, wait_s=60)
        assert "settled 3 calls" in str(forum.ledger.verify(level=4).findings[0].expected)


@pytest.mark.parametrize("seen", [None, "1999-12-31"])
def test_a_decision_that_looked_at_no_account_or_another_days_is_found(seen: str | None) -> None:
    record = Record(contract(day_limits=Amounts(calls=5)), plan=plan_json(("a", [])))
    entry = record.of_kind("task.started")[0]
    record.state.seen = None if seen is None else Seen(day=seen, settled=Amounts(), reserved=Amounts())
    book = AccountAudit()
    book.before(record.state, entry)
    assert [each.seq for each in book.findings()][:1] == [entry.seq]


def damage(forum: Orchestrator, day: str, value: bytes) -> None:
    forum.ledger.store.transact(lambda tx: tx.set_account(f"default:{day}", value))


NEGATIVE = b'{"day":"DAY","settled":{"calls":-4},"reserved":{}}'
OTHER_DAY = b'{"day":"1999-12-31","settled":{},"reserved":{}}'


@pytest.mark.parametrize("value", [b"", b"not an account", b"[]", b"{}", b"\xff", b'{"day":1}', OTHER_DAY, NEGATIVE])
async def test_a_damaged_account_of_the_day_is_summed_up_from_the_entries(stage: Stage, value: bytes) -> None:
    limits = LimitSettings(day=AmountSettings(calls=4))
    async with stage.forum(stage.settings(WORKER, limits=limits)) as forum:
        first = await forum.submit("all", plan=THREE, wait_s=60)
        day = day_of(stage.entries(forum, "call.started")[0].at)
        bad = value.replace(b"DAY", day.encode())
        damage(forum, day, bad)

        def worse(call: Call) -> str:
            damage(forum, day, bad)  # between the call's reservation and its settlement
            return "done"

        stage.cast.task = worse
        second = await forum.submit("all", plan=THREE, wait_s=60)
        assert (first.state, second.state, second.spent.calls) == ("succeeded", "failed", 1)
        assert second.error == "budget-calls"
        assert_clean(forum)


async def test_an_account_that_nobody_can_sum_up_any_more_is_refused_with_what_to_do(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    limits = LimitSettings(day=AmountSettings(calls=9))
    async with stage.forum(stage.settings(WORKER, limits=limits)) as forum:
        first = await forum.submit("all", plan=THREE, wait_s=60)
        started = forum.ledger.show(run_id=first.run_id, kind="run.started").entries[0]
        redact_commit(forum.ledger, str(started.bodies["contract"]["commit"]), "asked", yes=True)
        damage(forum, day_of(stage.entries(forum, "call.started")[0].at), b"not an account")
        second = await forum.submit("all", plan=THREE, single=False, wait_s=60)
        assert second.state == "interrupted"
        assert second.spent.calls == 0
    assert "or without [limits.day]" in caplog.text
