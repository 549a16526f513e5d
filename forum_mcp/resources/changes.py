"""Which resources new entries have changed, for whoever may read which runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["Changes", "changes_between"]

_OPEN_HEADS: Final = ("forum://status", "forum://ledger/checkpoint")
_HEADS: Final = ("forum://runs", "forum://ledger/recent")
_LISTED: Final = ("run.started", "run.finished")
_READ_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened between two sizes of the ledger.

    Attributes:
        runs: ids of runs that have new entries.
        listed: those of them that began or ended, so that ``resources/list`` is worth reading again. (It also names
            the newest entries, but nobody wants to be told of each.)
        apart: there are new entries that belong to no run.
    """

    runs: tuple[str, ...]
    listed: frozenset[str] = frozenset()
    apart: bool = False

    def seen(self, sees: Callable[[str], bool]) -> Changes:
        """Return what of it somebody is told who may read the runs that ``sees`` tells."""
        runs = tuple(run for run in self.runs if sees(run))
        return Changes(runs, self.listed.intersection(runs), self.apart)

    def uris(self) -> tuple[str, ...]:
        """Return the resources whose content is another now.

        Size, root and checkpoint are open to everybody and change with every entry.
        """
        heads = _HEADS if self.runs or self.apart else ()
        of_runs = [uri for run in self.runs for uri in (f"forum://runs/{run}", f"forum://runs/{run}/report")]
        return (*_OPEN_HEADS, *heads, *of_runs)


def changes_between(forum: Forum, before: int, now: int) -> Changes:
    """Return what the entries with ``before`` <= seq < ``now`` changed; of a flood only the newest are looked at."""
    from forum_mcp.ledger.entry import decode

    runs: dict[str, None] = {}
    listed: set[str] = set()
    apart = False
    for _, raw in forum.ledger.store.raw_entries(max(before, now - _READ_MAX), now):
        try:
            entry = decode(raw)
        except msgspec.DecodeError:  # damage is for ``ledger_verify`` to tell
            continue
        if entry.run is None:
            apart = True
            continue
        runs[entry.run] = None
        if entry.kind in _LISTED:
            listed.add(entry.run)
    return Changes(tuple(runs), frozenset(listed), apart)
