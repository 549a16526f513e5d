"""Budgets: what a call would take, and whether that still fits.

A call is reserved for before it starts and settled by its outcome, and ``settled + reserved <= limit`` holds at every
call in calls, tokens and US dollars. Time is not reserved, it passes: a call may not outlast what is left of it, and
what runs at the limit is ended. A reservation is an upper bound: a prompt has at most as many tokens as bytes, a
reply at most the executor's ``max_tokens``; where that is open, the call takes all that is left and runs alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, Literal

import msgspec

from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.ledger.kinds.run import BudgetStopped
from forum_mcp.roles.prompt import Prompt
from forum_mcp.rules.contract import RULES, ExecutorTerms
from forum_mcp.rules.prices import cost_microusd
from forum_mcp.rules.run import CONTEXT, RunState, Spend, TaskState

__all__ = ["VERSION", "Asked", "asks", "day_of", "room", "spent_up", "timeout_ms", "to_next_toll"]

VERSION: Final = 1

_TEMPLATE_TOKENS: Final = 64
"""What a chat template puts around a prompt, at most."""

_SYNTHESIS_TOKENS: Final = 1_024
"""The reply of a synthesis whose executor has no ``max_tokens``, for what is kept back."""

_NOT_OURS: Final = ("host", "sampling")
"""Types whose model is the client's: its tokens and its bill are not of this budget."""

_MOMENT_MS: Final = 1_000
_DAY_US: Final = 86_400_000_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()

_Currency = Literal["calls", "tokens", "microusd"]
_NOTHING: Final = Amounts()
_CURRENCIES: Final[tuple[_Currency, ...]] = ("calls", "tokens", "microusd")


