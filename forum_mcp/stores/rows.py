"""The queries on entries and leases, for any connection: inside a transaction or on a read view."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from forum_mcp.errors import LedgerUnreadable
from forum_mcp.ledger.entry import RunId, decode
from forum_mcp.stores.base import Lease, RunRow, Stored
from forum_mcp.stores.connection import blob

__all__ = [
    "EntryRow",
    "account",
    "bounded",
    "drop_lease",
    "entry",
    "head",
    "insert",
    "lease",
    "newest",
    "newest_of_kind",
    "of_kind",
    "run_entries",
    "runs",
    "scan",
    "set_account",
    "set_lease",
]

_PAGE: Final = 512
_INTEGER_MAX: Final = 2**62
_CUSTODY: Final = ("body.redacted", "checkpoint.cosigned", "checkpoint.signed", "key.rotated")
_INDEXED: Final = f"kind IN ({', '.join(map(repr, _CUSTODY))})"
"""The condition of the partial index, word for word: SQLite uses the index only then."""


def head(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    """Return (number of entries, 32-byte leaf hash of the newest), or None for none."""
    row = connection.execute("SELECT seq, leaf FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    return None if row is None else (row[0] + 1, blob(row[1]))


EntryRow = tuple[int, bytes, bytes, str | None, str, bytes]
"""Seq, 32-byte hashes ``prev`` and ``leaf``, run, kind, exact bytes."""


def insert(connection: sqlite3.Connection, found: Sequence[EntryRow]) -> None:
    """Write entries."""
    connection.executemany("INSERT INTO entries (seq, prev, leaf, run, kind, raw) VALUES (?, ?, ?, ?, ?, ?)", found)


def entry(connection: sqlite3.Connection, seq: int) -> Stored | None:
    """Return one entry, or None."""
    row = connection.execute("SELECT raw, leaf FROM entries WHERE seq = ?", (bounded(seq),)).fetchone()
    return None if row is None else _stored(seq, row[0], row[1])


def run_entries(connection: sqlite3.Connection, run: RunId, after: int) -> list[Stored]:
    """Return the run's entries with seq > after, oldest first."""
    found = connection.execute(
        "SELECT seq, raw, leaf FROM entries WHERE run = ? AND seq > ? ORDER BY seq", (_name(run), bounded(after))
    ).fetchall()
    return [_stored(seq, raw, leaf) for seq, raw, leaf in found]


def newest(connection: sqlite3.Connection, run: RunId) -> int | None:
    """Return the seq of the run's newest entry, or None."""
    (seq,) = connection.execute("SELECT max(seq) FROM entries WHERE run = ?", (_name(run),)).fetchone()
    return None if seq is None else int(seq)


def newest_of_kind(connection: sqlite3.Connection, kind: str) -> Stored | None:
    """Return the newest entry of one of the indexed kinds, or None.

    Raises:
        ValueError: the kind is not indexed.
    """
    if kind not in _CUSTODY:
        raise ValueError(f"kind '{kind}' is not indexed, expected one of {', '.join(_CUSTODY)}")
    row = connection.execute(
        f"SELECT seq, raw, leaf FROM entries WHERE {_INDEXED} AND kind = ? ORDER BY seq DESC LIMIT 1",  # noqa: S608
        (kind,),
    ).fetchone()
    return None if row is None else _stored(*row)


def of_kind(connection: sqlite3.Connection, kind: str, after: int) -> list[Stored]:
    """Return the entries of one of the indexed kinds with seq > after, oldest first."""
    found = connection.execute(
        f"SELECT seq, raw, leaf FROM entries WHERE {_INDEXED} AND kind = ? AND seq > ? ORDER BY seq",  # noqa: S608
        (kind, bounded(after)),
    ).fetchall()
    return [_stored(*row) for row in found]


def runs(connection: sqlite3.Connection, limit: int, before: int | None) -> list[RunRow]:
    """Return runs newest first, at most ``limit``, whose first seq is < before."""
    found = connection.execute(
        "SELECT run, seq FROM entries WHERE kind = 'run.started' AND run IS NOT NULL AND seq < ? "
        "ORDER BY seq DESC LIMIT ?",
        (_INTEGER_MAX if before is None else bounded(before), bounded(limit)),
    ).fetchall()
    return [RunRow(run, seq) for run, seq in found]


def scan(connection: sqlite3.Connection, start: int, stop: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield (seq, exact bytes) for start <= seq < stop, ascending, a page at a time."""
    last, end = bounded(start) - 1, _INTEGER_MAX if stop is None else bounded(stop)
    while True:
        found = connection.execute(
            "SELECT seq, CAST(raw AS BLOB) FROM entries WHERE seq > ? AND seq < ? ORDER BY seq LIMIT ?",
            (last, end, _PAGE),
        ).fetchall()
        for seq, raw in found:
            if seq <= last:  # a damaged page; asking on from here would never end
                raise sqlite3.DatabaseError(f"entries are out of order at seq {seq}")
            last = seq
            yield seq, bytes(raw or b"")
        if len(found) < _PAGE:
            return


def lease(connection: sqlite3.Connection, run: RunId) -> Lease | None:
    """Return the run's lease, or None."""
    row = connection.execute("SELECT holder, fence, expires_us FROM leases WHERE run = ?", (_name(run),)).fetchone()
    return None if row is None else Lease(run, *row)


def set_lease(connection: sqlite3.Connection, lease: Lease) -> None:
    """Write the run's lease."""
    connection.execute(
        "INSERT INTO leases (run, holder, fence, expires_us) VALUES (?, ?, ?, ?) ON CONFLICT (run) DO UPDATE "
        "SET holder = excluded.holder, fence = excluded.fence, expires_us = excluded.expires_us",
        (lease.run, lease.holder, lease.fence, lease.expires_us),
    )


def account(connection: sqlite3.Connection, name: str) -> bytes | None:
    """Return the account of that name, or None."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (f"account:{name}",)).fetchone()
    return None if row is None else bytes(row[0])


def set_account(connection: sqlite3.Connection, name: str, value: bytes) -> None:
    """Write the account of that name."""
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (f"account:{name}", value))


def drop_lease(connection: sqlite3.Connection, run: RunId, fence: int) -> None:
    """Expire the lease if ``fence`` is still the one given."""
    connection.execute("UPDATE leases SET expires_us = 0 WHERE run = ? AND fence = ?", (run, fence))


def bounded(number: int) -> int:
    """Return the number, or the nearest that SQLite can hold: any integer may be asked for, none is an error."""
    return max(-_INTEGER_MAX, min(number, _INTEGER_MAX))


def _name(run: str) -> str:
    # A lone surrogate cannot be bound as a parameter, and no run is called that.
    return run if run.isascii() else ""


def _stored(seq: int, raw: bytes, leaf: bytes) -> Stored:
    try:
        return Stored(decode(blob(raw)), raw, blob(leaf))
    except (msgspec.DecodeError, TypeError, UnicodeError) as error:
        raise LedgerUnreadable(
            f"entry {seq} cannot be decoded ({error}); run `forum-mcp ledger verify` to see what else is damaged"
        ) from error
