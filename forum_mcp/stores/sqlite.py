"""The default store: one SQLite file in WAL mode, safe for many processes; ``:memory:`` for one.

Order of a write: BEGIN IMMEDIATE, head read, works run, one COMMIT that fsyncs the WAL
(``synchronous=FULL``). A kill or a power cut before the COMMIT returned leaves the ledger as it was, after it
all of it. An I/O error ends writing for good: after a failed fsync nobody knows what the disk holds.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Final, Self, TypeVar

from forum_mcp.errors import LedgerError, LedgerReadOnly, NotFound
from forum_mcp.ledger.entry import Body, Draft, LedgerId, RunId, commitment
from forum_mcp.ledger.verify import Source
from forum_mcp.stores import opening, rows, tree
from forum_mcp.stores.backup import copy_file
from forum_mcp.stores.base import BodyState, Head, Lease, RunRow, Stored, Transaction
from forum_mcp.stores.bodies import BodyTable
from forum_mcp.stores.connection import begin_immediate, connect, data_version, identity, is_poison, refusal, translated
from forum_mcp.stores.opening import wall_clock_us
from forum_mcp.stores.source import SqliteSource, open_source
from forum_mcp.stores.transaction import SqliteTransaction

__all__ = ["MEMORY", "SqliteStore", "wall_clock_us"]

T = TypeVar("T")
MEMORY: Final = ":memory:"


class SqliteStore:
    """The ``Store`` port on SQLite. Open it with ``create``, ``open`` or ``memory``; usable from several threads."""

    def __init__(self, opened: opening.Opened, path: Path | None, entropy: Callable[[int], bytes]) -> None:
        self._reader = opened.reader
        self._writer = opened.writer
        self._ledger = opened.ledger
        self._index_key = opened.index_key
        self._path = path
        self._entropy = entropy
        self._file = identity(path)
        self._lock = RLock()
        self._views, self._closed = 0, False
        self._redactions: dict[str, int] = {}
        self._redactions_to = -1
        # The right edge our last commit left: good while the data_version is the same, which others' commits change.
        self._edge: tree.Edge | None = None
        self._edge_token = -1
        self._last_work: Callable[[Transaction, int], None] | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        ledger: LedgerId,
        genesis: Draft,
        *,
        entropy: Callable[[int], bytes] = os.urandom,
        now_us: Callable[[], int] = wall_clock_us,
        page_size: int = 4096,
    ) -> Self | None:
        """Make a ledger file whose entry 0 is ``genesis``, and open it; None when the name is taken by now.

        Raises:
            LedgerError: the place cannot hold a ledger.
        """
        path = path.absolute()
        made = opening.create_file(path, ledger, genesis, now_us(), entropy, page_size=page_size)
        return cls.open(path, entropy=entropy) if made else None

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False, entropy: Callable[[int], bytes] = os.urandom) -> Self:
        """Open a ledger file that is there; O(log n) reads.

        Raises:
            LedgerMissing: no such file; nothing is created.
            LedgerUnreadable: not a ledger, or damaged at its head.
        """
        path = path.absolute()
        return cls(opening.open_file(path, read_only=read_only), path, entropy)

    @classmethod
    def memory(
        cls,
        ledger: LedgerId,
        genesis: Draft,
        *,
        entropy: Callable[[int], bytes] = os.urandom,
        now_us: Callable[[], int] = wall_clock_us,
    ) -> Self:
        """Make a ledger that lives as long as the store."""
        connection = connect(None, "memory")
        return cls(opening.fill(connection, ledger, genesis, now_us(), entropy), None, entropy)

    @property
    def path(self) -> Path | None:
        """The file, or None for a ledger in memory."""
        return self._path

    @property
    def ledger_id(self) -> LedgerId:
        """The ledger's id, 32 lower-case hex."""
        return self._ledger

    @property
    def read_only(self) -> bool:
        """True when nothing can be appended."""
        return self._writer is None

    def before_commit(self, work: Callable[[Transaction, int], None] | None) -> None:
        """Have ``work(transaction, committed)`` run at the end of each transaction that appended.

        ``committed`` is the number of entries before the transaction. What the work raises undoes the transaction.
        """
        self._last_work = work

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` under the write lock; see ``stores.base.Store.transact``.

        Raises:
            LedgerReadOnly: opened read-only, or the disk failed.
            LedgerError: another process held the lock for a minute.
        """
        with self._transaction() as transaction:
            return work(transaction)

    def transact_all(self, works: Sequence[Callable[[Transaction], object]]) -> list[object | Exception]:
        """Run several works in ONE durable transaction, each undone alone; see ``stores.base.Store.transact_all``."""
        results: list[object | Exception] = []
        with self._transaction() as transaction:
            for work in works:
                try:
                    with transaction.savepoint():
                        results.append(work(transaction))
                except Exception as error:
                    if transaction.broken is not None:
                        raise
                    results.append(error)
        return results

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

    @contextmanager
    def source(self, *, vkeys: Sequence[str] = ()) -> Generator[Source]:
        """Hold a view of the ledger for verification or export: the file opened anew, nothing cached.

        Raises:
            LedgerMissing: the file has gone.
        """
        if self._path is not None:
            with open_source(self._path, vkeys=vkeys) as source:
                yield source
        else:
            with self.snapshot():
                yield SqliteSource(self._reader, vkeys=vkeys)

    @contextmanager
    def anew(self) -> Generator[Self]:
        """Hold the file opened a second time, read-only; a ledger in memory is itself."""
        if self._path is None:
            yield self
            return
        store = self.open(self._path, read_only=True)
        try:
            yield store
        finally:
            store.close()

    def size(self) -> int:
        """Return the number of entries."""
        with self._reading() as reader:
            return (rows.head(reader) or (0, b""))[0]

    def head(self) -> Head:
        """Return size, root and change token of one moment; from memory when nobody committed after us."""
        with self._lock, self._reading() as reader:
            token, edge = data_version(self._writer or reader), self._edge
            if edge is None or self._views or token != self._edge_token:
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

    def settle(self, patience_s: float = 2.0) -> bool:
        """Move the write-ahead log into the file and empty it, so that what was deleted stands in neither.

        Returns:
            False when another process was reading for all of ``patience_s``: pages of before are still in the log.

        Raises:
            LedgerError: the disk failed.
        """
        deadline = time.monotonic() + patience_s
        with self._lock, translated():
            while self._path is not None and self._writer is not None:
                (busy, _, _) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                if not busy:
                    return True
                if time.monotonic() >= deadline:
                    return False
        return self._path is None

    def backup(self, target: Path) -> None:
        """Write what is committed now to a new file, complete or not at all, while others append.

        Raises:
            FileExistsError: the name is taken.
            LedgerError: reading or writing failed.
        """
        with self.anew() as fresh:
            copy_file(fresh._reader, target, self._entropy)

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
        with self._reading() as reader:
            # A connection's own commits do not move its data_version: the writer's is asked where there is one.
            return data_version(self._writer or reader)

    def close(self) -> None:
        """Release the store; closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._reader.close()
            if self._writer is not None:
                self._writer.close()

    @contextmanager
    def _transaction(self) -> Generator[SqliteTransaction]:
        with self._lock:
            writer = self._writer
            if self._closed:
                raise LedgerError("this ledger was closed; open it again")
            if writer is None:
                raise LedgerReadOnly(
                    "nothing can be appended: the ledger is open for reading only (asked for, no right to "
                    "write, or a disk that failed); open it for writing"
                )
            if identity(self._path) != self._file:
                raise LedgerReadOnly(
                    "nothing can be appended: the ledger's file was removed or another put in its place since it was "
                    "opened, and what is written to the old one would be lost; open it again"
                )
            if writer.in_transaction:
                raise LedgerError("a transaction of this store is open; append through it, not beside it")
            transaction: SqliteTransaction | None = None
            try:
                begin_immediate(writer)
                token = data_version(writer)
                bodies = BodyTable(writer, self._index_key)
                edge = self._edge if token == self._edge_token else None
                transaction = SqliteTransaction(writer, self._ledger, bodies, self._entropy, edge)
                committed = transaction.size
                yield transaction
                if self._last_work is not None and transaction.size > committed and transaction.broken is None:
                    self._last_work(transaction, committed)
                if transaction.broken is not None:
                    raise transaction.broken
                transaction.flush()
                writer.execute("COMMIT")
                self._edge, self._edge_token = transaction.edge, token
            except sqlite3.Error as error:
                self._undo(writer, error)
                raise refusal(error) from error
            except BaseException:
                self._undo(writer, None if transaction is None else transaction.broken)
                raise

    def _undo(self, writer: sqlite3.Connection, cause: sqlite3.Error | None) -> None:
        self._edge_token = -1
        try:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        except sqlite3.Error as error:
            cause = error
        if cause is not None and is_poison(cause) and self._path is not None:
            self._writer = None
            writer.close()

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        if self._closed:
            raise LedgerError("this ledger was closed; open it again")
        with translated():
            yield self._reader
