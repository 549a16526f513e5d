"""Where each line of an export stands: an index built in one pass, on disk of its own, that holds no content.

It is a private temporary database without a name: places, hashes, run ids and kinds of entries, places of bodies and
the nodes of the tree. Memory stays the same at any size of the export, and closing leaves nothing behind.

Entries are taken as far as they follow one another from entry 0 on; the first line that does not is remembered, and
everything after it is left to ``verify``, which reads the file itself.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from forum_mcp.errors import LedgerUnreadable
from forum_mcp.ledger import export
from forum_mcp.ledger.entry import LedgerId, decode, genesis_prev, leaf_hash
from forum_mcp.ledger.members import is_hash
from forum_mcp.ledger.merkle import Frontier

__all__ = ["LINE_MAX_BYTES", "Head", "Indexed", "build", "read_head"]

LINE_MAX_BYTES: Final = 96 * 1024 * 1024
"""A body of 64 MiB in base64, and room for the rest of its line."""

_BATCH: Final = 1_000
_RECEIPT: Final = "forum-receipt/"
_TABLES: Final = (
    "CREATE TABLE entries (seq INTEGER PRIMARY KEY, place INTEGER, length INTEGER, leaf BLOB, run TEXT, kind TEXT)",
    'CREATE TABLE bodies ("commit" BLOB PRIMARY KEY, place INTEGER, length INTEGER) WITHOUT ROWID',
    "CREATE TABLE nodes (level INTEGER, idx INTEGER, hash BLOB, PRIMARY KEY (level, idx)) WITHOUT ROWID",
)
_INDEX_OF_RUNS: Final = "CREATE INDEX entries_of_run ON entries (run, seq) WHERE run IS NOT NULL"
_INDEX_OF_KINDS: Final = (
    "CREATE INDEX entries_of_kind ON entries (kind, seq) "
    "WHERE kind IN ('run.started', 'checkpoint.signed', 'key.rotated')"
)


class Head(msgspec.Struct, tag_field="t", tag="head", frozen=True):
    """The first line of an export."""

    format: str
    ledger: str
    size: int = 0
    vkey: str | list[str] | None = None
    without_bodies: bool = False


class _Entry(msgspec.Struct, tag_field="t", tag="entry"):
    bytes: str


class _Body(msgspec.Struct, tag_field="t", tag="body"):
    """Where a body stands is all that is wanted: its members are skipped, not decoded."""

    commit: str


class _Checkpoint(msgspec.Struct, tag_field="t", tag="checkpoint"):
    note: str


_Line = Head | _Entry | _Body | _Checkpoint
_DECODER: Final[msgspec.json.Decoder[_Line]] = msgspec.json.Decoder(_Line)
_HEAD: Final = msgspec.json.Decoder(Head)


@dataclass(slots=True)
class Indexed:
    """What one pass over an export found.

    Attributes:
        connection: the private database with the tables ``entries``, ``bodies`` and ``nodes``.
        size: entries that follow one another from entry 0 on.
        note: the last checkpoint line, or None.
        fault: why the line after the last of these entries is none, or None when all of them were taken.
    """

    connection: sqlite3.Connection
    size: int = 0
    note: str | None = None
    fault: str | None = None


def read_head(file: BinaryIO, name: str) -> Head:
    """Return the head line of an export; ``name`` is the file's, for messages.

    Raises:
        LedgerUnreadable: it is no export, or one of another format.
    """
    file.seek(0)
    line = file.readline(LINE_MAX_BYTES)
    try:
        head = _HEAD.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise LedgerUnreadable(
            f"'{name}' is not a ledger: its first line is not the head of an export; name a ledger or an export"
        ) from None
    if head.format.startswith(_RECEIPT):
        raise LedgerUnreadable(f"'{name}' is a receipt, which proves single entries; check it with ledger verify")
    if head.format != export.FORMAT:
        raise LedgerUnreadable(
            f"'{name}' has the format {head.format[:50]!a}, expected {export.FORMAT!r}; a newer forum-mcp may read it"
        )
    return head


def build(file: BinaryIO, ledger: LedgerId) -> Indexed:
    """Read an export once and return where everything stands.

    Raises:
        sqlite3.Error: the temporary database cannot be written.
    """
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", "cache_size = -8000"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        for statement in _TABLES:
            connection.execute(statement)
        found = Indexed(connection)
        _fill(_Batches(connection), file, ledger, found)
        for statement in (_INDEX_OF_RUNS, _INDEX_OF_KINDS):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return found


class _Batches:
    """Rows on their way into the tables, a thousand at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: dict[str, list[tuple[object, ...]]] = {}

    def add(self, statement: str, *row: object) -> None:
        rows = self._rows.setdefault(statement, [])
        rows.append(row)
        if len(rows) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        self._connection.execute("BEGIN")
        for statement, rows in self._rows.items():
            self._connection.executemany(statement, rows)
            rows.clear()
        self._connection.execute("COMMIT")


_ADD_ENTRY: Final = "INSERT INTO entries (seq, place, length, leaf, run, kind) VALUES (?, ?, ?, ?, ?, ?)"
_ADD_BODY: Final = 'INSERT OR IGNORE INTO bodies ("commit", place, length) VALUES (?, ?, ?)'
_ADD_NODE: Final = "INSERT INTO nodes (level, idx, hash) VALUES (?, ?, ?)"


def _fill(batches: _Batches, file: BinaryIO, ledger: LedgerId, found: Indexed) -> None:
    tree, prev, taking = Frontier(), genesis_prev(ledger), True
    for number, place, raw_line in _lines(file):
        try:
            line = _DECODER.decode(raw_line)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            # Between the entries a broken line stands where an entry stood; after them it is a body or a note.
            if found.fault is None:
                found.fault = f"line {number} cannot be read: {str(error)[:200]}"
            taking = False
            continue
        match line:
            case _Entry() if taking:
                raw = line.bytes.encode()
                why = _does_not_follow(raw, tree.size, prev, ledger)
                if why is not None:
                    found.fault, taking = f"line {number}: {why}", False
                    continue
                entry, leaf = decode(raw), leaf_hash(raw)
                batches.add(_ADD_ENTRY, tree.size, place, len(raw_line), leaf, entry.run, entry.kind)
                index = tree.size
                for level, node in enumerate(tree.append(leaf), 1):
                    batches.add(_ADD_NODE, level, index >> level, node)
                prev = leaf.hex()
            case _Body() if is_hash(line.commit):
                batches.add(_ADD_BODY, bytes.fromhex(line.commit), place, len(raw_line))
            case _Checkpoint():
                found.note = line.note
            case _:
                pass
    batches.flush()
    found.size = tree.size


def _lines(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Yield (line number from 2, place, line) after the head, without empty lines; stops at one that is too long."""
    file.seek(0)
    place, number = len(file.readline(LINE_MAX_BYTES)), 1
    while line := file.readline(LINE_MAX_BYTES):
        number += 1
        if line.strip():
            yield number, place, line
        if len(line) == LINE_MAX_BYTES and not line.endswith(b"\n"):
            return
        place += len(line)


def _does_not_follow(raw: bytes, seq: int, prev: str, ledger: LedgerId) -> str | None:
    """Return why these bytes are not entry ``seq`` after the leaf hash ``prev``, or None when they are."""
    try:
        entry = decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return f"not an entry: {str(error)[:200]}"
    if entry.ledger != ledger:
        return f"an entry of ledger {entry.ledger[:32]!a}"
    if entry.seq != seq:
        return f"entry {entry.seq} stands where entry {seq} is expected"
    if entry.prev != prev:
        return f"entry {seq} does not follow the entry before it"
    return None
