"""Performing a call: the executor it names is handed the bodies that the record holds, and nothing else."""

import logging
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from forum_mcp.engine.event_scrubbing import recorded_identity
from forum_mcp.engine.scrubbing import Scrubber
from forum_mcp.engine.spans import attempt_span
from forum_mcp.executors.base import Call, Executor, Outcome
from forum_mcp.ledger.entry import Entry
from forum_mcp.ledger.kinds.call import CallStarted
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.failures import ENGINE_CLASSES, ERROR_CLASSES
from forum_mcp.stores.base import Store, Stored

__all__ = ["Performer"]

_BYTES: Final = ("reply", "stderr", "patch")
_TEXTS: Final = ("reply_type", "detail", "finish_reason", "sent_model", "served_model")
_NUMBERS: Final = ("exit_code", "http_status")

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
        if not _is_outcome(outcome):
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


def _is_outcome(answer: object) -> bool:
    """Tell whether an executor, who may be anybody's, answered what it should; figures are judged where they count."""
    if not isinstance(answer, Outcome) or answer.error not in (None, *ERROR_CLASSES):  # no set: it may be unhashable
        return False
    return (
        all(isinstance(getattr(answer, name), bytes | None) for name in _BYTES)
        and all(isinstance(getattr(answer, name), str | None) for name in _TEXTS)
        and all(type(getattr(answer, name)) in (int, type(None)) for name in _NUMBERS)
        and type(answer.truncated) is bool
        and isinstance(isolation := cast("object", answer.isolation), tuple)
        and all(isinstance(each, str) for each in cast("tuple[object, ...]", isolation))
    )
