"""What can be read of an open ledger: the half of the ``Store`` port that changes nothing."""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Final

from forum_mcp.errors import LedgerError, NotFound
from forum_mcp.ledger.entry import Body, LedgerId, RunId, commitment
from forum_mcp.stores import rows, tree
from forum_mcp.stores.base import BodyState, Head, Lease, RunRow, Stored
from forum_mcp.stores.bodies import BodyTable
from forum_mcp.stores.connection import data_version, refusal, translated
from forum_mcp.stores.held_file import HeldFile
from forum_mcp.stores.opening import Opened

__all__ = ["SqliteView"]

_CLOSED: Final = "this ledger was closed; open it again"


class SqliteView:
    """The reads of ``SqliteStore``; usable from several threads."""

    def __init__(self, opened: Opened, path: Path | None, held: HeldFile | None = None) -> None:
        self._reader = opened.reader
        self._writer: sqlite3.Connection | None = opened.writer
        self._ledger = opened.ledger
        self._index_key = opened.index_key
        self._path = path
        self._held = held
        self._lock = RLock()
        self._views, self._closed = 0, False
        self._redactions: dict[str, int] = {}
        self._redactions_to = -1
        # What our last commit left, good while the data_version is the same, which others' commits change.
        self._edge: tree.Edge | None = None
        self._head: Head | None = None

    @property
    def ledger_id(self) -> LedgerId:
        """The ledger's id, 32 lower-case hex."""
        return self._ledger

    @property
    def read_only(self) -> bool:
        """True when nothing can be appended."""
        return self._writer is None

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Hold one consistent read view; nested use shares the outermost one."""
        with self._lock:
            with self._reading() as reader:
                pinned = self._views == 0 and reader is not self._writer
                if pinned:
                    reader.execute("BEGIN")
                    rows.head(reader)
            self._views += 1
            try:
                yield
            finally:
                self._views -= 1
                if pinned and not self._closed and reader.in_transaction:
                    reader.execute("ROLLBACK")

    def size(self) -> int:
        """Return the number of entries."""
        with self._reading() as reader:
            return (rows.head(reader) or (0, b""))[0]

    def body_count(self) -> int:
        """Return how many bodies are here."""
        with self._reading() as reader:
            (count,) = reader.execute("SELECT count(*) FROM bodies").fetchone()
            return int(count)

    def head(self) -> Head:
        """Return size, root and change token of one moment; from memory when nobody committed after us."""
        with self._lock:
            kept = self._head
            # Nothing but SQLite's own answer on the way: this is asked after every append.
            if kept is not None and not self._views and self.change_token() == kept.token:
                return kept
            with self._reading() as reader:
                token = data_version(self._writer or reader)
                with self.snapshot():
                    edge = tree.read_edge(reader, b"")
                return Head(edge.size, edge.root(), token)

    def entry(self, seq: int) -> Stored:
        """Return one entry.

        Raises:
            NotFound: seq is not in 0 .. size-1.
        """
        with self._reading() as reader:
            found = rows.entry(reader, seq)
            if found is None:
                raise NotFound(f"no entry {seq} in this ledger, expected 0 to {self.size() - 1}")
            return found

    def raw_entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (seq, exact bytes) for start <= seq < stop, ascending, straight from disk and undecoded."""
        with self._reading() as reader:
            yield from rows.scan(reader, start, stop)

    def run_entries(self, run: RunId, after: int = -1) -> list[Stored]:
        """Return the run's entries with seq > after, oldest first."""
        with self._reading() as reader:
            return rows.run_entries(reader, run, after)

    def cites(self, runs: Sequence[RunId], commit: str) -> bool:
        """Tell whether an entry of one of the runs, at most 256, cites the body of a commitment (64 hex)."""
        with self._reading() as reader:
            return rows.cites(reader, runs, commit)

    def newest(self, run: RunId) -> int | None:
        """Return the seq of the run's newest entry, or None."""
        with self._reading() as reader:
            return rows.newest(reader, run)

    def newest_of_kind(self, kind: str) -> Stored | None:
        """Return the newest entry of ``checkpoint.signed`` or ``key.rotated``, or None.

        Raises:
            ValueError: another kind, which has no index.
        """
        with self._reading() as reader:
            return rows.newest_of_kind(reader, kind)

    def runs(self, limit: int, before: int | None = None) -> list[RunRow]:
        """Return runs newest first, at most ``limit``, whose first seq is < before."""
        with self._reading() as reader:
            return rows.runs(reader, limit, before)

    def body(self, commit: str) -> Body | None:
        """Return the body of a commitment (64 hex), or None when it is not here."""
        with self._reading() as reader:
            return BodyTable(reader, self._index_key).get(commit)

    def body_state(self, commit: str) -> BodyState:
        """Return which of the four states a cited body (64 hex) is in."""
        with self._reading() as reader:
            table = BodyTable(reader, self._index_key)
            body = table.get(commit)
            if body is not None and commitment(body.salt, body.type, body.data) == commit:
                return BodyState("present")
            if table.is_row(commit):
                return BodyState("mismatch")
            for stored in rows.of_kind(reader, "body.redacted", self._redactions_to):
                self._redactions_to = stored.entry.seq
                self._redactions.setdefault(str(stored.entry.data.get("commit")), stored.entry.seq)
        redacted_by = self._redactions.get(commit)
        return BodyState("missing" if redacted_by is None else "redacted", redacted_by)

    def raw_bodies(self) -> Iterator[tuple[str, str, bytes, bytes | None]]:
        """Yield (commit hex, media type, salt, plain bytes or None) for each body, by commit."""
        with self._reading() as reader:
            for row in BodyTable(reader, self._index_key).by_commit():
                yield row.commit.hex(), row.type, row.salt, row.plain

    def index_faults(self) -> Iterator[str]:
        """Yield the commit of each body whose row of the dedup index is absent, doubled or wrong."""
        with self._reading() as reader:
            table = BodyTable(reader, self._index_key)
            for row in table.by_id():
                if row.plain is not None and row.key != table.key(row.type, row.plain):
                    yield row.commit.hex()

    def node(self, level: int, index: int) -> bytes:
        """Return the 32-byte hash of a complete subtree.

        Raises:
            NotFound: that subtree is not complete at the present size.
        """
        with self._reading() as reader:
            found = tree.read_node(reader, level, index)
            if found is None:
                raise NotFound(f"no complete subtree {level}/{index} in a ledger of {self.size()} entries")
            return found

    def raw_nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield (level, index, hash) of every stored node, leaves (level 0) first."""
        with self._reading() as reader:
            yield from tree.scan_nodes(reader, self.size())

    def lease(self, run: RunId) -> Lease | None:
        """Return the run's lease, expired or not."""
        with self._reading() as reader:
            return rows.lease(reader, run)

    def change_token(self) -> int:
        """Return a number that changes when another process has committed; our own commits leave it alone."""
        if self._closed:
            raise LedgerError(_CLOSED)
        try:
            # A connection's own commits do not move its data_version: the writer's is asked where there is one.
            return data_version(self._writer or self._reader)
        except sqlite3.Error as error:
            raise refusal(error) from error

    def close(self) -> None:
        """Release the store; closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._reader.close()
            if self._writer is not None:
                self._writer.close()
            if self._held is not None:  # after the last connection, see held_file.py
                self._held.release()
                self._held = None

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        if self._closed:
            raise LedgerError(_CLOSED)
        with translated():
            yield self._reader
