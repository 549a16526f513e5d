"""A quote: what a plan is likely to take, told by what tasks like its own took before. Reads the record alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median_low
from typing import Final

import msgspec

from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.views import Quote, QuotedTask
from forum_mcp.errors import NotFound
from forum_mcp.ledger.kinds.call import CallFinished, CallStarted
from forum_mcp.rules.contract import members
from forum_mcp.rules.run import RunState, TaskState
from forum_mcp.stores.base import Store

__all__ = ["quote"]

_RUNS: Final = 50
"""Newest runs that are looked at."""


@dataclass(slots=True)
class _Taken:
    """What tasks of one kind took, one member per task; cost and tokens only where they are known."""

    calls: list[int] = field(default_factory=list[int])
    ms: list[int] = field(default_factory=list[int])
    tokens: list[int] = field(default_factory=list[int])
    microusd: list[int] = field(default_factory=list[int])


def quote(store: Store, planned: RunState) -> Quote:
    """Return what the plan of a run is likely to take: medians of tasks of the same lane and executor.

    Where a lane has none, tasks of the executor in any lane count; a task without either is named and not guessed at.
    """
    taken = _history(store, planned)
    tasks = [_quoted(planned, held, taken) for held in planned.tasks.values()]
    known = [each for each in tasks if each.basis]
    return Quote(
        tasks=tasks,
        unknown=[each.id for each in tasks if not each.basis],
        calls=sum(each.calls or 0 for each in known),
        tokens=_sum([each.tokens for each in known]),
        cost_usd=_sum([each.cost_usd for each in known]),
        seconds=sum(
            max((each.seconds or 0.0 for each in known if planned.tasks[each.id].wave == wave), default=0.0)
            for wave in {held.wave for held in planned.tasks.values()}
        ),
    )


def _sum(amounts: "list[int | None] | list[float | None]") -> float | None:
    """Return the sum, or None when a part is not known."""
    parts = [amount for amount in amounts if amount is not None]
    return sum(parts) if parts and len(parts) == len(amounts) else None


def _quoted(planned: RunState, held: TaskState, taken: dict[tuple[str | None, str], _Taken]) -> QuotedTask:
    executor = members(held.work.ladder[0])[0]
    lane = held.plan.lane
    found = taken.get((lane, executor)) or taken.get((None, executor))
    if found is None:
        return QuotedTask(id=held.plan.id, lane=lane, executor=executor, basis=0)
    return QuotedTask(
        id=held.plan.id,
        lane=lane,
        executor=executor,
        basis=len(found.calls),
        calls=median_low(found.calls),
        seconds=median_low(found.ms) / 1_000,
        tokens=median_low(found.tokens) if found.tokens else None,
        cost_usd=median_low(found.microusd) / 1_000_000 if found.microusd else None,
    )


def _history(store: Store, planned: RunState) -> dict[tuple[str | None, str], _Taken]:
    taken: dict[tuple[str | None, str], _Taken] = {}
    for row in store.runs(_RUNS):
        if row.run == planned.run:
            continue
        try:
            state = fold_run(store, row.run)
        except NotFound:  # entries of a run that has no beginning
            continue
        times = dict(_times(store, state))
        for held in state.tasks.values():
            if held.status not in ("ok", "failed") or held.reused_from >= 0 or held.executor is None:
                continue
            for key in ((held.plan.lane, held.executor), (None, held.executor)):
                of = taken.setdefault(key, _Taken())
                of.calls.append(held.spend.calls)
                of.ms.append(times.get(held.plan.id, 0))
                if held.spend.tokens_known:
                    of.tokens.append(held.spend.tokens)
                if held.spend.cost_known:
                    of.microusd.append(held.spend.microusd)
    return taken


def _times(store: Store, state: RunState) -> Iterator[tuple[str, int]]:
    """Yield (task, milliseconds its calls took together)."""
    tasks: dict[int, str] = {}
    sums: dict[str, int] = {}
    for stored in store.run_entries(state.run):
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
    yield from sums.items()
