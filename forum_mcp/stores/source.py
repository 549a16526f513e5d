"""A ledger file as verification reads it: straight from disk, on a connection of its own, believing nothing.

Unlike ``SqliteStore`` it opens what is damaged, and whatever cannot be read becomes a fault at its place.
Columns that repeat what an entry's bytes say (leaf, prev, run, kind) and the indexes of the file are compared
with those bytes: other operations find entries by them.
"""

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from forum_mcp.ledger.entry import Entry, decode, leaf_hash
from forum_mcp.ledger.verify import Source, SourceFault
from forum_mcp.ledger.verify.source import RawBody, RawEntry, RawNode, ReadEntry
from forum_mcp.ledger.verify.strict import faultless
from forum_mcp.stores import rows, tree
from forum_mcp.stores.bodies import BodyTable
from forum_mcp.stores.connection import UNREADABLE
from forum_mcp.stores.opening import INDEX_KEY_BYTES, read_header, reading
from forum_mcp.stores.schema import USER_VERSION, header_fault, read_meta, schema_fault

__all__ = ["SqliteSource", "UnreadableSource", "open_source"]

T = TypeVar("T")
_PAGE: Final = 512
_FAULTS_OF_FILE: Final = 20
_SUM_BYTES: Final = 32
_ROWS: Final = (
    "SELECT seq, CAST(raw AS BLOB), CAST(prev AS BLOB), CAST(leaf AS BLOB), CAST(run AS BLOB), CAST(kind AS BLOB) "
    "FROM entries WHERE seq > ? ORDER BY seq LIMIT ?"
)
_Row = tuple[int, bytes, str, bytes, bytes | None, bytes]
_INDEX: Final = """SELECT CASE typeof("key") WHEN 'blob' THEN "key" END, CAST("commit" AS BLOB) FROM body_index"""


class _OutOfOrder(sqlite3.DatabaseError):
    """Entries that do not ascend; the pass over the entries tells it, the one over their columns stops."""


class UnreadableSource(Source):
    """A file of which nothing can be read."""

    def __init__(self, why: str) -> None:
        self._why = why

    def entries(self) -> Iterator[RawEntry | SourceFault]:
        """Raise the fault."""
        raise SourceFault(None, self._why)
        yield

    def bodies(self) -> Iterator[RawBody | SourceFault]:
        """Yield nothing: the fault was told."""
        yield from ()


