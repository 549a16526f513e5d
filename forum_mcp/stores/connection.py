"""Connections to a ledger file: pragmas, the write lock, and what an SQLite error means to a caller.

WAL with ``synchronous=FULL``: a commit that returned survives a power cut. Transactions are explicit (no
implicit BEGIN of the driver), and a writer begins with BEGIN IMMEDIATE so that the head it reads is the head
it extends.
"""

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from forum_mcp.errors import LedgerError, LedgerLocked, LedgerReadOnly, LedgerUnreadable

__all__ = [
    "LOCK_TIMEOUT_S",
    "TURN_S",
    "UNREADABLE",
    "begin_immediate",
    "blob",
    "connect",
    "data_version",
    "identity",
    "is_poison",
    "refusal",
    "translated",
]

LOCK_TIMEOUT_S: Final = 60.0
"""How long somebody who can only wait waits for the write lock, seconds."""

TURN_S: Final = 0.05
"""How long a program that has something else to do meanwhile waits at a time; writers in turn hold it for less."""

_BUSY_TIMEOUT_MS: Final = 20
_READ_TIMEOUT_MS: Final = 10_000
_PAUSE_FIRST_S: Final = 0.0005
_PAUSE_MAX_S: Final = 0.02

_WRITER: Final = ("synchronous = FULL", "secure_delete = ON")
# 16 MB. An append rewrites a handful of pages; the longer the log, the more of their copies are never moved.
_WAL_PAGES: Final = 4096

_PRIMARY: Final = 0xFF
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# What reading a damaged file may raise: the driver decodes SQLite's own error messages, which quote damaged bytes, and
# a damaged row holds values of any type and size.
UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError, LedgerUnreadable, TypeError, OverflowError)

_Mode = Literal["rw", "ro", "immutable", "memory"]


def connect(path: Path | None, mode: _Mode) -> sqlite3.Connection:
    """Return a connection with every pragma set; ``path`` is None for mode ``memory``.

    Raises:
        sqlite3.Error: the file cannot be opened in that mode.
    """
    if path is None:
        target = "file::memory:"
    else:
        target = f"file://{quote(os.fsencode(path))}?" + ("immutable=1" if mode == "immutable" else f"mode={mode}")
    connection = sqlite3.connect(
        target, uri=True, isolation_level=None, timeout=0.0, check_same_thread=False, cached_statements=64
    )
    try:
        writes = mode in ("rw", "memory")
        for pragma in (
            f"busy_timeout = {_READ_TIMEOUT_MS}",
            "trusted_schema = OFF",
            "cell_size_check = ON",
            *((*_WRITER, f"wal_autocheckpoint = {_WAL_PAGES}") if writes else ("query_only = ON",)),
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        # A read of the header, so that a file that cannot be used is refused here and not at the first query.
        connection.execute("PRAGMA schema_version").fetchall()
        if writes:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def blob(value: object) -> bytes:
    """Return a value that was stored as bytes.

    Raises:
        sqlite3.DatabaseError: damage made it something else.
    """
    if not isinstance(value, bytes):
        raise sqlite3.DatabaseError(f"a column of bytes holds a {type(value).__name__}")
    return value


def begin_immediate(connection: sqlite3.Connection, timeout_s: float = LOCK_TIMEOUT_S) -> None:
    """Take the write lock, waiting at most ``timeout_s``.

    SQLite's own waiting doubles up to 100 ms and starves a process under contention: it is cut short and
    followed by short random pauses.

    Raises:
        LedgerLocked: another process held the lock all that time.
        sqlite3.Error: anything else.
    """
    deadline = time.monotonic() + timeout_s
    pause = _PAUSE_FIRST_S
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY:
                raise
            if time.monotonic() >= deadline:
                raise LedgerLocked(timeout_s) from error
        else:
            return
        from random import random  # who meets no other writer does without

        time.sleep(pause * (0.5 + random()))  # noqa: S311 - jitter, not a secret
        pause = min(pause * 2, _PAUSE_MAX_S)


def data_version(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another connection has committed; this one's commits leave it alone."""
    (token,) = connection.execute("PRAGMA data_version").fetchone()
    return int(token)


def identity(path: Path | None) -> tuple[int, int] | None:
    """Return (device, inode) of the file that now has this name; None when there is none."""
    try:
        found = None if path is None else os.stat(path)  # noqa: PTH116 - asked before each append, and cheaper
    except OSError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)


def is_poison(error: sqlite3.Error) -> bool:
    """Tell whether nothing may be written any more: after a failed write or fsync the state of the disk is unknown."""
    return _code(error) == sqlite3.SQLITE_IOERR


def refusal(error: sqlite3.Error) -> LedgerError:
    """Return the refusal that says what an SQLite error means to the caller."""
    code = _code(error)
    if code in _DAMAGED or isinstance(error, sqlite3.IntegrityError | sqlite3.DataError):
        return LedgerUnreadable(f"the ledger is damaged ({error}); run `forum-mcp ledger verify` to see where")
    if code == sqlite3.SQLITE_FULL:
        return LedgerReadOnly("the disk is full: nothing was appended; free some space and try again")
    if code == sqlite3.SQLITE_READONLY:
        return LedgerReadOnly(f"the ledger cannot be written ({error}); check the rights of file and directory")
    if code == sqlite3.SQLITE_IOERR:
        return LedgerReadOnly(
            f"the disk failed ({error}): nothing more is appended by this process; check the disk, then start again"
        )
    if code in _BUSY:
        return LedgerError(f"the ledger is locked by another process ({error}); try again")
    return LedgerUnreadable(f"the ledger cannot be read ({error}); run `forum-mcp ledger verify` to see where")


@contextmanager
def translated() -> Generator[None]:
    """Turn an SQLite error of the block into our refusal.

    Raises:
        LedgerError: see ``refusal``.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise refusal(error) from error
    except UnicodeDecodeError as error:
        raise LedgerUnreadable(
            f"the ledger is damaged (not UTF-8: {error.reason}); run `forum-mcp ledger verify` to see where"
        ) from error


def _code(error: sqlite3.Error) -> int:
    # Errors of the driver itself (a closed connection) carry no code.
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY
