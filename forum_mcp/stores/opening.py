"""Making and opening a ledger file: every judgement of a file before its first use, in O(log n) reads.

A missing file is never made by a look at it; a file that is not ours is never touched; a file of a newer
version is read and not written.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from forum_mcp.errors import LedgerMissing, LedgerUnreadable
from forum_mcp.ledger.entry import Draft, LedgerId, genesis_prev, leaf_hash
from forum_mcp.stores import files, rows, tree
from forum_mcp.stores.bodies import BodyTable
from forum_mcp.stores.connection import connect, translated
from forum_mcp.stores.held_file import first_bytes
from forum_mcp.stores.schema import (
    OLDEST_VERSION,
    USER_VERSION,
    create_tables,
    header_fault,
    read_meta,
    schema_fault,
)

__all__ = [
    "INDEX_KEY_BYTES",
    "Opened",
    "check_head",
    "create_file",
    "fill",
    "open_file",
    "read_header",
    "reading",
    "wall_clock_us",
]

_HEADER_BYTES = 100
INDEX_KEY_BYTES = 32


def wall_clock_us() -> int:
    """Return the wall clock, microseconds since the epoch."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Opened:
    """Connections to a ledger; ``writer`` is None when it can only be read."""

    reader: sqlite3.Connection
    writer: sqlite3.Connection | None
    ledger: LedgerId
    index_key: bytes


def fill(
    connection: sqlite3.Connection,
    ledger: LedgerId,
    genesis: Draft,
    at_us: int,
    entropy: Callable[[int], bytes],
) -> Opened:
    """Make an empty database a ledger with its entry 0, in one transaction."""
    from forum_mcp.stores.transaction import SqliteTransaction  # who reads appends nothing

    index_key = entropy(INDEX_KEY_BYTES)
    connection.execute("BEGIN IMMEDIATE")
    create_tables(connection)
    connection.executemany(
        "INSERT INTO meta (name, value) VALUES (?, ?)",
        (("ledger", ledger.encode()), ("index_key", index_key)),
    )
    work = SqliteTransaction(connection, ledger, BodyTable(connection, index_key), entropy)
    work.append(genesis, run=None, at_us=at_us)
    work.flush()
    connection.execute("COMMIT")
    return Opened(connection, connection, ledger, index_key)


def create_file(
    path: Path,
    ledger: LedgerId,
    genesis: Draft,
    at_us: int,
    entropy: Callable[[int], bytes],
    *,
    page_size: int = 4096,
) -> bool:
    """Make a ledger file, complete with entry 0, or nothing.

    Returns:
        False when a file of that name exists by now.

    Raises:
        LedgerUnreadable: the place cannot hold a ledger (network file system, no rights).
        LedgerError: the disk failed.
    """
    files.refuse_network(path)
    temporary = path.with_name(f".{path.name}.{entropy(8).hex()}.tmp")
    try:
        files.private_directory(path.parent)
        os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with translated():
            connection = sqlite3.connect(temporary, isolation_level=None)
            try:
                for pragma in (f"page_size = {page_size}", "journal_mode = WAL", "synchronous = FULL"):
                    connection.execute(f"PRAGMA {pragma}").fetchall()
                fill(connection, ledger, genesis, at_us, entropy)
            finally:
                connection.close()
        return files.link_new(temporary, path)
    except OSError as error:
        raise _inaccessible(path, error) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


