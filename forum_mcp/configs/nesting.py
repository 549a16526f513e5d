"""The depth guard: a forum that an agent of another forum starts again would never end.

Every command is given ``FORUM_DEPTH``, one more than our own, and nothing else passes it on. Below another forum no run
is begun, unless the executor that started the agent says ``allow_nested``; and never deeper than ``DEPTH_MAX``.
"""

from collections.abc import Mapping
from typing import Final

from forum_mcp.errors import NestedRefused

__all__ = ["DEPTH_MAX", "VARIABLES", "child_variables", "nesting_depth", "refuse_nested"]

DEPTH_MAX: Final = 3
_DEPTH: Final = "FORUM_DEPTH"
_ALLOWED: Final = "FORUM_NESTED"
VARIABLES: Final = (_DEPTH, _ALLOWED)


def nesting_depth(environ: Mapping[str, str]) -> int:
    """Return how many forums this process runs below (``FORUM_DEPTH``); an unreadable value counts as 1."""
    value = environ.get(_DEPTH, "0")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 1


def child_variables(environ: Mapping[str, str], *, allowed: bool) -> dict[str, str]:
    """Return the variables a command is given, with which a forum it starts knows where it is."""
    variables = {_DEPTH: str(nesting_depth(environ) + 1)}
    return variables | {_ALLOWED: "1"} if allowed else variables


def refuse_nested(environ: Mapping[str, str]) -> None:
    """Refuse to run anything below another forum that did not allow it.

    Raises:
        NestedRefused: this process was started by a command of another forum.
    """
    depth = nesting_depth(environ)
    if depth == 0 or (environ.get(_ALLOWED) == "1" and depth <= DEPTH_MAX):
        return
    if depth > DEPTH_MAX:
        raise NestedRefused(
            f"forums run below each other {depth} deep here (FORUM_DEPTH={depth}), and {DEPTH_MAX} is the most; "
            "do the work yourself and answer"
        )
    raise NestedRefused(
        f"this forum-mcp was started by a command of another one (FORUM_DEPTH={depth}), which would begin again and "
        "again; do the work yourself and answer; whoever means it to nest sets allow_nested = true on that executor"
    )
