"""The loop sentinel: work that is asked for again and says nothing new ends its branch.

Two things can go round in a run of bounded attempts: a ladder whose rungs give the same refused result, and a chain of
tasks that ask the same of the same lane ("improve it", "improve it again") and hand the same text on. Both are counted
from the record: the same lane, the same canonical instruction, a result that is alike (``sketch.py``). Tasks side by
side are no loop, however alike they are.
"""

from collections.abc import Iterator
from typing import Final

from forum_mcp.rules.finding import Finding
from forum_mcp.rules.run import RunState, TaskState
from forum_mcp.rules.sketch import alike, canonical, sketch

__all__ = ["NEWS", "VERSION", "news"]

VERSION: Final = 1
NEWS: Final = "news"
"""Name of the check."""

_ANCESTORS: Final = 32
"""How many tasks upstream are looked at, nearest first."""
_CITED: Final = 20


def news(state: RunState, held: TaskState) -> Finding | None:
    """Return whether a result says anything new, or None where nothing came before it that could be the same."""
    assert state.contract is not None
    after = state.contract.policy.loop_after
    if after <= 0:
        return None
    same = [each for each in _upstream(state, held) if _about(each) == _about(held)]
    if not same and not held.refused:
        return None
    mine = sketch(held.output)
    seen = [(seq, held.plan.id) for seq, other in held.refused if alike(mine, other)]
    seen += [(each.settled_seq, each.plan.id) for each in same if alike(mine, sketch(each.output))]
    if not seen:
        return Finding(NEWS, True, f"differs from {len(held.refused) + len(same)} results of the same work")
    times = len(seen) + 1
    cited = sorted(seen)[:_CITED]
    names = ", ".join(dict.fromkeys(name for _, name in cited))
    words = f"the same work gave a result like this {times} times (before in {names}); {after} times are a loop"
    return Finding(NEWS, times < after, words, cites=tuple(seq for seq, _ in cited))


def _about(held: TaskState) -> tuple[str, str]:
    return held.plan.lane, canonical(held.plan.instruction)


def _upstream(state: RunState, held: TaskState) -> Iterator[TaskState]:
    """Yield the tasks this one came after, nearest first; each once, at most 32."""
    todo, known = [edge.id for edge in held.plan.depends_on], set[str]()
    while todo and len(known) < _ANCESTORS:
        name = todo.pop(0)
        if name in known:
            continue
        known.add(name)
        yield state.tasks[name]
        todo += [edge.id for edge in state.tasks[name].plan.depends_on]
