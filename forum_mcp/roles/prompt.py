"""What a role hands to an executor, and the pieces that several prompts share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forum_mcp.roles.fence import fence, fit

__all__ = ["Prompt", "context_parts", "lane_lines", "repair_parts", "repair_room"]

_PROBLEM_CHARS: Final = 1_000
_REPAIR_SHARE: Final = 6


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call's text: standing instructions, user content, and the JSON Schema (bytes) of the reply if it has one.

    ``context``: seqs of the entries whose context it holds.
    """

    system: str
    user: str
    schema: bytes | None = None
    context: tuple[int, ...] = ()


def context_parts(context: Sequence[tuple[str, str]], *, mark: str, limit: int) -> list[str]:
    """Return context (name, text), fenced; ``limit``: most bytes of it all."""
    share = limit // max(1, len(context))
    return [f"Context {name}:\n{fence('CONTEXT', fit(text, share), mark)}" for name, text in context]


def lane_lines(lanes: Sequence[tuple[str, str]], limit: int) -> str:
    """Return lanes (name, description), one a line; past ``limit`` characters only names, for a small context."""
    lines: list[str] = []
    used = 0
    for name, description in lanes:
        line = f"- {name}: {description}"
        used += len(line)
        lines.append(line if used <= limit else f"- {name}")
    return "\n".join(lines)


def repair_room(problem: str | None, limit: int) -> int:
    """Return how much of ``limit`` characters a repair takes; the rest is for what every call of the role shows."""
    return limit // _REPAIR_SHARE if problem is not None else 0


def repair_parts(problem: str | None, last_reply: str | None, again: str, *, mark: str, limit: int) -> list[str]:
    """Return what shows a model why its last reply cannot be used; nothing when there is no ``problem``.

    The problem is fenced too: it may quote the reply. ``again`` says what to write now; ``limit``: most bytes of
    both, half of it each.
    """
    if problem is None:
        return []
    told = fence("PROBLEM", fit(problem, min(limit // 2, _PROBLEM_CHARS)), mark)
    shown = [] if last_reply is None else [fence("YOUR-LAST-REPLY", fit(last_reply, limit // 2), mark)]
    return [*shown, f"Your last reply cannot be used:\n{told}\n{again}"]
