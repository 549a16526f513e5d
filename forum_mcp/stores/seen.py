"""A store as one principal may read it: its own runs, the entries everybody needs, and nothing else.

What proves the record stays open: size, root, nodes, the entries about checkpoints and keys. Every other entry is
withheld but for its leaf hash. A body is not looked at here: whoever holds a reference has read the entry it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from forum_mcp.errors import NotFound
from forum_mcp.ledger.entry import Entry, RunId, decode
from forum_mcp.stores.base import RunRow, Stored

if TYPE_CHECKING:
    from forum_mcp.stores.export_file import ExportStore
    from forum_mcp.stores.sqlite import SqliteStore

__all__ = ["Owners", "SeenStore"]

_OPEN_KINDS: Final = frozenset(
    {"ledger.opened", "checkpoint.signed", "checkpoint.cosigned", "checkpoint.anchored", "key.rotated"}
)
_PAGE: Final = 256
_KNOWN_MAX: Final = 100_000


class Owners:
    """Who began which run: the actor of its first entry, which never changes."""

    def __init__(self) -> None:
        self._known: dict[RunId, str] = {}

    def of(self, store: SqliteStore | ExportStore, run: RunId, first_seq: int | None = None) -> str | None:
        """Return the actor that began a run, or None when there is no such run; ``first_seq`` saves reading it all."""
        if run not in self._known:
            if first_seq is not None:
                first: Stored | None = store.entry(first_seq)
            else:
                first = next(iter(store.run_entries(run)), None)
            if first is None:
                return None
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[run] = first.entry.actor
        return self._known[run]


_OPEN_MEMBERS: Final = frozenset(
    {
        "before_commit",
        "body",
        "body_state",
        "change_token",
        "close",
        "head",
        "lease",
        "ledger_id",
        "newest_of_kind",
        "node",
        "path",
        "raw_nodes",
        "read_only",
        "size",
        "snapshot",
    }
)
"""Members of the whole store that are the same for everybody; a new one is withheld until it stands here."""


class SeenStore:
    """The whole store but for what is withheld."""

    def __init__(self, whole: SqliteStore | ExportStore, sees: Callable[[RunId, int | None], bool]) -> None:
        self._whole = whole
        self._sees = sees

    def __getattr__(self, name: str) -> Any:
        if name not in _OPEN_MEMBERS:
            raise AttributeError(f"a store as a principal sees it has no {name!r}")
        return getattr(self._whole, name)

    @contextmanager
    def anew(self) -> Generator[SeenStore]:
        """Hold the ledger opened a second time, with the same withheld."""
        with self._whole.anew() as fresh:
            yield SeenStore(fresh, self._sees)

    def shows(self, entry: Entry) -> bool:
        """Tell whether the principal may read an entry."""
        return entry.kind in _OPEN_KINDS if entry.run is None else self._sees(entry.run, None)

    def entry(self, seq: int) -> Stored:
        """Return an entry.

        Raises:
            NotFound: there is none, or it is withheld; then the message has its leaf hash.
        """
        stored = self._whole.entry(seq)
        if not self.shows(stored.entry):
            raise NotFound(
                f"entry {seq} is withheld: it belongs to another principal; its leaf hash is {stored.leaf.hex()}, "
                "and its proof is open"
            )
        return stored

    def raw_entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (seq, exact bytes) of the entries that may be read."""
        for seq, raw in self._whole.raw_entries(start, stop):
            if self.shows(decode(raw)):
                yield seq, raw

    def run_entries(self, run: RunId, after: int = -1) -> list[Stored]:
        """Return the entries of a run of the principal, else none."""
        return self._whole.run_entries(run, after) if self._sees(run, None) else []

    def newest(self, run: RunId) -> int | None:
        """Return the seq of the newest entry of a run of the principal, else None."""
        return self._whole.newest(run) if self._sees(run, None) else None

    def runs(self, limit: int, before: int | None = None) -> list[RunRow]:
        """Return the newest runs of the principal."""
        found: list[RunRow] = []
        while len(found) < limit:
            rows = self._whole.runs(_PAGE, before)
            found += [row for row in rows if self._sees(row.run, row.first_seq)]
            if len(rows) < _PAGE:
                break
            before = rows[-1].first_seq
        return found[:limit]
