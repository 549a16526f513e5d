"""Causes and effects as a tree of lines: each entry in full once, and by its number wherever it comes again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from forum_mcp.cli.terminal import one_line
from forum_mcp.engine.views import TraceLine

__all__ = ["causes", "effects", "tree_lines"]

_INDENT_MAX: Final = 60


def causes(line: TraceLine) -> Sequence[int]:
    """Return what stands below an entry in the tree of causes: its parents, the newest first."""
    return line.parents[::-1]


def effects(lines: Sequence[TraceLine]) -> Callable[[TraceLine], Sequence[int]]:
    """Return what stands below an entry in the tree of effects: what names it as a parent, the oldest first."""
    children: dict[int, list[int]] = {}
    for line in lines:
        for parent in line.parents:
            children.setdefault(parent, []).append(line.seq)
    return lambda line: children.get(line.seq, [])


def tree_lines(root: int, lines: Sequence[TraceLine], below: Callable[[TraceLine], Sequence[int]]) -> Iterator[str]:
    """Yield the tree under entry ``root``; an entry that is not among ``lines`` is named and no more."""
    shown: Mapping[int, TraceLine] = {line.seq: line for line in lines}
    told: set[int] = set()
    waiting = [(root, "", "")]
    while waiting:
        seq, lead, inner = waiting.pop()
        line = shown.get(seq)
        if line is None:
            yield f"{seq:>6} {lead}(not shown)"
            continue
        words = f"{seq:>6} {lead}{one_line(line.kind, 40)}"
        if seq in told:
            yield f"{words}  (above)"
            continue
        yield f"{words}  {one_line(line.summary, 100)}".rstrip()
        told.add(seq)
        under = below(line)
        for place in range(len(under) - 1, -1, -1):
            last = place == len(under) - 1
            # A long chain of causes must not run out of the right of the screen.
            kept = inner[-_INDENT_MAX:]
            waiting.append((under[place], kept + ("└─ " if last else "├─ "), kept + ("   " if last else "│  ")))