class Asked(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a call would take. ``tokens`` or ``microusd`` None: no bound is known."""

    calls: int = 1
    tokens: int | None = None
    microusd: int | None = None


def asks(prompt: Prompt, terms: ExecutorTerms) -> Asked:
    """Return the upper bound of what a call with this prompt takes."""
    if terms.type in _NOT_OURS:
        return Asked(tokens=0, microusd=0)
    tokens_in = _TEMPLATE_TOKENS + len(prompt.system.encode()) + len(prompt.user.encode()) + len(prompt.schema or b"")
    price, tokens_out = terms.price, terms.max_tokens
    microusd = None
    if price is not None and (tokens_out is not None or price.output_pusd == 0):
        microusd = cost_microusd(price, tokens_in, tokens_out or 0)
    return Asked(tokens=None if tokens_out is None else tokens_in + tokens_out, microusd=microusd)


@dataclass(frozen=True, slots=True)
class _Scope:
    """One account that a call is charged to; ``held_open`` is what open calls of this run hold of ``reserved``."""

    name: Literal["run", "task", "day"]
    limits: Amounts
    settled: Mapping[_Currency, int]
    reserved: Mapping[_Currency, int]
    held_open: Mapping[_Currency, int]
    kept_back: Amounts

    def fit(self, currency: _Currency, amount: int | None, *, unpriced: bool) -> int | BudgetStopped | Literal["wait"]:
        """Return how much to reserve (0: nothing is limited), ``wait``, or the refusal."""
        limit: int | None = getattr(self.limits, currency)
        if limit is None:
            return 0
        settled, reserved, held_open = self.settled[currency], self.reserved[currency], self.held_open[currency]
        kept_back: int = getattr(self.kept_back, currency) or 0
        left = limit - kept_back - settled - reserved
        if unpriced:
            return self._stop(currency, limit, 0, kept_back, unpriced=True)
        if amount is None:
            if held_open:
                return "wait"
            amount = max(1, left)
        if amount <= left:
            return amount
        if currency != "calls" and amount <= left + held_open:
            return "wait"
        return self._stop(currency, limit, amount, kept_back)

    def _stop(
        self, currency: _Currency, limit: int, asked: int, kept_back: int, *, unpriced: bool = False
    ) -> BudgetStopped:
        return BudgetStopped(
            scope=self.name,
            currency=currency,
            limit=limit,
            settled=self.settled[currency],
            reserved=self.reserved[currency],
            asked=asked,
            kept_back=kept_back,
            unpriced=unpriced,
        )


def room(
    state: RunState, purpose: str, asked: Asked, terms: ExecutorTerms, held: TaskState | None
) -> Amounts | BudgetStopped | Literal["wait"]:
    """Return what to reserve for a call, or why it has no place.

    ``wait``: open calls hold more than they may take, and what they give back may be enough. A refusal whose scope is
    ``task`` ends the task and not the run.
    """
    if purpose.startswith(CONTEXT):
        return Amounts()
    reserve: dict[_Currency, int] = {"calls": asked.calls}
    for scope in _scopes(state, purpose, held):
        for currency in _CURRENCIES:
            unpriced = currency == "microusd" and terms.price is None
            found = scope.fit(currency, getattr(asked, currency), unpriced=unpriced)
            if not isinstance(found, int):
                return found
            if found:
                reserve[currency] = min(found, reserve.get(currency, found))
    assert state.contract is not None
    step = state.contract.gates.cost_microusd
    if step is not None and terms.price is not None:
        held_for_toll = to_next_toll(state, step) if asked.microusd is None else asked.microusd
        if held_for_toll:
            reserve.setdefault("microusd", held_for_toll)
    return Amounts(**reserve)


def to_next_toll(state: RunState, step: int) -> int:
    """Return how many millionths of a dollar are left up to the next multiple of ``step``."""
    return step - state.spend.microusd % step


def spent_up(state: RunState, purpose: str, held: TaskState | None = None) -> BudgetStopped | None:
    """Return the refusal of the smallest call of this purpose, or None when there may be room for one."""
    for scope in _scopes(state, purpose, held):
        for currency in _CURRENCIES:
            found = scope.fit(currency, 1, unpriced=False)
            if isinstance(found, BudgetStopped):
                return found
    return None


def _scopes(state: RunState, purpose: str, held: TaskState | None) -> Iterator[_Scope]:
    assert state.contract is not None
    own = _sums(item.reserve for item in state.open.values())
    yield _Scope("run", state.limits, _sums([_of(state.spend)]), own, own, _kept_back(state, purpose))
    if held is not None and state.contract.task_limits != _NOTHING:
        mine = _sums(item.reserve for item in state.open.values() if item.task == held.plan.id)
        yield _Scope("task", state.contract.task_limits, _sums([_of(held.spend)]), mine, mine, _NOTHING)
    if state.seen is not None:
        yield _Scope(
            "day", state.contract.day_limits, _sums([state.seen.settled]), _sums([state.seen.reserved]), own, _NOTHING
        )


def _sums(amounts: Iterable[Amounts]) -> dict[_Currency, int]:
    calls = tokens = microusd = 0
    for each in amounts:
        calls += each.calls or 0
        tokens += each.tokens or 0
        microusd += each.microusd or 0
    return {"calls": calls, "tokens": tokens, "microusd": microusd}


def _of(spend: Spend) -> Amounts:
    return Amounts(calls=spend.calls, tokens=spend.tokens, microusd=spend.microusd)


def day_of(at_us: int) -> str:
    """Return the day (UTC, ``YYYY-MM-DD``) of a time in microseconds since the epoch."""
    return _day(at_us // _DAY_US)


@lru_cache(maxsize=4)
def _day(number: int) -> str:
    return date.fromordinal(_EPOCH_ORDINAL + number).isoformat()


def timeout_ms(state: RunState, terms: ExecutorTerms) -> int:
    """Return how long an attempt that starts now may take: what the run has left, and a moment.

    The moment is for the run's own limit, which ends the attempt first and says so.
    """
    if state.limits.ms is None:
        return terms.timeout_ms
    return max(1, min(terms.timeout_ms, state.limits.ms - state.t_ms + _MOMENT_MS))


def _kept_back(state: RunState, purpose: str) -> Amounts:
    """Return what is kept for the synthesis, as soon as there may be something to put together.

    One call; of tokens and dollars what the results so far would need, and at most a quarter of the limit: when that
    is too little, rules put the answer together.
    """
    begun = state.slots > 0 or state.unsettled < len(state.tasks)
    executor = state.answering.ladder[0]
    done = state.answer_seq >= 0 or purpose == "synthesize"
    if done or not begun or executor == RULES or len(state.tasks) < 2:
        return Amounts()
    assert state.contract is not None
    terms = state.contract.terms(executor)
    tokens_in = _TEMPLATE_TOKENS + min(4 * terms.input_bytes, len(state.request) + state.result_chars)
    tokens_out = terms.max_tokens or _SYNTHESIS_TOKENS
    price, limits = terms.price, state.limits
    return Amounts(
        calls=1,
        tokens=None if limits.tokens is None else min(tokens_in + tokens_out, limits.tokens // 4),
        microusd=None
        if limits.microusd is None or price is None
        else min(cost_microusd(price, tokens_in, tokens_out), limits.microusd // 4),
    )
