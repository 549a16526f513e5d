"""Files of an older table version: read as they are, or brought to the present one when they are opened for writing.

The format of entries and bodies is not touched: their bytes are copied as they stand, damaged or not, with the hashes
that are stored beside them; what serves the process is made anew. So a file verifies before as after, and what was
wrong with it stays a finding.

For reading, the rows are copied to a private temporary database: the file itself is not changed. For writing, all of it
is one transaction in the file, which ends with an entry ``ledger.migrated``: after a crash the file is the old one or
the new one. Processes of an older release that hold it open are refused by their next statement.

Version 1 (before the first release) kept leaf hashes and ``prev`` as columns, the nodes of the tree and the dedup index
in tables of their own.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from forum_mcp.ledger.entry import Draft, LedgerId
from forum_mcp.stores.bodies import BodyTable, unpack
from forum_mcp.stores.rows import is_marked
from forum_mcp.stores.schema import OLDEST_VERSION, TABLES, USER_VERSION, create_tables, read_meta, schema_fault
from forum_mcp.stores.transaction import SqliteTransaction

__all__ = ["in_place", "to_temporary"]

_PAGE: Final = 256
_VERSION_1: Final[Mapping[str, str]] = MappingProxyType(
    {
        "meta": TABLES["meta"],
        "entries": (
            "CREATE TABLE entries (seq INTEGER PRIMARY KEY, prev BLOB NOT NULL UNIQUE, leaf BLOB NOT NULL, "
            "run TEXT, kind TEXT NOT NULL, raw BLOB NOT NULL) STRICT"
        ),
        "entries_run": "CREATE INDEX entries_run ON entries (run, seq) WHERE run IS NOT NULL",
        "entries_started": "CREATE INDEX entries_started ON entries (seq, run) WHERE kind = 'run.started'",
        "entries_custody": (
            "CREATE INDEX entries_custody ON entries (kind, seq) WHERE kind IN ('body.redacted', "
            "'checkpoint.cosigned', 'checkpoint.signed', 'key.rotated')"
        ),
        "nodes": (
            "CREATE TABLE nodes (level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, "
            "PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID"
        ),
        "bodies": (
            'CREATE TABLE bodies (id INTEGER PRIMARY KEY, "commit" BLOB NOT NULL UNIQUE, type TEXT NOT NULL, '
            "salt BLOB NOT NULL, size INTEGER NOT NULL, codec INTEGER NOT NULL, data BLOB NOT NULL) STRICT"
        ),
        "body_index": (
            'CREATE TABLE body_index ("key" BLOB PRIMARY KEY, "commit" BLOB NOT NULL) STRICT, WITHOUT ROWID'
        ),
        "leases": TABLES["leases"],
    }
)
_UNCHANGED: Final = {"meta": "name, value", "leases": "run, holder, fence, expires_us"}
_RENAMED: Final = ("meta", "entries", "bodies", "leases")
_DROPPED: Final = ("nodes", "body_index")
_INDEXES: Final = ("entries_run", "entries_started", "entries_custody")


def to_temporary(source: sqlite3.Connection) -> sqlite3.Connection | str:
    """Return a temporary database of the present version with the rows of ``source``, or why there can be none.

    Raises:
        sqlite3.Error: ``source`` cannot be read; what can be told of its rows is in them.
    """
    fault = schema_fault(source, _VERSION_1, OLDEST_VERSION)
    if fault is not None:
        return fault
    target = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        target.execute("BEGIN")
        create_tables(target)
        _copy(source, target, "")
        target.execute("COMMIT")
        target.execute("PRAGMA query_only = ON")
    except BaseException:
        target.close()
        raise
    return target


def in_place(connection: sqlite3.Connection, entropy: Callable[[int], bytes], at_us: int) -> str | None:
    """Bring a file to the present version in one transaction, and record it; return what stands in the way, or None.

    Another process may have done it by now: then nothing is left to do.

    Raises:
        LedgerError, sqlite3.Error: reading or writing failed; the file is as it was.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        fault = schema_fault(connection, _VERSION_1, OLDEST_VERSION) if version == OLDEST_VERSION else None
        if version != OLDEST_VERSION or fault is not None:
            connection.execute("ROLLBACK")
            return fault
        for index in _INDEXES:
            connection.execute(f"DROP INDEX {index}")
        for table in _RENAMED:
            connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        create_tables(connection)
        _copy(connection, connection, "old_")
        for table in (*_DROPPED, *(f"old_{table}" for table in _RENAMED)):
            connection.execute(f"DROP TABLE {table}")
        ledger = LedgerId(read_meta(connection, "ledger").decode("ascii", "replace"))
        bodies = BodyTable(connection, read_meta(connection, "index_key"))
        work = SqliteTransaction(connection, ledger, bodies, entropy)
        work.append(
            Draft("ledger.migrated", "engine", {"before": version, "tables": USER_VERSION}), run=None, at_us=at_us
        )
        work.flush()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return None


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, prefix: str) -> None:
    """Copy the rows of version 1 from its tables, whose names begin with ``prefix``, to the present ones."""
    try:
        for table, columns in _UNCHANGED.items():
            found = source.execute(f"SELECT {columns} FROM {prefix}{table}").fetchall()  # noqa: S608
            places = ", ".join("?" * len(columns.split(",")))
            target.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", found)  # noqa: S608
        _copy_entries(source, target, prefix)
        _copy_bodies(source, target, prefix)
    except (TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(f"a row holds what its table cannot: {error}") from error


def _copy_entries(source: sqlite3.Connection, target: sqlite3.Connection, prefix: str) -> None:
    query = f"SELECT seq, leaf, run, kind, raw FROM {prefix}entries WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
    for page in _pages(source, query):
        nodes = _nodes(source, page[0][0], page[-1][0])
        rows = [(seq, _packed(run), leaf + nodes.get(seq, b""), raw) for seq, leaf, run, _, raw in page]
        target.executemany("INSERT INTO entries (seq, run, tree, raw) VALUES (?, ?, ?, ?)", rows)
        marked = [(kind, seq) for seq, _, run, kind, _ in page if is_marked(kind, run)]
        target.executemany("INSERT INTO marks (kind, seq) VALUES (?, ?)", marked)


def _copy_bodies(source: sqlite3.Connection, target: sqlite3.Connection, prefix: str) -> None:
    table = BodyTable(target, read_meta(target, "index_key"))
    columns = 'id, "commit", type, salt, size, codec, data'
    query = f"SELECT {columns} FROM {prefix}bodies WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
    insert = f'INSERT INTO bodies ({columns}, "key") VALUES (?, ?, ?, ?, ?, ?, ?, ?)'  # noqa: S608
    for page in _pages(source, query):
        rows: list[tuple[object, ...]] = []
        for number, commit, media_type, salt, size, codec, data in page:
            plain = unpack(codec, size, data)
            # A body that does not unpack has no key, and must have one that no other has.
            key = commit[:16] if plain is None else table.key(media_type, plain)
            rows.append((number, commit, media_type, salt, size, codec, data, key))
        target.executemany(insert, rows)


def _nodes(source: sqlite3.Connection, first: int, last: int) -> dict[int, bytes]:
    """Return the stored nodes that entries ``first`` to ``last`` complete: seq -> hashes, level 1 first."""
    found: dict[int, bytes] = {}
    for level in range(1, (last + 1).bit_length()):
        start, stop = ((first + 1) + (1 << level) - 1) >> level, (last + 1) >> level
        for index, node in source.execute(
            "SELECT idx, hash FROM nodes WHERE level = ? AND idx >= ? AND idx < ? ORDER BY idx",
            (level, start - 1, stop),
        ):
            seq = ((index + 1) << level) - 1
            found[seq] = found.get(seq, b"") + node
    return found


def _pages(source: sqlite3.Connection, query: str) -> Iterator[list[tuple[Any, ...]]]:
    last = -(2**62)
    while page := source.execute(query, (last, _PAGE)).fetchall():
        if any(after[0] <= before[0] for before, after in pairwise([(last,), *page])):
            raise sqlite3.DatabaseError(f"rows are out of order after {last}")  # asking on from here would never end
        yield page
        last = page[-1][0]


def _packed(run: str | None) -> bytes | None:
    if run is None:
        return None
    try:
        return bytes.fromhex(run)
    except ValueError:  # damage: verify will say that it is not the run of the entry's bytes
        return run.encode("utf-8", "replace")
