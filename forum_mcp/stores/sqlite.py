"""The default store: one SQLite file in WAL mode, safe for many processes; ``:memory:`` for one.

Order of a write: BEGIN IMMEDIATE, head read, works run, one COMMIT that fsyncs the WAL
(``synchronous=FULL``). A kill or a power cut before the COMMIT returned leaves the ledger as it was, after it
all of it. An I/O error ends writing for good: after a failed fsync nobody knows what the disk holds.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from forum_mcp.errors import LedgerError, LedgerReadOnly
from forum_mcp.ledger.entry import Draft, LedgerId
from forum_mcp.ledger.verify import Source
from forum_mcp.stores import opening
from forum_mcp.stores.base import Head, Transaction
from forum_mcp.stores.bodies import BodyTable
from forum_mcp.stores.connection import (
    LOCK_TIMEOUT_S,
    TURN_S,
    begin_immediate,
    connect,
    data_version,
    identity,
    is_poison,
    refusal,
    translated,
)
from forum_mcp.stores.held_file import HeldFile, hold
from forum_mcp.stores.opening import wall_clock_us
from forum_mcp.stores.source import SqliteSource, open_source
from forum_mcp.stores.view import SqliteView

if TYPE_CHECKING:
    from forum_mcp.stores.transaction import SqliteTransaction

__all__ = ["MEMORY", "SqliteStore", "wall_clock_us"]

T = TypeVar("T")
MEMORY: Final = ":memory:"


class SqliteStore(SqliteView):
    """The ``Store`` port on SQLite. Open it with ``create``, ``open`` or ``memory``; usable from several threads."""

    def __init__(
        self, opened: opening.Opened, path: Path | None, entropy: Callable[[int], bytes], held: HeldFile | None = None
    ) -> None:
        super().__init__(opened, path, held)
        self._entropy = entropy
        self._file = identity(path)
        self._last_work: Callable[[Transaction, int], None] | None = None
        self._bodies = None if self._writer is None else BodyTable(self._writer, self._index_key)

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
        return cls.open(path, entropy=entropy, now_us=now_us) if made else None

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        read_only: bool = False,
        entropy: Callable[[int], bytes] = os.urandom,
        now_us: Callable[[], int] = wall_clock_us,
    ) -> Self:
        """Open a ledger file that is there; O(log n) reads, but for a file of an older version.

        Raises:
            LedgerMissing: no such file; nothing is created.
            LedgerUnreadable: not a ledger, or damaged at its head.
        """
        path = path.absolute()
        held = hold(path)
        try:
            opened = opening.open_file(path, read_only=read_only, entropy=entropy, now_us=now_us)
        except BaseException:
            if held is not None:
                held.release()
            raise
        return cls(opened, path, entropy, held)

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
    def fault(self) -> None:
        """Nothing: the file holds all of its entries."""
        return

    def before_commit(self, work: Callable[[Transaction, int], None] | None) -> None:
        """Have ``work(transaction, committed)`` run at the end of each transaction that appended.

        ``committed`` is the number of entries before the transaction. What the work raises undoes the transaction.
        """
        self._last_work = work

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` under the write lock; see ``stores.base.Store.transact``.

        Raises:
            LedgerReadOnly: opened read-only, or the disk failed.
            LedgerLocked: another process held the lock for a minute.
        """
        with self._transaction(LOCK_TIMEOUT_S) as transaction:
            return work(transaction)

    def transact_all(self, works: Sequence[Callable[[Transaction], object]]) -> list[object | Exception]:
        """Run several works in ONE durable transaction, each undone alone; see ``stores.base.Store.transact_all``."""
        results: list[object | Exception] = []
        with self._transaction(TURN_S) as transaction:
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
        from forum_mcp.stores.backup import copy_file

        with self.anew() as fresh:
            copy_file(fresh._reader, target, self._entropy)

    @contextmanager
    def _transaction(self, patience_s: float) -> "Generator[SqliteTransaction]":
        from forum_mcp.stores.transaction import SqliteTransaction  # who verifies appends nothing

        with self._lock:
            writer, bodies = self._writer, self._bodies
            if self._closed:
                raise LedgerError("this ledger was closed; open it again")
            if writer is None or bodies is None:
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
                begin_immediate(writer, patience_s)
                token = data_version(writer)
                edge = self._edge if self._head is not None and token == self._head.token else None
                if edge is None:
                    bodies.forget()
                transaction = SqliteTransaction(writer, self._ledger, bodies, self._entropy, edge)
                committed = transaction.size
                yield transaction
                if self._last_work is not None and transaction.size > committed and transaction.broken is None:
                    self._last_work(transaction, committed)
                if transaction.broken is not None:
                    raise transaction.broken
                transaction.flush()
                writer.execute("COMMIT")
                self._edge = transaction.edge
                self._head = Head(transaction.edge.size, transaction.edge.root(), token)
            except sqlite3.Error as error:
                self._undo(writer, error)
                raise refusal(error) from error
            except BaseException:
                self._undo(writer, None if transaction is None else transaction.broken)
                raise

    def _undo(self, writer: sqlite3.Connection, cause: sqlite3.Error | None) -> None:
        self._edge = self._head = None
        if self._bodies is not None:
            self._bodies.forget()
        try:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
        except sqlite3.Error as error:
            cause = error
        if cause is not None and is_poison(cause) and self._path is not None:
            self._writer = None
            writer.close()
