"""Which resources new entries have changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["HEADS", "Changes", "changes_between"]

HEADS: Final = ("forum://status", "forum://runs", "forum://ledger/recent", "forum://ledger/checkpoint")
"""Resources that every entry changes."""

_LISTED: Final = ("run.started", "run.finished")
_READ_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened between two sizes of the ledger.

    Attributes:
        runs: ids of runs that have new entries.
        uris: resources whose content is another now.
        listed: a run began or ended, so that ``resources/list`` is worth reading again. (It also names the newest
            entries, but nobody wants to be told of each.)
    """

    runs: tuple[str, ...]
    uris: tuple[str, ...]
    listed: bool


def changes_between(forum: Orchestrator, before: int, now: int) -> Changes:
    """Return what the entries with ``before`` <= seq < ``now`` changed; of a flood only the newest are looked at."""
    from forum_mcp.ledger.canonical import UNREADABLE
    from forum_mcp.ledger.entry import decode

    runs: dict[str, None] = {}
    listed = False
    for _, raw in forum.ledger.store.raw_entries(max(before, now - _READ_MAX), now):
        try:
            entry = decode(raw)
        except UNREADABLE:  # damage is for ``ledger_verify`` to tell
            continue
        if entry.run is not None:
            runs[entry.run] = None
            listed = listed or entry.kind in _LISTED
    of_runs = [uri for run in runs for uri in (f"forum://runs/{run}", f"forum://runs/{run}/report")]
    return Changes(tuple(runs), (*HEADS, *of_runs), listed)
