"""The causes of an entry: its parents, theirs, and so on back to where it all began."""

from collections.abc import Callable
from heapq import heappop, heappush

from forum_mcp.ledger.entry import Entry

__all__ = ["trace"]


def trace(seq: int, fetch: Callable[[int], Entry], limit: int) -> list[tuple[int, Entry]]:
    """Return entry ``seq`` and its ancestors, newest first, each once, at most ``limit`` of them.

    Each comes with its depth: how many steps of cause and effect, at the fewest, lead from it to ``seq``
    (depth 0). A parent that is not older than its child cannot be a cause and is not followed: a damaged
    ledger ends too.

    Args:
        seq: where to begin.
        fetch: gives the entry at a seq; what it raises passes through.
        limit: at most this many entries are fetched.
    """
    found: list[tuple[int, Entry]] = []
    depth_of = {seq: 0}
    newest_first = [-seq]
    while newest_first and len(found) < limit:
        current = -heappop(newest_first)
        depth = depth_of[current]
        entry = fetch(current)
        found.append((depth, entry))
        for parent in entry.parents:
            if not 0 <= parent < current:
                continue
            if parent not in depth_of:
                heappush(newest_first, -parent)
            depth_of[parent] = min(depth + 1, depth_of.get(parent, depth + 1))
    return found
