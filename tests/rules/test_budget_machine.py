"""Budgets under arbitrary interleavings: what is settled and reserved never goes beyond a limit, in any currency.

The bookkeeping here is its own: it reads the entries and nothing of the state.
"""

from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from forum_mcp.engine.accounts import account_of_day, limited, move_accounts, moves_between, position_of
from forum_mcp.ledger.entry import Draft
from forum_mcp.ledger.kinds.base import Amounts, Seen
from forum_mcp.rules.contract import Contract, ExecutorTerms
from forum_mcp.rules.prices import Price, cost_microusd
from tests.rules.record import Record, contract, plan_json, terms

PASSED: Final = '{"passed": true, "reason": "", "evidence": ""}'
FAILED: Final = '{"passed": false, "reason": "no", "evidence": ""}'
ERRORS: Final = [None, None, None, "exit-code", "rate-limit", "server-error", "refused", "timeout"]
TASKS: Final[list[tuple[str, list[str]]]] = [("a", []), ("b", []), ("c", ["a"]), ("d", ["a", "b"])]
DAY: Final = "1970-01-01"
MOMENT_MS: Final = 1_000
"""By which an attempt may be planned past the run's end: the run's limit ends it before."""


class Till:
    """The accounts of a ledger."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def account(self, name: str) -> bytes | None:
        return self._values.get(name)

    def set_account(self, name: str, value: bytes) -> None:
        self._values[name] = value


class Charged(Record):
    """A run whose decisions see the account of the day, as the recorder lets them."""

    def __init__(self, till: Till, bound: Contract, limits: Amounts) -> None:
        self._till = till
        super().__init__(bound, plan=plan_json(*TASKS), limits=limits)

    def look(self) -> None:
        if limited(self.state):
            self.state.seen = account_of_day(self._till, "default", 0, undamaged)

    def _append(self, draft: Draft) -> None:
        before = position_of(self.state)
        super()._append(draft)
        if limited(self.state):
            move_accounts(self._till, "default", moves_between(before, self.state), undamaged)


def undamaged(project: str, day: str) -> Seen:
    """Never called: what is kept here can be read."""
    raise AssertionError(f"the account of {project} on {day} was not read")


def priced(max_tokens: int | None, input_usd: int, output_usd: int) -> ExecutorTerms:
    """Return terms with a price in US dollars per million tokens."""
    price = Price(input_pusd=input_usd * 10**6, output_pusd=output_usd * 10**6, source="test")
    return terms(type="chat", max_tokens=max_tokens, price=price, max_parallel=3)


class Budgets(RuleBasedStateMachine):
    """Two runs of one project under limits of all kinds."""

    runs: list[Charged]

    @initialize(
        calls=st.one_of(st.none(), st.integers(1, 14)),
        tokens=st.one_of(st.none(), st.integers(500, 30_000)),
        microusd=st.one_of(st.none(), st.integers(500, 90_000)),
        task=st.one_of(st.none(), st.integers(2_000, 9_000)),
        day=st.one_of(st.none(), st.integers(1_000, 40_000)),
        max_tokens=st.one_of(st.none(), st.integers(1, 800)),
        judged=st.booleans(),
    )
    def begin(
        self,
        calls: int | None,
        tokens: int | None,
        microusd: int | None,
        task: int | None,
        day: int | None,
        max_tokens: int | None,
        judged: bool,
    ) -> None:
        self.limits = Amounts(calls=calls, tokens=tokens, microusd=microusd, ms=50_000)
        self.day = Amounts(tokens=day, microusd=None if day is None else 3 * day)
        bound = contract(
            {"cheap": priced(max_tokens, 1, 2), "dear": priced(max_tokens, 5, 9)},
            task_limits=Amounts(tokens=task, calls=None if task is None else 3),
            day_limits=self.day,
            worker=["cheap", "dear"],
            validator=["cheap"] if judged else ["rules"],
            synthesizer=["dear"],
        )
        till = Till()
        self.runs = [Charged(till, bound, self.limits) for _ in range(2)]

    def started(self, run: Charged) -> dict[int, dict[str, Any]]:
        return {entry.seq: dict(entry.data) for entry in run.of_kind("call.started")}

    @rule(
        which=st.integers(0, 1),
        index=st.integers(0, 5),
        share_in=st.integers(0, 100),
        share_out=st.integers(0, 100),
        told=st.booleans(),
        error=st.sampled_from(ERRORS),
        passes=st.booleans(),
    )
    def settle(
        self, which: int, index: int, share_in: int, share_out: int, told: bool, error: str | None, passes: bool
    ) -> None:
        run = self.runs[which]
        if not run.state.open:
            return
        seq = list(run.state.open)[index % len(run.state.open)]
        call = self.started(run)[seq]
        entry = next(each for each in run.entries if each.seq == seq)
        size = sum(len(run.text(entry, name)) for name in entry.bodies)
        tokens_in, tokens_out = size * share_in // 100, 0
        ceiling = call.get("max_tokens")
        reserved = call["reserve"].get("tokens")
        if ceiling is not None:
            tokens_out = ceiling * share_out // 100
        elif reserved is not None:
            tokens_in = min(tokens_in, reserved)
            tokens_out = (reserved - tokens_in) * share_out // 100
        bound = run.state.contract
        assert bound is not None
        price = bound.executors[call["executor"]].price
        assert price is not None
        cost = cost_microusd(price, tokens_in, tokens_out)
        if ceiling is None and "microusd" in call["reserve"]:
            cost = min(cost, call["reserve"]["microusd"])
        reply = (PASSED if passes else FAILED) if call["purpose"] == "validate" else "done"
        run.answer(
            seq,
            None if error else reply,
            error,
            tokens=tokens_in if told else None,
            tokens_out=tokens_out if told else None,
            cost=cost if told else None,
            retry_after_ms=700 if error == "rate-limit" else None,
        )

    @rule(which=st.integers(0, 1))
    def time_passes(self, which: int) -> None:
        if self.runs[which].state.timers:
            self.runs[which].fire()

    @rule(which=st.integers(0, 1))
    def crash(self, which: int) -> None:
        if self.runs[which].state.phase != "finished":
            self.runs[which].resume()

    @precondition(lambda self: any(len(run.entries) > 25 for run in self.runs))
    @rule(which=st.integers(0, 1))
    def cancel(self, which: int) -> None:
        if self.runs[which].state.phase != "finished":
            self.runs[which].cancel()

    @invariant()
    def every_limit_holds(self) -> None:
        day: dict[str, int] = {"tokens": 0, "microusd": 0}
        for run in self.runs:
            taken, by_task = self.count(run)
            for currency in ("calls", "tokens", "microusd"):
                limit = getattr(self.limits, currency)
                assert limit is None or taken[currency] <= limit, f"{currency}: {taken[currency]} of {limit}"
            assert (
                run.state.t_ms + max((call["timeout_ms"] for call in self.open(run)), default=0) <= 50_000 + MOMENT_MS
            )
            bound = run.state.contract
            assert bound is not None
            for name, amounts in by_task.items():
                for currency in ("calls", "tokens"):
                    limit = getattr(bound.task_limits, currency)
                    assert limit is None or amounts[currency] <= limit, f"{name}, {currency}: {amounts} of {limit}"
            for currency in day:
                day[currency] += taken[currency]
        for currency, amount in day.items():
            limit = getattr(self.day, currency)
            assert limit is None or amount <= limit, f"the day's {currency}: {amount} of {limit}"

    def open(self, run: Charged) -> list[dict[str, Any]]:
        calls = self.started(run)
        newest = run.entries[-1].data.get("t_ms")
        return [calls[seq] for seq in run.state.open if calls[seq]["t_ms"] == newest]

    def count(self, run: Charged) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """Sum what the entries say: an outcome that tells, else the reservation."""
        calls = self.started(run)
        told: dict[object, dict[str, Any]] = {
            entry.data["call"]: dict(entry.data) for entry in run.of_kind("call.finished")
        }
        total = {"calls": 0, "tokens": 0, "microusd": 0}
        tasks: dict[str, dict[str, int]] = {}
        for seq, call in calls.items():
            outcome = told.get(seq, {})
            reserve = call["reserve"]
            both = "tokens_in" in outcome and "tokens_out" in outcome
            amounts = {
                "calls": reserve["calls"],
                "tokens": outcome["tokens_in"] + outcome["tokens_out"] if both else reserve.get("tokens", 0),
                "microusd": outcome.get("cost_microusd", reserve.get("microusd", 0)),
            }
            mine = tasks.setdefault(call.get("task", ""), dict.fromkeys(total, 0))
            for currency, amount in amounts.items():
                total[currency] += amount
                mine[currency] += amount
        tasks.pop("", None)
        return total, tasks


def test_no_interleaving_breaks_a_limit(rounds: int | None) -> None:
    """``--rounds N`` tries N interleavings of up to 40 steps each."""
    ample = settings(stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    run_state_machine_as_test(Budgets, settings=settings(ample, max_examples=rounds or ample.max_examples))
