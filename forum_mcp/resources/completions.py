"""How an argument that a person has begun to type may go on: run ids, seqs, lanes, kinds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["VALUES_MAX", "Values", "complete"]

VALUES_MAX: Final = 100
"""Most values of one answer; the protocol's bound."""

_LOOKED_AT: Final = 200


@dataclass(frozen=True, slots=True)
class Values:
    """Values that begin as asked, the most useful first; ``total`` counts those that were left out too."""

    values: list[str]
    total: int


async def complete(forum: Forum, argument: str, begun: str) -> Values:
    """Return the values of an argument of our templates and prompts that begin with ``begun``."""
    match argument:
        case "run_id" | "first" | "second":
            candidates: Iterable[str] = (run.run_id for run in forum.runs(limit=_LOOKED_AT).runs)
        case "seq":
            size = forum.ledger.size
            candidates = map(str, range(size - 1, max(-1, size - 1 - _LOOKED_AT), -1))
        case "lane":
            candidates = (str(lane["name"]) for lane in forum.roster() if lane["permitted"])
        case "kind":
            from forum_mcp.ledger.kinds import KINDS

            candidates = sorted(KINDS)
        case _:
            candidates = ()
    found = [value for value in candidates if value.startswith(begun)]
    return Values(found[:VALUES_MAX], len(found))