def open_file(path: Path, *, read_only: bool, entropy: Callable[[int], bytes], now_us: Callable[[], int]) -> Opened:
    """Open the ledger of a file that must be there and must be one.

    A file of an older version is brought to the present one, or read from a copy where it may not be written; one of a
    newer version is read.

    Raises:
        LedgerMissing: no such file; nothing is created.
        LedgerUnreadable: not a ledger, or its head and tree disagree.
    """
    fault = header_fault(read_header(path))
    if fault is not None:
        raise LedgerUnreadable(f"'{path.name}' is not a ledger: {fault}; name a ledger file with --ledger")
    files.refuse_network(path)
    writable = not read_only and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    with translated():
        reader = reading(path)
    writer: sqlite3.Connection | None = None
    try:
        with translated():
            (version,) = reader.execute("PRAGMA user_version").fetchone()
            if OLDEST_VERSION <= version < USER_VERSION:
                from forum_mcp.stores import migration  # most files are of this version

                if writable:
                    writer = connect(path, "rw")
                    fault = migration.in_place(writer, entropy, now_us())
                    found: sqlite3.Connection | str = reader if fault is None else fault
                else:
                    found = migration.to_temporary(reader)
                if isinstance(found, str):
                    raise LedgerUnreadable(f"'{path.name}' is not a ledger: {found}; name a ledger file with --ledger")
                if found is not reader:
                    reader.close()
                    reader = found
                version = USER_VERSION
            if version == USER_VERSION:
                check_head(reader)
                writer = (writer or connect(path, "rw")) if writable else None
            elif version < USER_VERSION:
                raise LedgerUnreadable(
                    f"'{path.name}' has table version {version}, expected {USER_VERSION}; it was never a "
                    "finished ledger"
                )
            ledger = LedgerId(read_meta(reader, "ledger").decode("ascii", "replace"))
            return Opened(reader, writer, ledger, read_meta(reader, "index_key"))
    except BaseException:
        reader.close()
        if writer is not None:
            writer.close()
        raise


def reading(path: Path) -> sqlite3.Connection:
    """Return a connection that only reads, also beside writers and in a directory without write permission.

    Raises:
        sqlite3.Error: the file cannot be read as a database.
    """
    try:
        return connect(path, "ro")
    except sqlite3.OperationalError:
        # WAL needs a shared-memory file beside the database. Where none can be made and no WAL holds newer
        # pages, nobody can be writing either, and the file alone is the whole ledger.
        wal = path.with_name(path.name + "-wal")
        if os.access(path.parent, os.W_OK) or (wal.exists() and wal.stat().st_size > 0):
            raise
        return connect(path, "immutable")


def read_header(path: Path) -> bytes:
    """Return the first 100 bytes of a file.

    Raises:
        LedgerMissing: no such file.
        LedgerUnreadable: a directory, or no right to read it.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # A pipe would keep us waiting for its first byte.
            raise LedgerUnreadable(f"'{path.name}' is not a ledger: not a file; name a ledger file with --ledger")
        return first_bytes(path, _HEADER_BYTES)
    except FileNotFoundError as error:
        raise LedgerMissing(
            f"no ledger '{path.name}' at that place and none was made; check --ledger, or submit a first request"
        ) from error
    except OSError as error:
        raise _inaccessible(path, error) from error


def check_head(connection: sqlite3.Connection) -> None:
    """Check schema, newest entry and newest tree nodes against each other, in one read view.

    Raises:
        LedgerUnreadable: they disagree; says which.
        sqlite3.Error: they cannot be read.
    """
    connection.execute("BEGIN")
    try:
        fault = schema_fault(connection) or _head_fault(connection)
    finally:
        connection.execute("ROLLBACK")
    if fault is not None:
        raise LedgerUnreadable(f"the ledger is damaged: {fault}; run `forum-mcp ledger verify` to see all of it")


def _head_fault(connection: sqlite3.Connection) -> str | None:
    ledger = LedgerId(read_meta(connection, "ledger").decode("ascii", "replace"))
    head = rows.head(connection)
    if head is None:
        return "it has no entry, not even its first"
    size, leaf = head
    newest = rows.entry(connection, size - 1)
    before = tree.read_node(connection, 0, size - 2) if size > 1 else bytes.fromhex(genesis_prev(ledger))
    if newest is None or leaf_hash(newest.raw) != leaf:
        return f"the bytes of entry {size - 1} do not have the leaf hash stored with them"
    if newest.entry.ledger != ledger or newest.entry.seq != size - 1:
        return f"entry {size - 1} says it is entry {newest.entry.seq} of ledger {newest.entry.ledger[:32]}"
    if before is None or newest.entry.prev != before.hex():
        return f"entry {size - 1} does not follow the leaf hash stored with entry {size - 2}"
    return tree.newest_nodes_fault(connection, size)


def _inaccessible(path: Path, error: OSError) -> LedgerUnreadable:
    return LedgerUnreadable(
        f"the ledger '{path.name}' cannot be opened ({error.strerror}); expected a file in a directory of "
        "yours: check the rights, or name another path with --ledger"
    )
