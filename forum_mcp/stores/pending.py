"""What a transaction appended and has not written yet: entries and their new bodies."""

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from forum_mcp.ledger.entry import Body, BodyRef, RunId, decode
from forum_mcp.stores import rows
from forum_mcp.stores.base import Stored
from forum_mcp.stores.bodies import BodyTable

__all__ = ["Mark", "Pending"]

_MAX_ENTRIES: Final = 512
_MAX_BYTES: Final = 4 * 1024 * 1024
_HASH_BYTES: Final = 32

Mark = tuple[int, int]
"""How many entries and bodies wait."""


class Pending:
    """Rows in the order of their appending. ``bodies``: those that are new, by index key."""

    def __init__(self) -> None:
        self._entries: list[rows.EntryRow] = []
        self.bodies: dict[bytes, Body] = {}
        self._cited: dict[str, Body] = {}
        self._bytes = 0

    @property
    def full(self) -> bool:
        """True when no more should be held in memory."""
        return len(self._entries) >= _MAX_ENTRIES or self._bytes >= _MAX_BYTES

    def add(self, entry: rows.EntryRow, bodies: Mapping[bytes, Body]) -> None:
        """Take one entry with its new bodies."""
        self._entries.append(entry)
        self.bodies.update(bodies)
        self._bytes += len(entry[4])
        for body in bodies.values():
            self._cited[body.commit] = body
            self._bytes += len(body.data)

    def newest(self, run: RunId) -> int | None:
        """Return the seq of the newest entry of the run that waits, or None."""
        return next((row[0] for row in reversed(self._entries) if row[1] == run), None)

    def run_entries(self, run: RunId, after: int) -> list[Stored]:
        """Return the entries of the run that wait and have seq > after, oldest first."""
        return [
            Stored(decode(raw), raw, hashes[:_HASH_BYTES])
            for seq, of, _, hashes, raw in self._entries
            if of == run and seq > after
        ]

    def holds(self, reference: BodyRef) -> bool:
        """Tell whether a body with that commitment, size and type waits."""
        body = self._cited.get(reference.commit)
        return body is not None and (len(body.data), body.type) == (reference.size, reference.type)

    def mark(self) -> Mark:
        """Return the present place, for ``cut`` and ``write``."""
        return len(self._entries), len(self.bodies)

    def cut(self, mark: Mark) -> None:
        """Forget what was added after the mark."""
        entries, bodies = mark
        self._drop(self._entries[entries:], list(islice(self.bodies, bodies, None)))
        del self._entries[entries:]

    def write(self, connection: sqlite3.Connection, table: BodyTable, until: Mark | None = None) -> Mark:
        """Write what was added before the mark, or all, and hold it no longer; return the mark's new place.

        Raises:
            sqlite3.Error: a row could not be written.
        """
        entries, bodies = self.mark() if until is None else until
        if entries:
            written, found = self._entries[:entries], list(islice(self.bodies.items(), bodies))
            rows.insert(connection, written)
            if found:
                table.put(found)
            self._drop(written, [key for key, _ in found])
            del self._entries[:entries]
        return 0, 0

    def _drop(self, entries: Sequence[rows.EntryRow], keys: Sequence[bytes]) -> None:
        self._bytes -= sum(len(row[4]) for row in entries)
        for key in keys:
            body = self.bodies.pop(key)
            del self._cited[body.commit]
            self._bytes -= len(body.data)
