"""What settled tasks took, run by run: the one reading of the record that quotes and advice are made of.

A run that is over does not change any more, so it is read once for as long as the process lives.
"""

from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Final, NamedTuple

import msgspec

from forum_mcp.engine.folding import fold_run
from forum_mcp.errors import NotFound
from forum_mcp.ledger.entry import RunId
from forum_mcp.ledger.kinds.call import CallFinished, CallStarted
from forum_mcp.rules.run import RunState
from forum_mcp.stores.base import Store, Stored

__all__ = ["History", "Took"]

_PAGE: Final = 50
_KEPT: Final = 1_000
"""Runs kept, each a few values a task."""


class Took(NamedTuple):
    """One task that was done and not taken over: by whom, what came of it, and what all its calls took.

    ``verdict``: passed, failed or undecided. ``ms``: milliseconds its calls took together. ``tokens`` and ``microusd``
    are None where some call did not tell.
    """

    lane: str
    executor: str | None
    served: str | None
    verdict: str
    calls: int
    ms: int
    tokens: int | None
    microusd: int | None


class History:
    """What tasks of the newest runs took; may be asked from several threads, each with a store of its own."""

    def __init__(self) -> None:
        self._over: dict[RunId, tuple[Took, ...]] = {}
        self._lock = Lock()

    def runs(self, store: Store, limit: int) -> Iterator[tuple[RunId, tuple[Took, ...]]]:
        """Yield (run, its settled tasks) of the newest ``limit`` runs of a store, newest first."""
        before: int | None = None
        while limit > 0 and (page := store.runs(min(limit, _PAGE), before)):
            for row in page:
                yield row.run, self._of(store, row.run)
            limit -= len(page)
            before = page[-1].first_seq

    def _of(self, store: Store, run: RunId) -> tuple[Took, ...]:
        with self._lock:
            known = self._over.get(run)
        if known is not None:
            return known
        try:
            state = fold_run(store, run)
        except NotFound:  # entries of a run that has no beginning
            return ()
        took = tuple(_took(state, store.run_entries(run)))
        if state.phase == "finished":
            with self._lock:
                self._over[run] = took
                if len(self._over) > _KEPT:
                    del self._over[next(iter(self._over))]
        return took


def _took(state: RunState, entries: Iterable[Stored]) -> Iterator[Took]:
    times = _times(entries)
    for held in state.tasks.values():
        verdict = held.verdict or ("failed" if held.status == "failed" else None)
        if verdict is None or held.reused_from >= 0:
            continue
        spend = held.spend
        yield Took(
            lane=held.plan.lane,
            executor=held.executor,
            served=held.served,
            verdict=verdict if verdict in ("passed", "failed") else "undecided",
            calls=spend.calls,
            ms=times.get(held.plan.id, 0),
            tokens=spend.tokens if spend.tokens_known else None,
            microusd=spend.microusd if spend.cost_known else None,
        )


def _times(entries: Iterable[Stored]) -> dict[str, int]:
    """Return task -> milliseconds its calls took together."""
    tasks: dict[int, str] = {}
    sums: dict[str, int] = {}
    for stored in entries:
        entry = stored.entry
        try:
            if entry.kind == "call.started":
                tasks[entry.seq] = msgspec.convert(entry.data, CallStarted).task or ""
            elif entry.kind == "call.finished":
                done = msgspec.convert(entry.data, CallFinished)
                name = tasks.get(done.call, "")
                sums[name] = sums.get(name, 0) + (done.duration_ms or 0)
        except msgspec.ValidationError:  # a forged entry: the fold passes over it too
            continue
    return sums
