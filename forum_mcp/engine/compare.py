"""Two runs, or two ledgers, side by side: figures of ``summary`` and what separates them. Judges nothing."""

from collections.abc import Iterator, Mapping
from typing import Final

from forum_mcp.engine.summary import SummaryView
from forum_mcp.engine.tally import TaskFigures
from forum_mcp.engine.views import View

__all__ = ["CompareView", "Fact", "TaskPair", "compare"]

_Value = int | float | str | None

_FIGURES: Final = (
    "entries",
    "calls",
    "served_other",
    "tokens_in",
    "tokens_out",
    "tokens_untold",
    "cost_usd",
    "unpriced",
    "active_seconds",
    "call_seconds",
)
_COUNTS: Final = ("runs", "tasks", "verdicts", "steps", "call_errors")


class Fact(View, frozen=True, kw_only=True):
    """One fact of both sides. ``difference`` is b minus a, None where one of them is unknown or no number."""

    name: str
    a: int | float | str | None
    b: int | float | str | None
    difference: int | float | None


class TaskPair(View, frozen=True, kw_only=True):
    """One task, by its id, on both sides; None where a side has no such task."""

    id: str
    a: TaskFigures | None
    b: TaskFigures | None


class CompareView(View, frozen=True, kw_only=True):
    """Both summaries, the facts that can be set against each other, and for two runs their tasks.

    ``same_request`` is None unless both sides are runs whose request is still in the record.
    """

    a: SummaryView
    b: SummaryView
    same_request: bool | None
    facts: list[Fact]
    tasks: list[TaskPair]


def compare(a: SummaryView, b: SummaryView) -> CompareView:
    """Return the comparison of two summaries."""
    ours, theirs = ({task.id: task for task in side.task_list} for side in (a, b))
    return CompareView(
        a=a,
        b=b,
        same_request=None if a.request is None or b.request is None else a.request == b.request,
        facts=list(_facts(a, b)),
        tasks=[TaskPair(id=name, a=ours.get(name), b=theirs.get(name)) for name in {**ours, **theirs}],
    )


def _facts(a: SummaryView, b: SummaryView) -> Iterator[Fact]:
    for name in ("state", "lane"):
        ours, theirs = (getattr(side, name) for side in (a, b))
        if (ours, theirs) != (None, None):
            yield _fact(name, ours, theirs)
    for name in _COUNTS:
        mine, other = (_counts(side, name) for side in (a, b))
        for word in sorted({*mine, *other}):
            yield _fact(f"{name}.{word}", mine.get(word, 0), other.get(word, 0))
    for name in _FIGURES:
        yield _fact(name, *(getattr(side, name) for side in (a, b)))
    for name in ("entry_bytes", "bodies", "body_bytes"):
        yield _fact(f"payload.{name}", *(getattr(side.payload, name) for side in (a, b)))
    models = [{each.model: each.calls for each in side.models} for side in (a, b)]
    for model in sorted({*models[0], *models[1]}):
        yield _fact(f"calls.{model}", *(side.get(model, 0) for side in models))


def _counts(side: SummaryView, name: str) -> Mapping[str, int]:
    found: dict[str, int] = getattr(side, name)
    return found


def _fact(name: str, a: _Value, b: _Value) -> Fact:
    difference = round(b - a, 6) if isinstance(a, int | float) and isinstance(b, int | float) else None
    return Fact(name=name, a=a, b=b, difference=difference)