class SqliteSource(Source):
    """One read view of a ledger, file or memory."""

    def __init__(
        self, connection: sqlite3.Connection, *, faults: Sequence[str] = (), vkeys: Sequence[str] = ()
    ) -> None:
        self._connection = connection
        self._faults = faults
        self._vkeys = vkeys
        self._reached = -1
        self._index_told: list[str] | None = None
        self._columns_agree = False

    @property
    def ledger_id(self) -> str | None:
        """The id in ``meta``, or None when it cannot be read."""
        try:
            return read_meta(self._connection, "ledger").decode("ascii", "replace")
        except UNREADABLE:
            return None

    @property
    def vkeys(self) -> Sequence[str]:
        """Keys the opener knows of, for the head of an export; the file itself keeps them in its entries."""
        return self._vkeys

    @property
    def stores_nodes(self) -> bool:
        """True: the table ``nodes``."""
        return True

    def entries(self) -> Iterator[RawEntry | SourceFault]:
        """Yield (seq, exact bytes), ascending."""
        try:
            for seq, raw in rows.scan(self._connection, -(2**62), None):
                self._reached = seq
                yield seq, raw
        except UNREADABLE as error:
            raise SourceFault(self._reached + 1, f"no entry can be read from here on: {error}") from error

    def read_entries(self) -> Iterator[ReadEntry | SourceFault]:
        """Yield the entries as ``entries`` does, and compare the columns beside them."""
        self._columns_agree, agree = False, True
        try:
            for seq, raw, prev, leaf, run, kind in self._rows():
                self._reached = seq
                computed, entry = leaf_hash(raw), faultless(raw)
                agree = agree and leaf == computed and entry is not None and _told(entry) == (prev, run, kind)
                yield seq, raw, computed, entry
        except UNREADABLE as error:
            raise SourceFault(self._reached + 1, f"no entry can be read from here on: {error}") from error
        self._columns_agree = agree

    def bodies(self) -> Iterator[RawBody | SourceFault]:
        """Yield (commit hex, media type, salt, plain bytes or None), by commit."""
        # Unpacking each body a second time for its index would cost as much as all the rest of the check.
        told = list[str]()
        yield from _faulting(lambda: self._indexed_bodies(told), "the bodies")
        self._index_told = told

    def nodes(self) -> Iterator[RawNode | SourceFault]:
        """Yield the stored inner nodes, then what else of the file disagrees with its entries."""
        yield from _faulting(lambda: tree.scan_inner(self._connection), "the tree nodes")
        yield from (SourceFault(None, fault) for fault in self._faults)
        yield from _faulting(self._meta_faults, "the table 'meta'")
        if not self._columns_agree:  # not compared yet, or with a fault to name
            yield from _faulting(self._column_faults, "the columns of entries")
        yield from _faulting(self._file_faults, "the file")

    def index_faults(self) -> Iterator[str]:
        """Yield the commit of each body whose row of the dedup index is absent, doubled or wrong."""
        try:
            if self._index_told is None:
                told = list[str]()
                for _ in self._indexed_bodies(told):
                    pass
                self._index_told = told
            yield from self._index_told
            yield from self._table().surplus()
        except UNREADABLE:
            # The same damage is a fault of ``bodies`` or ``nodes``; here only the names of bodies are asked for.
            return

    def _indexed_bodies(self, told: list[str]) -> Iterator[RawBody]:
        """Yield every body; ``told`` takes the commit of each whose row of the index is absent or wrong."""
        # Bodies come by commit, rows of the index by key. Looking each up reads a page of the file for it; sums of
        # hashes, keyed afresh so that no file can be made to fit, show in one pass each that all pairs are the same.
        table, secret = self._table(), os.urandom(_SUM_BYTES)
        total = 0
        for body in table.scan():
            commit, media_type, _, plain = body
            if plain is not None:
                total += _weight(secret, table.key(media_type, plain), bytes.fromhex(commit))
            yield body
        ordered, last = True, b""
        for key, indexed in self._connection.execute(_INDEX):
            total -= _weight(secret, key, indexed)
            # A row out of its place would be read here and yet not be found by its key.
            ordered = ordered and isinstance(key, bytes) and key > last
            last = key
        if total or not ordered:
            deque(table.scan(told), maxlen=0)

    def _table(self) -> BodyTable:
        try:
            key = read_meta(self._connection, "index_key")
        except UNREADABLE:  # told by ``nodes``; the bodies themselves can be checked without it
            key = b""
        return BodyTable(self._connection, key)

    def _meta_faults(self) -> Iterator[SourceFault]:
        # That the ledger's id is there; whether it is the right one is told by the entries.
        read_meta(self._connection, "ledger")
        length = len(read_meta(self._connection, "index_key"))
        if length != INDEX_KEY_BYTES:
            yield SourceFault(None, f"the index key in 'meta' has {length} bytes, expected {INDEX_KEY_BYTES}")

    def _column_faults(self) -> Iterator[SourceFault]:
        try:
            for seq, raw, prev, leaf, run, kind in self._rows():
                if leaf != leaf_hash(raw):
                    yield SourceFault(seq, "the leaf hash stored with the entry is not that of its bytes")
                try:
                    entry = decode(raw)
                except (msgspec.DecodeError, UnicodeError, RecursionError):
                    continue
                if (prev, run, kind) != _told(entry):
                    yield SourceFault(seq, "prev, run or kind stored with the entry is not what its bytes say")
        except _OutOfOrder:
            return

    def _rows(self) -> Iterator[_Row]:
        """Yield every entry with its columns, ascending, a page at a time."""
        last = -(2**62)
        while True:
            page = self._connection.execute(_ROWS, (last, _PAGE)).fetchall()
            for seq, raw, prev, leaf, run, kind in page:
                if seq <= last:  # a damaged page; asking on from here would never end
                    raise _OutOfOrder(f"entries are out of order at seq {seq}")
                last = seq
                yield seq, raw or b"", (prev or b"").hex(), leaf, run, kind
            if len(page) < _PAGE:
                return

    def _file_faults(self) -> Iterator[SourceFault]:
        for (fault,) in self._connection.execute(f"PRAGMA integrity_check({_FAULTS_OF_FILE})"):
            if fault != "ok":
                yield SourceFault(None, f"the database file: {fault}")


@contextmanager
def open_source(path: Path, *, vkeys: Sequence[str] = ()) -> Generator[Source]:
    """Hold one read view of a ledger file for verification or export, whatever its state; writes nothing.

    Raises:
        LedgerMissing: no such file; nothing is created.
        LedgerUnreadable: a directory, or no right to read it.
    """
    path = path.absolute()
    fault = header_fault(read_header(path))
    try:
        connection = reading(path)
    except UNREADABLE as error:
        yield UnreadableSource(fault or f"the file cannot be opened as a database: {error}")
        return
    try:
        yield _source(connection, () if fault is None else (fault,), vkeys)
    finally:
        connection.close()


def _source(connection: sqlite3.Connection, faults: tuple[str, ...], vkeys: Sequence[str]) -> Source:
    try:
        connection.execute("BEGIN")
        schema = schema_fault(connection)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except UNREADABLE as error:
        return UnreadableSource(f"the tables cannot be read: {error}")
    if schema is not None:
        newer = f" (the file has table version {version})" if version > USER_VERSION else ""
        return UnreadableSource(f"{schema}{newer}")
    if version != USER_VERSION:
        faults = (*faults, f"its table version is {version}, expected {USER_VERSION}")
    return SqliteSource(connection, faults=faults, vkeys=vkeys)


def _faulting(read: Callable[[], Iterator[T]], what: str) -> Iterator[T | SourceFault]:
    try:
        yield from read()
    except UNREADABLE as error:
        yield SourceFault(None, f"{what} cannot be read further: {error}")


def _weight(secret: bytes, key: object, commit: object) -> int:
    """Return a number of 32 bytes for one row of the dedup index; damage may have put any type there."""
    if not (isinstance(key, bytes) and isinstance(commit, bytes) and len(key) == _SUM_BYTES):
        return 1
    return int.from_bytes(sha256(secret + key + commit).digest(), "big")


def _told(entry: Entry) -> tuple[str, bytes | None, bytes]:
    """Return what the columns prev (as hex), run and kind must hold."""
    return entry.prev, None if entry.run is None else entry.run.encode(), entry.kind.encode()
