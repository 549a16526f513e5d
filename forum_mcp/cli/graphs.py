"""A run as people see it: its tasks as a tree, its calls on a line of time, its plan as a Mermaid diagram."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from forum_mcp.cli.terminal import Colour, columns, one_line
from forum_mcp.engine.views import EntryView, RunView, TaskView

__all__ = ["Paint", "mermaid", "task_lines", "timeline"]

Paint = Callable[[str, Colour], str]
"""What gives a word its colour, or leaves it as it is."""

_COLOURS: Final[dict[str, Colour]] = {
    "succeeded": "green",
    "passed": "green",
    "failed": "red",
    "running": "yellow",
    "waiting": "yellow",
    "undecided": "yellow",
}
_FILLS: Final = {
    "succeeded": "fill:#d7f5dd,stroke:#2a7d3f",
    "failed": "fill:#fbd9d9,stroke:#b3261e",
    "running": "fill:#fdf1c7,stroke:#8a6d00",
}
_BAR_CHARS: Final = 40
_CALLS_SHOWN: Final = 200


def task_lines(view: RunView, paint: Paint) -> Iterator[str]:
    """Yield the plan as a tree: each task once, under the one of its dependencies that comes last."""
    rows = _rows(view.tasks)
    names = [lead + one_line(task.id) for lead, task in rows]
    width = max((len(name) for name in names), default=0)
    for name, text, (_, task) in zip(names, columns(_facts(task) for _, task in rows), rows, strict=True):
        rest = text
        for word in dict.fromkeys((task.state, task.verdict or "-")):
            if word in _COLOURS:
                head, found, tail = rest.partition(word)
                rest = head + paint(found, _COLOURS[word]) + tail
        yield f"{name.ljust(width)}  {rest}"


def _facts(task: TaskView) -> tuple[str, ...]:
    after = f"after {', '.join(task.depends_on)}" if len(task.depends_on) > 1 else ""
    return (
        task.state,
        task.verdict or "-",
        task.lane,
        f"{task.attempts} attempt{'' if task.attempts == 1 else 's'}",
        task.served or task.executor or "-",
        "; ".join(words for words in (after, task.error, task.reason) if words),
    )


def _rows(tasks: Sequence[TaskView]) -> list[tuple[str, TaskView]]:
    """Return (what stands before its name, task), in the order of the tree."""
    wave = {task.id: task.wave for task in tasks}
    under: dict[str | None, list[TaskView]] = {}
    for task in tasks:
        known = [name for name in task.depends_on if name in wave]
        under.setdefault(max(known, key=lambda name: wave[name]) if known else None, []).append(task)
    rows: list[tuple[str, TaskView]] = []
    waiting = [("", "", task) for task in reversed(under.get(None, []))]
    while waiting:
        lead, inner, task = waiting.pop()
        rows.append((lead, task))
        below = under.get(task.id, [])
        for place in range(len(below) - 1, -1, -1):
            last = place == len(below) - 1
            waiting.append((inner + ("└─ " if last else "├─ "), inner + ("   " if last else "│  "), below[place]))
    return rows


def timeline(entries: Sequence[EntryView]) -> Iterator[str]:
    """Yield a line for each call of a run: whose it was, when in the run's active time, how long, how it ended.

    ``entries`` are the run's, oldest first.
    """
    end_ms = max([_ms(entry) for entry in entries], default=0) or 1
    ends = {entry.data.get("call"): entry for entry in entries if entry.kind == "call.finished"}
    calls = [entry for entry in entries if entry.kind == "call.started"]
    rows: list[tuple[str, ...]] = []
    for call in calls[:_CALLS_SHOWN]:
        end = ends.get(call.seq)
        from_ms, to_ms = _ms(call), end_ms if end is None else _ms(end)
        rows.append(
            (
                str(call.data.get("task") or "the run"),
                str(call.data.get("purpose")),
                str(call.data.get("executor")),
                _bar(from_ms, to_ms, end_ms),
                f"{(to_ms - from_ms) / 1000:.2f} s",
                "not ended" if end is None else str(end.data.get("error") or "ok"),
            )
        )
    yield from columns(rows)
    if len(calls) > _CALLS_SHOWN:
        yield f"... and {len(calls) - _CALLS_SHOWN} more calls"


def _ms(entry: EntryView) -> int:
    found = entry.data.get("t_ms")
    return found if isinstance(found, int) else 0


def _bar(from_ms: int, to_ms: int, end_ms: int) -> str:
    # Columns lay out words, so the empty part of a bar is dots, not spaces.
    first = min(from_ms * _BAR_CHARS // end_ms, _BAR_CHARS - 1)
    length = max(1, -(-to_ms * _BAR_CHARS // end_ms) - first)
    return "·" * first + "━" * length + "·" * (_BAR_CHARS - first - length)


def mermaid(view: RunView) -> Iterator[str]:
    """Yield a Mermaid flowchart of the plan with what became of each task."""
    number = {task.id: f"t{place}" for place, task in enumerate(view.tasks)}
    yield "flowchart LR"
    for task in view.tasks:
        facts = ", ".join(word for word in (task.lane, task.state, task.verdict) if word)
        style = f":::{task.state}" if task.state in _FILLS else ""
        yield f'    {number[task.id]}["{_label(task.id)}<br>{_label(facts)}"]{style}'
    for task in view.tasks:
        for name in task.depends_on:
            if name in number:
                yield f"    {number[name]} --> {number[task.id]}"
    for state, fill in _FILLS.items():
        yield f"    classDef {state} {fill}"


def _label(text: str) -> str:
    """Return text that Mermaid shows and does not act on."""
    return "".join(char if char.isalnum() or char in " ,._-" else f"#{ord(char)};" for char in one_line(text, 80))
