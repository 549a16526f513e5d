"""What an entry led to: its children, theirs, and so on; the other direction of ``trace``.

An entry names its parents and not its children, so everything after it is read once, up to the limit.
"""

from typing import Final

from forum_mcp.engine.entry_summary import summary
from forum_mcp.engine.filtering import upwards
from forum_mcp.engine.views import DescentView, TraceLine
from forum_mcp.errors import RequestRefused
from forum_mcp.stores.base import Store

__all__ = ["descent"]

_DESCENT_MAX: Final = 10_000


def descent(store: Store, seq: int, limit: int = 500) -> DescentView:
    """Return an entry and all that names it as a cause, directly or not, at most ``limit`` lines.

    Raises:
        NotFound: no such entry.
        RequestRefused: limit out of range.
    """
    if not 1 <= limit <= _DESCENT_MAX:
        raise RequestRefused(f"limit {limit} is refused: expected 1 to {_DESCENT_MAX}")
    depth_of: dict[int, int] = {seq: 0}
    lines: list[TraceLine] = []
    more = False
    with store.snapshot():
        store.entry(seq)
        for stored in upwards(store, seq):
            entry, at = stored.entry, stored.entry.seq
            causes = [depth_of[parent] for parent in entry.parents if parent in depth_of and parent < at]
            if at != seq and not causes:
                continue
            if len(lines) == limit:
                more = True
                break
            depth_of[at] = min(causes) + 1 if causes else 0
            lines.append(
                TraceLine(
                    seq=at,
                    depth=depth_of[at],
                    kind=entry.kind,
                    actor=entry.actor,
                    parents=entry.parents,
                    summary=summary(entry.kind, entry.data),
                )
            )
    return DescentView(seq=seq, lines=lines, more=more)
