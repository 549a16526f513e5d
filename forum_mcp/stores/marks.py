"""The table ``marks`` against the entries it points to, in one pass and little memory."""

import sqlite3
from collections.abc import Iterator
from typing import Final

from forum_mcp.ledger.verify.source import SourceFault
from forum_mcp.stores.connection import UNREADABLE
from forum_mcp.stores.rows import is_marked

__all__ = ["MarkCheck"]

_PAGE: Final = 512


class MarkCheck:
    """Follows the marks of each kind while the entries go by, oldest first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._seqs: dict[str, Iterator[int]] = {}
        self._broken: Exception | None = None

    def agrees(self, kind: str, run: str | None, seq: int) -> bool:
        """State whether the next entry is marked if it must be."""
        if not is_marked(kind, run):
            return True
        if kind not in self._seqs:
            self._seqs[kind] = self._marked(kind)
        try:
            return next(self._seqs[kind], None) == seq
        except UNREADABLE as error:  # told once, by ``rest``; the entries themselves can be read
            self._broken = error
            return True

    def rest(self) -> Iterator[SourceFault]:
        """Yield a fault for each kind that has more marks than entries.

        Raises:
            sqlite3.Error: they cannot be read.
        """
        if self._broken is not None:
            raise self._broken
        for (name,) in self._connection.execute("SELECT DISTINCT CAST(kind AS BLOB) FROM marks").fetchall():
            kind = bytes(name).decode("utf-8", "replace")
            seq = next(self._seqs.get(kind) or self._marked(kind), None)
            if seq is not None:
                yield SourceFault(None, f"there is a mark for entry {seq} and kind {kind[:100]!a}, which it is not")

    def _marked(self, kind: str) -> Iterator[int]:
        last = -(2**62)
        query = "SELECT seq FROM marks WHERE kind = ? AND seq > ? ORDER BY seq LIMIT ?"
        while page := self._connection.execute(query, (kind, last, _PAGE)).fetchall():
            for (seq,) in page:
                if seq <= last:  # a damaged page; asking on from here would never end
                    raise sqlite3.DatabaseError(f"marks are out of order at {kind} {seq}")
                last = seq
                yield seq
