"""What the record tells of lanes and models: who earned passing verdicts, and at what cost. Advice; changes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from forum_mcp.engine.history import History, Took
from forum_mcp.engine.views import View
from forum_mcp.stores.base import Store

__all__ = ["LearnedRow", "LearnedView", "learned"]

_TASKS: Final = 20_000
_ENOUGH: Final = 5
"""Judged tasks before two models are compared."""


class LearnedRow(View, frozen=True, kw_only=True):
    """One model, or command, in one lane. ``cost_usd``: mean of its judged tasks, None while some cost is unknown."""

    lane: str
    model: str
    passed: int
    failed: int
    undecided: int
    calls: int
    cost_usd: float | None


class LearnedView(View, frozen=True, kw_only=True):
    """What ``runs`` newest runs tell, by lane and then best first; ``advice``: a line for each lane with a choice."""

    runs: int
    rows: list[LearnedRow]
    advice: list[str]


@dataclass(slots=True)
class _Figures:
    passed: int = 0
    failed: int = 0
    undecided: int = 0
    calls: int = 0
    microusd: int = 0
    cost_known: bool = True

    def add(self, took: Took) -> None:
        self.passed += took.verdict == "passed"
        self.failed += took.verdict == "failed"
        self.undecided += took.verdict == "undecided"
        self.calls += took.calls
        self.microusd += took.microusd or 0
        self.cost_known = self.cost_known and took.microusd is not None

    @property
    def judged(self) -> int:
        return self.passed + self.failed + self.undecided


def learned(store: Store, history: History | None = None, *, limit: int = 500) -> LearnedView:
    """Return what the newest ``limit`` runs tell of lanes and models; reads the record, writes nothing.

    Older runs are left out once ``_TASKS`` tasks were counted.
    """
    figures: dict[tuple[str, str], _Figures] = {}
    runs = tasks = 0
    for _, done in (history or History()).runs(store, limit):
        runs, tasks = runs + 1, tasks + len(done)
        for took in done:
            figures.setdefault((took.lane, took.served or took.executor or "unknown"), _Figures()).add(took)
        if tasks >= _TASKS:
            break
    ordered = sorted(figures.items(), key=lambda each: (each[0][0], *_worth(each[1]), each[0][1]))
    rows = [_row(lane, model, of) for (lane, model), of in ordered]
    return LearnedView(runs=runs, rows=rows, advice=list(_advice(rows)))


def _worth(of: _Figures) -> tuple[float, int]:
    """Return what sorts the better model first: more of its tasks passed, then fewer dollars."""
    return -of.passed / of.judged, of.microusd


def _row(lane: str, model: str, of: _Figures) -> LearnedRow:
    return LearnedRow(
        lane=lane,
        model=model,
        passed=of.passed,
        failed=of.failed,
        undecided=of.undecided,
        calls=of.calls,
        cost_usd=of.microusd / of.judged / 1_000_000 if of.cost_known else None,
    )


def _advice(rows: list[LearnedRow]) -> Iterator[str]:
    lanes: dict[str, list[LearnedRow]] = {}
    for row in rows:
        if row.passed + row.failed + row.undecided >= _ENOUGH:
            lanes.setdefault(row.lane, []).append(row)
    for lane, known in lanes.items():
        if len(known) > 1:
            best, other = known[0], known[1]
            yield f"{lane}: {_told(best)}; {_told(other)}"


def _told(row: LearnedRow) -> str:
    judged = row.passed + row.failed + row.undecided
    cost = "cost unknown" if row.cost_usd is None else f"${row.cost_usd:.4f} a task"
    return f"{row.model} passed {row.passed} of {judged} at {cost}"
