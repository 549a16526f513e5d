"""The tables of a ledger file, version 2, and the test whether a file is ours.

Only ``entries`` and ``bodies`` belong to the record; the indexes, ``marks``, ``leases`` and ``meta`` serve the process.
A file whose schema differs by a letter from the one of its version is refused: a hostile file could otherwise put a
view or a trigger where a table is expected. No SQL newer than SQLite 3.40.

What an entry costs beside its bytes and bodies is decided here. ``tree`` holds its leaf hash and the nodes it
completes, so that they need no table, no index and no page of their own. ``run`` is 16 bytes, and NULL outside of runs.
The few kinds that are looked for have a row in ``marks``. A body has two indexes, under its commitment and under its
secret ``key``; they are what an append can hit at random places, so there is no third.

Version 1 is of before the first release: see ``stores.migration``.
"""

import sqlite3
from collections.abc import Mapping
from typing import Final

from forum_mcp.errors import LedgerUnreadable

__all__ = [
    "APPLICATION_ID",
    "OLDEST_VERSION",
    "TABLES",
    "USER_VERSION",
    "create_tables",
    "header_fault",
    "read_meta",
    "schema_fault",
]

APPLICATION_ID: Final = 0x464D4350
USER_VERSION: Final = 2
OLDEST_VERSION: Final = 1

TABLES: Final = {
    "meta": "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "entries": "CREATE TABLE entries (seq INTEGER PRIMARY KEY, run BLOB, tree BLOB NOT NULL, raw BLOB NOT NULL) STRICT",
    "entries_run": "CREATE INDEX entries_run ON entries (run) WHERE run IS NOT NULL",
    "marks": (
        "CREATE TABLE marks (kind TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (kind, seq)) STRICT, WITHOUT ROWID"
    ),
    "bodies": (
        'CREATE TABLE bodies (id INTEGER PRIMARY KEY, "commit" BLOB NOT NULL, "key" BLOB NOT NULL, '
        "type TEXT NOT NULL, salt BLOB NOT NULL, size INTEGER NOT NULL, codec INTEGER NOT NULL, "
        "data BLOB NOT NULL) STRICT"
    ),
    "bodies_commit": 'CREATE UNIQUE INDEX bodies_commit ON bodies ("commit")',
    "bodies_key": 'CREATE UNIQUE INDEX bodies_key ON bodies ("key")',
    "leases": (
        "CREATE TABLE leases (run TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, "
        "expires_us INTEGER NOT NULL) STRICT, WITHOUT ROWID"
    ),
}

_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100


def create_tables(connection: sqlite3.Connection) -> None:
    """Create the tables of an empty database, inside the caller's transaction."""
    for statement in TABLES.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {USER_VERSION}")


def header_fault(header: bytes) -> str | None:
    """Return why the first 100 bytes of a file cannot begin a ledger, or None.

    The header is judged before SQLite sees the file, so that nothing is created beside a file that is not
    ours.
    """
    if not header:
        return "the file is empty"
    if not header.startswith(_MAGIC) or len(header) < _HEADER_BYTES:
        return "the file does not begin with the header of an SQLite database"
    found = int.from_bytes(header[68:72], "big")
    if found != APPLICATION_ID:
        return f"its application id is {found:#010x}, that of a ledger is {APPLICATION_ID:#010x}"
    return None


def schema_fault(
    connection: sqlite3.Connection, tables: Mapping[str, str] = TABLES, version: int = USER_VERSION
) -> str | None:
    """Return how the schema differs from that of a version, or None.

    Raises:
        sqlite3.DatabaseError: the schema cannot be read.
    """
    rows = connection.execute(
        "SELECT CAST(name AS BLOB), CAST(sql AS BLOB) FROM sqlite_schema WHERE sql IS NOT NULL"
    ).fetchall()
    found = {bytes(name).decode("utf-8", "replace"): bytes(sql) for name, sql in rows}
    for name, statement in tables.items():
        if found.pop(name, None) != statement.encode():
            return f"its table or index '{name}' is missing or not the one of version {version}"
    if found:
        return f"it has '{sorted(found)[0]}', which no ledger of version {version} has"
    return None


def read_meta(connection: sqlite3.Connection, name: str) -> bytes:
    """Return one value of ``meta``.

    Raises:
        LedgerUnreadable: the value is not there.
    """
    row = connection.execute("SELECT CAST(value AS BLOB) FROM meta WHERE name = ?", (name,)).fetchone()
    if row is None or row[0] is None:
        raise LedgerUnreadable(
            f"the ledger has no '{name}' in its table 'meta', so it cannot be used; restore it from a copy"
        )
    return bytes(row[0])
