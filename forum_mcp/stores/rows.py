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
    "MARKED",
    "EntryRow",
    "account",
    "bounded",
    "cites",
    "drop_lease",
    "entry",
    "head",
    "insert",
    "is_marked",
    "lease",
    "newest",
    "newest_of_kind",
    "of_kind",
    "run_entries",
    "run_key",
    "runs",
    "scan",
    "set_account",
    "set_lease",
]

_PAGE: Final = 512
_INTEGER_MAX: Final = 2**62
_HASH_BYTES: Final = 32
_STARTED: Final = "run.started"
_ASKED_FOR: Final = frozenset(("body.redacted", "checkpoint.cosigned", "checkpoint.signed", "key.rotated"))
MARKED: Final = _ASKED_FOR | {_STARTED}
"""The kinds whose entries have a row in ``marks``; ``run.started`` for the list of runs, and only those of a run."""


def head(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
    """Return (number of entries, 32-byte leaf hash of the newest), or None for none."""
    row = connection.execute("SELECT seq, tree FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    return None if row is None else (row[0] + 1, blob(row[1])[:_HASH_BYTES])


EntryRow = tuple[int, RunId | None, str, bytes, bytes]
"""Seq, run, kind, the hashes of ``entries.tree`` (``tree.extended``), exact bytes."""


def insert(connection: sqlite3.Connection, found: Sequence[EntryRow]) -> None:
    """Write entries and the marks of their kinds."""
    connection.executemany(
        "INSERT INTO entries (seq, run, tree, raw) VALUES (?, ?, ?, ?)",
        [(seq, run_key(run), hashes, raw) for seq, run, _, hashes, raw in found],
    )
    marks = [(kind, seq) for seq, run, kind, _, _ in found if is_marked(kind, run)]
    if marks:
        connection.executemany("INSERT INTO marks (kind, seq) VALUES (?, ?)", marks)


def is_marked(kind: str, run: str | None) -> bool:
    """State whether an entry has a row in ``marks``."""
    return kind in MARKED and (kind != _STARTED or run is not None)


def run_key(run: str | None) -> bytes | None:
    """Return the run id as its column holds it: 16 bytes."""
    return None if run is None else bytes.fromhex(run)


def entry(connection: sqlite3.Connection, seq: int) -> Stored | None:
    """Return one entry, or None."""
    row = connection.execute("SELECT raw, tree FROM entries WHERE seq = ?", (bounded(seq),)).fetchone()
    return None if row is None else _stored(seq, row[0], row[1])


def run_entries(connection: sqlite3.Connection, run: RunId, after: int) -> list[Stored]:
    """Return the run's entries with seq > after, oldest first."""
    found = connection.execute(
        "SELECT seq, raw, tree FROM entries WHERE run = ? AND seq > ? ORDER BY seq", (_asked(run), bounded(after))
    ).fetchall()
    return [_stored(seq, raw, hashes) for seq, raw, hashes in found]


def cites(connection: sqlite3.Connection, of: Sequence[RunId], commit: str) -> bool:
    """Tell whether an entry of one of the runs cites the body of a commitment; only what names it is decoded."""
    places = ",".join("?" * len(of))
    found = connection.execute(
        f"SELECT seq, raw, tree FROM entries WHERE run IN ({places}) AND instr(raw, ?)",  # noqa: S608  only marks
        (*map(_asked, of), commit.encode("utf-8", "replace")),
    ).fetchall()
    return any(
        reference.commit == commit
        for seq, raw, hashes in found
        for reference in _stored(seq, raw, hashes).entry.bodies.values()
    )


def newest(connection: sqlite3.Connection, run: RunId) -> int | None:
    """Return the seq of the run's newest entry, or None."""
    row = connection.execute(
        "SELECT seq FROM entries WHERE run = ? ORDER BY seq DESC LIMIT 1", (_asked(run),)
    ).fetchone()
    return None if row is None else int(row[0])


def newest_of_kind(connection: sqlite3.Connection, kind: str) -> Stored | None:
    """Return the newest entry of one of the kinds that are marked, or None.

    Raises:
        ValueError: the kind is not marked.
    """
    if kind not in _ASKED_FOR:
        raise ValueError(f"kind '{kind}' is not indexed, expected one of {', '.join(sorted(_ASKED_FOR))}")
    (seq,) = connection.execute("SELECT max(seq) FROM marks WHERE kind = ?", (kind,)).fetchone()
    return None if seq is None else entry(connection, seq)


def of_kind(connection: sqlite3.Connection, kind: str, after: int) -> list[Stored]:
    """Return the entries of one of the kinds that are marked with seq > after, oldest first."""
    found = connection.execute(
        "SELECT entries.seq, raw, tree FROM marks JOIN entries ON entries.seq = marks.seq "
        "WHERE kind = ? AND marks.seq > ? ORDER BY marks.seq",
        (kind, bounded(after)),
    ).fetchall()
    return [_stored(*row) for row in found]


def runs(connection: sqlite3.Connection, limit: int, before: int | None) -> list[RunRow]:
    """Return runs newest first, at most ``limit``, whose first seq is < before."""
    found = connection.execute(
        "SELECT run, entries.seq FROM marks JOIN entries ON entries.seq = marks.seq "
        "WHERE kind = ? AND marks.seq < ? AND run IS NOT NULL ORDER BY marks.seq DESC LIMIT ?",
        (_STARTED, _INTEGER_MAX if before is None else bounded(before), bounded(limit)),
    ).fetchall()
    return [RunRow(RunId(blob(run).hex()), seq) for run, seq in found]


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


def _asked(run: str) -> bytes:
    try:
        return bytes.fromhex(run)
    except ValueError:  # no run is called that
        return b""


def _stored(seq: int, raw: bytes, hashes: bytes) -> Stored:
    try:
        return Stored(decode(blob(raw)), raw, blob(hashes)[:_HASH_BYTES])
    except (msgspec.DecodeError, TypeError, UnicodeError) as error:
        raise LedgerUnreadable(
            f"entry {seq} cannot be decoded ({error}); run `forum-mcp ledger verify` to see what else is damaged"
        ) from error
