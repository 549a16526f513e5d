"""Performing a call from its recorded bytes, and writing down what came of it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import msgspec

from forum_mcp.engine.event_scrubbing import recorded_identity
from forum_mcp.engine.scrubbing import Scrubber
from forum_mcp.engine.spans import attempt_span
from forum_mcp.errors import AppendRefused, AttemptClosed
from forum_mcp.executors.base import Call, Executor, Outcome
from forum_mcp.ledger.entry import BodyRef, Draft, Entry, NewBody
from forum_mcp.ledger.kinds.call import CallFinished, CallStarted
from forum_mcp.ledger.kinds.run import RunCancelled
from forum_mcp.rules.calls import TEXT
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.failures import ENGINE_CLASSES, ERROR_CLASSES
from forum_mcp.rules.prices import cost_microusd
from forum_mcp.rules.run import OpenCall, RunState
from forum_mcp.stores.base import Store, Stored

__all__ = ["Event", "Performer", "cancellation", "host_outcome", "open_call", "outcome_event"]

Event = Callable[[RunState], Draft]
"""Something from outside the rules: given the newest state under the write lock, the entry that reports it.

It raises AppendRefused when the record has moved past it.
"""

_BYTES: Final = "application/octet-stream"
_PATCH: Final = "text/x-diff; charset=utf-8"

_FIGURE_MAX: Final = 10**12
"""Largest figure an outcome is believed to have, a million dollars in millionths."""

_REASON_CHARS: Final = 4_000

_log = logging.getLogger(__name__)


class Performer:
    """Finds the executor a call names and hands it the bodies the record holds, nothing else."""

    def __init__(self, store: Store, executors: Mapping[str, Executor], scrubber: Scrubber, contract: Contract) -> None:
        self._store = store
        self._executors = executors
        self._scrubber = scrubber
        self._contract = contract
        self._unchanged: dict[str, bytes] = {}
        """What each executor said of itself when that was last found to be what the contract holds."""

    async def perform(self, stored: Stored, payload: CallStarted, bodies: Mapping[str, bytes]) -> Outcome:
        """Perform the attempt; every failure but cancellation is an outcome.

        ``bodies``: those of the entry that need not be read again, because the transaction that recorded them has only
        just ended.
        """
        with attempt_span(stored.entry, payload) as span:
            outcome = await self._outcome(stored, payload, bodies)
            span.ended(outcome)
        return outcome

    async def _outcome(self, stored: Stored, payload: CallStarted, bodies: Mapping[str, bytes]) -> Outcome:
        try:
            outcome = await self._attempt(stored.entry, payload, bodies)
        except Exception as error:
            _log.exception("executor %r raised on call %d", payload.executor, stored.entry.seq)
            return _crashed(payload, type(error).__name__)
        if not isinstance(outcome, Outcome) or outcome.error not in {None, *ERROR_CLASSES}:  # pyright: ignore[reportUnnecessaryIsInstance]
            return _crashed(payload, "an answer that is not an outcome")
        if outcome.error in ENGINE_CLASSES:
            # Of these the loop would make another attempt than the rules allow, or end the run.
            return _crashed(payload, f"an outcome {outcome.error!r}, which is not an executor's to tell,")
        return outcome

    async def _attempt(self, entry: Entry, payload: CallStarted, bodies: Mapping[str, bytes]) -> Outcome:
        if self._contract.bars(payload.egress):
            return Outcome(
                error="egress-refused",
                detail=f"the run is local only and executor {payload.executor!r} sends what it is given to the "
                f"{payload.egress}; bind the role to an executor of this machine, or begin a run without local_only",
            )
        executor = self.executor(payload.executor)
        if isinstance(executor, Outcome):
            return executor
        call = Call(
            run=entry.run,  # type: ignore[arg-type]  # a call.started always belongs to a run
            seq=entry.seq,
            purpose=payload.purpose,
            task=payload.task,
            attempt=payload.attempt,
            system=self._read(entry, "system", bodies),
            prompt=self._read(entry, "prompt", bodies),
            schema=self._read(entry, "schema", bodies) if "schema" in entry.bodies else None,
            timeout_ms=payload.timeout_ms,
            max_tokens=payload.max_tokens,
        )
        return await executor.perform(call)

    def executor(self, name: str) -> Executor | Outcome:
        """Return an executor of the contract, or how each attempt ends where this process has none such."""
        executor = self._executors.get(name)
        if executor is None:
            return Outcome(
                error="executor-missing",
                detail=f"this process has no executor {name!r} ({self._contract.executors[name].type}); start it with "
                "the flags or settings that define it",
            )
        if not self._is_unchanged(name, executor):
            return Outcome(
                error="executor-changed",
                detail=f"executor {name!r} is not configured as it was when the run began; start again with the same "
                "flags or settings",
            )
        return executor

    def _is_unchanged(self, name: str, executor: Executor) -> bool:
        """State whether the executor is configured as the contract recorded it."""
        said = msgspec.json.encode(executor.identity(), order="sorted")
        if self._unchanged.get(name) != said:
            if recorded_identity(executor, self._scrubber) != self._contract.executors[name].identity:
                return False
            self._unchanged[name] = said
        return True

    def _read(self, entry: Entry, name: str, bodies: Mapping[str, bytes]) -> bytes:
        if name in bodies:
            return bodies[name]
        body = self._store.body(entry.bodies[name].commit)
        if body is None:
            raise LookupError(f"body {name} of call {entry.seq} is gone")
        return body.data


def _crashed(payload: CallStarted, what: str) -> Outcome:
    return Outcome(error="executor-crashed", detail=f"{what} in executor {payload.executor!r}")


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
