"""A quote: what a plan is likely to take, told by what tasks like its own took before. Reads the record alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Final, NamedTuple

from forum_mcp.engine.history import History, Took
from forum_mcp.engine.views import Quote, QuotedTask
from forum_mcp.rules.contract import members
from forum_mcp.rules.run import RunState
from forum_mcp.stores.base import Store

__all__ = ["Wanted", "quote", "wanted"]

_RUNS: Final = 50
"""Newest runs that are looked at."""

_ENOUGH: Final = 200
"""Tasks of one lane and executor, after which no older run is looked at for more."""


class Wanted(NamedTuple):
    """A task that is to be quoted; ``executor`` is the one its first attempt is made on."""

    id: str
    lane: str
    executor: str
    wave: int


@dataclass(slots=True)
class _Like:
    """What tasks of one kind took, one member per task; cost and tokens only where they are known."""

    calls: list[int] = field(default_factory=list[int])
    ms: list[int] = field(default_factory=list[int])
    tokens: list[int] = field(default_factory=list[int])
    microusd: list[int] = field(default_factory=list[int])

    def add(self, took: Took) -> None:
        self.calls.append(took.calls)
        self.ms.append(took.ms)
        if took.tokens is not None:
            self.tokens.append(took.tokens)
        if took.microusd is not None:
            self.microusd.append(took.microusd)


def wanted(planned: RunState) -> list[Wanted]:
    """Return the tasks of a plan."""
    return [
        Wanted(held.plan.id, held.plan.lane, members(held.work.ladder[0])[0], held.wave)
        for held in planned.tasks.values()
    ]


def quote(store: Store, tasks: Sequence[Wanted], history: History | None = None) -> Quote:
    """Return what tasks are likely to take: medians of tasks of the same lane and executor.

    Where a lane has none, tasks of the executor in any lane count; a task without either is named and not guessed at.
    """
    likes = _likes(history or History(), store, {(each.lane, each.executor) for each in tasks})
    quoted = [_quoted(each, likes) for each in tasks]
    waves = {each.id: each.wave for each in tasks}
    known = [each for each in quoted if each.basis]
    return Quote(
        tasks=quoted,
        unknown=[each.id for each in quoted if not each.basis],
        calls=sum(each.calls or 0 for each in known),
        tokens=_sum([each.tokens for each in known]),
        cost_usd=_sum([each.cost_usd for each in known]),
        seconds=sum(
            max((each.seconds or 0.0 for each in known if waves[each.id] == wave), default=0.0)
            for wave in set(waves.values())
        ),
    )


def _sum(amounts: "list[int | None] | list[float | None]") -> float | None:
    """Return the sum, or None when a part is not known."""
    parts = [amount for amount in amounts if amount is not None]
    return sum(parts) if parts and len(parts) == len(amounts) else None


def _quoted(task: Wanted, likes: dict[tuple[str | None, str], _Like]) -> QuotedTask:
    found = likes.get((task.lane, task.executor)) or likes.get((None, task.executor))
    if found is None:
        return QuotedTask(id=task.id, lane=task.lane, executor=task.executor, basis=0)
    return QuotedTask(
        id=task.id,
        lane=task.lane,
        executor=task.executor,
        basis=len(found.calls),
        calls=median_low(found.calls),
        seconds=median_low(found.ms) / 1_000,
        tokens=median_low(found.tokens) if found.tokens else None,
        cost_usd=median_low(found.microusd) / 1_000_000 if found.microusd else None,
    )


def _likes(history: History, store: Store, pairs: set[tuple[str, str]]) -> dict[tuple[str | None, str], _Like]:
    likes: dict[tuple[str | None, str], _Like] = {}
    for _, tasks in history.runs(store, _RUNS):
        for took in tasks:
            if took.executor is not None:
                for lane in (took.lane, None):
                    likes.setdefault((lane, took.executor), _Like()).add(took)
        if all(pair in likes and len(likes[pair].calls) >= _ENOUGH for pair in pairs):
            break
    return likes
