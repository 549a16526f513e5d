"""What comes from outside the rules, as events: the outcome of a call, a result handed back, a cancellation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec

from forum_mcp.errors import AppendRefused, AttemptClosed
from forum_mcp.executors.base import Outcome
from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds.call import CallFinished, CallStarted
from forum_mcp.ledger.kinds.run import RunCancelled
from forum_mcp.rules.calls import TEXT
from forum_mcp.rules.prices import cost_microusd
from forum_mcp.rules.run import OpenCall, RunState

__all__ = ["Event", "cancellation", "host_outcome", "open_call", "outcome_event"]

Event = Callable[[RunState], Draft]
"""Something from outside the rules: given the newest state under the write lock, the entry that reports it.

It raises AppendRefused when the record has moved past it.
"""

_BYTES: Final = "application/octet-stream"
_PATCH: Final = "text/x-diff; charset=utf-8"

_FIGURE_MAX: Final = 10**12
"""Largest figure an outcome is believed to have, a million dollars in millionths."""

_REASON_CHARS: Final = 4_000


def outcome_event(seq: int, started: CallStarted, outcome: Outcome, duration_ms: int) -> Event:
    """Return the ``call.finished`` of an attempt this process performed."""
    outcome = _believable(outcome)
    error = outcome.error
    if error is None and not (outcome.reply or b"").strip():
        error = "empty-reply"
    text = _is_text(outcome.reply or b"")
    if error is None and not text:
        error = "bad-encoding"
    payload = CallFinished(
        call=seq,
        error=error,
        duration_ms=duration_ms,
        finish_reason=outcome.finish_reason[:200] if outcome.finish_reason else None,
        sent_model=outcome.sent_model,
        served_model=outcome.served_model[:200] if outcome.served_model else None,
        tokens_in=outcome.tokens_in,
        tokens_out=outcome.tokens_out,
        exit_code=outcome.exit_code,
        http_status=outcome.http_status,
        retry_after_ms=outcome.retry_after_ms,
        truncated=outcome.truncated,
        isolation=list(outcome.isolation),
    )
    bodies: dict[str, NewBody | BodyRef] = {}
    if outcome.reply:
        bodies["reply"] = NewBody(outcome.reply_type if text else _BYTES, outcome.reply)
    if outcome.patch:
        bodies["patch"] = NewBody(_PATCH if _is_text(outcome.patch) else _BYTES, outcome.patch)
    if outcome.stderr:
        bodies["stderr"] = NewBody(TEXT if _is_text(outcome.stderr) else _BYTES, outcome.stderr)
    if outcome.detail:
        bodies["detail"] = NewBody(TEXT, outcome.detail.encode("utf-8", "replace"))

    def event(state: RunState) -> Draft:
        open_call(state, seq)
        cost, source = _cost(state, started.executor, outcome)
        priced = msgspec.structs.replace(payload, cost_microusd=cost, price_source=source)
        actor = f"executor:{started.executor}"[:200]
        return Draft("call.finished", actor, msgspec.to_builtins(priced), bodies, (seq,))

    return event


def _believable(outcome: Outcome) -> Outcome:
    """Return the outcome without figures that cannot be: what is not told is settled with what was reserved."""
    figures = (outcome.tokens_in, outcome.tokens_out, outcome.cost_microusd, outcome.retry_after_ms)
    if all(_figure(each) is each for each in figures):
        return outcome
    return replace(
        outcome,
        tokens_in=_figure(outcome.tokens_in),
        tokens_out=_figure(outcome.tokens_out),
        cost_microusd=_figure(outcome.cost_microusd),
        retry_after_ms=_figure(outcome.retry_after_ms),
    )


def _figure(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _FIGURE_MAX else None


def _cost(state: RunState, executor: str, outcome: Outcome) -> tuple[int | None, str | None]:
    """Return the cost of an attempt in millionths of a US dollar and who says so: its provider, else its price."""
    if outcome.cost_microusd is not None:
        return outcome.cost_microusd, f"executor:{executor}"[:200]
    price = state.contract.executors[executor].price if state.contract is not None else None
    if price is None:
        return None, None
    if outcome.tokens_in is None or outcome.tokens_out is None:
        return (price.call_microusd, price.source) if price.input_pusd == price.output_pusd == 0 else (None, None)
    cost = cost_microusd(price, outcome.tokens_in, outcome.tokens_out)
    return (cost, price.source) if cost <= _FIGURE_MAX else (None, None)


def cancellation(by: str, reason: str) -> Event:
    """Return the event that asks a run to end."""
    bodies: dict[str, NewBody | BodyRef] = {}
    if reason:
        bodies["reason"] = NewBody(TEXT, reason.encode("utf-8", "replace"))

    def event(state: RunState) -> Draft:
        if state.phase == "finished":
            raise AppendRefused(f"run {state.run} is over: it {state.end}")
        return Draft("run.cancelled", by[:200], msgspec.to_builtins(RunCancelled()), bodies, (state.started_seq,))

    return event


def host_outcome(seq: int, client: str, *, result: str | None, reason: str | None) -> tuple[Event, Event]:
    """Return ``work.returned`` and the ``call.finished`` of an item the calling assistant hands back.

    ``result`` None means that it was not done, for ``reason``.
    """
    actor = f"host:{client}"[:200]

    def returned(state: RunState) -> Draft:
        item = open_call(state, seq)
        return Draft("work.returned", actor, {"call": seq}, {}, (max(item.offered_seq, item.taken_seq),))

    def finished(state: RunState) -> Draft:
        bodies: dict[str, NewBody | BodyRef] = {}
        error: str | None = None
        if result is None:
            error = "refused"
        elif not result.strip():
            error = "empty-reply"
        if result:
            bodies["reply"] = NewBody(TEXT, result.encode("utf-8", "replace"))
        if reason:
            bodies["detail"] = NewBody(TEXT, reason[:_REASON_CHARS].encode("utf-8", "replace"))
        payload = CallFinished(call=seq, error=error)
        return Draft("call.finished", actor, msgspec.to_builtins(payload), bodies, (seq, state.last_seq))

    return returned, finished


def open_call(state: RunState, seq: int) -> OpenCall:
    """Return the open attempt.

    Raises:
        AttemptClosed: it has its outcome already, or the run never asked for it.
    """
    item = state.open.get(seq)
    if item is None:
        raise AttemptClosed(
            f"call {seq} has its outcome already, or its run is over; nothing was changed, ask for the next item"
        )
    return item


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
