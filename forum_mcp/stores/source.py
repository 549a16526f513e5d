"""A ledger file as verification reads it: straight from disk, on a connection of its own, believing nothing.

Unlike ``SqliteStore`` it opens what is damaged, and whatever cannot be read becomes a fault at its place. Other
operations find entries and bodies by columns, marks and indexes that repeat what the bytes say: these are compared with
the bytes in the pass that reads them. SQLite's own check of an index looks each row up in it, which costs as much as
decoding the entry; so each index is read once in its own order instead, and compared by the sum of a keyed hash of its
rows (``hash``, SipHash under a key of this process) with the rows it must lead to. Where they differ, SQLite is asked.
"""

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from operator import lt
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from forum_mcp.ledger.entry import Entry, decode
from forum_mcp.ledger.verify import Source, SourceFault
from forum_mcp.ledger.verify.source import PAGE_ENTRIES, Page, RawBody, RawEntry
from forum_mcp.stores import rows
from forum_mcp.stores.bodies import BodyTable
from forum_mcp.stores.connection import UNREADABLE
from forum_mcp.stores.marks import MarkCheck
from forum_mcp.stores.opening import INDEX_KEY_BYTES, read_header, reading
from forum_mcp.stores.schema import OLDEST_VERSION, USER_VERSION, header_fault, read_meta, schema_fault

__all__ = ["SqliteSource", "UnreadableSource", "open_source"]

T = TypeVar("T")
_FAULTS_OF_FILE: Final = 20
_ROWS: Final = (
    "SELECT seq, CAST(raw AS BLOB), CAST(tree AS BLOB), CAST(run AS BLOB) FROM entries WHERE seq > ? "
    "ORDER BY seq LIMIT ?"
)
_RUN_INDEX: Final = "SELECT run, seq FROM entries INDEXED BY entries_run WHERE run IS NOT NULL ORDER BY run, seq"
_BODY_INDEXES: Final = {
    name: f'SELECT "{name}", id FROM bodies INDEXED BY bodies_{name} ORDER BY "{name}"'  # noqa: S608
    for name in ("commit", "key")
}
_Row = tuple[int, bytes | None, bytes | None, bytes | None]


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
        self._columns: list[SourceFault] = []
        self._run_sum = 0
        self._body_sums: dict[str, int] | None = None
        self._wrong_keys: list[bytes] = []

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
        """True: the column ``tree``."""
        return True

    @property
    def finds_bodies(self) -> bool:
        """True: their rows are numbered as they were appended."""
        return True

    def entries(self) -> Iterator[RawEntry | SourceFault]:
        """Yield (seq, exact bytes), ascending."""
        try:
            for seq, raw in rows.scan(self._connection, -(2**62), None):
                self._reached = seq
                yield seq, raw
        except UNREADABLE as error:
            raise SourceFault(self._reached + 1, f"no entry can be read from here on: {error}") from error

    def pages(self) -> Iterator[Page | SourceFault]:
        """Yield the entries as ``entries`` does, and compare the columns and marks beside them."""
        self._columns, self._run_sum, self._reached = [], 0, -1
        marks = MarkCheck(self._connection)
        try:
            for found in self._contiguous():
                page = Page.of(
                    found[0][0], [raw or b"" for _, raw, _, _ in found], [kept or b"" for _, _, kept, _ in found]
                )
                self._reached = page.start + len(found) - 1
                self._compare(page, [run for _, _, _, run in found], marks)
                yield page
        except UNREADABLE as error:
            raise SourceFault(self._reached + 1, f"no entry can be read from here on: {error}") from error
        self._columns += _faulting(marks.rest, "the table 'marks'")

    def bodies(self) -> Iterator[RawBody | SourceFault]:
        """Yield (commit hex, media type, salt, plain bytes or None), as they were appended."""
        self._body_sums, self._wrong_keys = None, []
        yield from _faulting(self._read_bodies, "the bodies")

    def find(self, commit: str) -> RawBody | None:
        """Return the body that stands under a commitment, or None."""
        try:
            row = self._table().row(commit)
        except UNREADABLE:  # told by ``bodies``
            return None
        return None if row is None else (row.commit.hex(), row.type, row.salt, row.plain)

    def faults(self) -> Iterator[SourceFault]:
        """Yield what of columns, marks, ``meta``, the index of runs and the file itself is wrong."""
        yield from (SourceFault(None, fault) for fault in self._faults)
        yield from _faulting(self._meta_faults, "the table 'meta'")
        yield from self._columns
        yield from _faulting(lambda: self._index_faults(_RUN_INDEX, self._run_sum), "the index of runs")
        yield from _faulting(lambda: self._file_faults("quick_check"), "the file")

    def index_faults(self) -> Iterator[str | SourceFault]:
        """Yield the commit of each body that has another index key, then what is wrong with the indexes of bodies."""
        yield from (commit.hex() for commit in self._wrong_keys)
        if self._body_sums is not None:
            for name, query in _BODY_INDEXES.items():
                yield from _faulting(partial(self._index_faults, query, self._body_sums[name]), f"the index of {name}s")

    def _read_bodies(self) -> Iterator[RawBody]:
        table = self._table()
        by_commit = by_key = 0
        for number, commit, key, media_type, salt, plain in table.by_id():
            by_commit += hash((commit, number))
            by_key += hash((key, number))
            if plain is not None and key != table.key(media_type, plain):
                self._wrong_keys.append(commit)
            yield commit.hex(), media_type, salt, plain
        self._body_sums = {"commit": by_commit, "key": by_key}

    def _table(self) -> BodyTable:
        try:
            key = read_meta(self._connection, "index_key")
        except UNREADABLE:  # told by ``faults``; the bodies themselves can be checked without it
            key = b""
        return BodyTable(self._connection, key)

    def _contiguous(self) -> Iterator[list[_Row]]:
        """Yield rows of ``entries`` in lists without a gap."""
        last = -(2**62)
        while True:
            found: list[_Row] = self._connection.execute(_ROWS, (last, PAGE_ENTRIES)).fetchall()
            if found and found[0][0] <= last:
                raise sqlite3.DatabaseError(f"entries are out of order at seq {found[0][0]}")
            cuts = [n for n, (one, other) in enumerate(pairwise(found), 1) if other[0] != one[0] + 1]
            for start, stop in pairwise([0, *cuts, len(found)]):
                part = found[start:stop]
                if start and part[0][0] <= found[start - 1][0]:  # a damaged page; asking on from here would never end
                    raise sqlite3.DatabaseError(f"entries are out of order at seq {part[0][0]}")
                if part:
                    last = part[-1][0]
                    yield part
            if len(found) < PAGE_ENTRIES:
                return

    def _compare(self, page: Page, runs: Sequence[bytes | None], marks: MarkCheck) -> None:
        for seq, (run, entry, raw) in enumerate(zip(runs, page.entries, page.raws, strict=True), page.start):
            if run is not None:
                self._run_sum += hash((run, seq))
            said = _decoded(raw) if entry is None else entry
            if said is None:
                continue
            if said.run != (None if run is None else run.hex()):
                self._disagrees(seq, "the run stored with the entry is not the one its bytes say")
            if said.kind in rows.MARKED and not marks.agrees(said.kind, said.run, seq):
                self._disagrees(seq, f"the marks of kind {said.kind[:100]!a} are not its entries")

    def _disagrees(self, seq: int, why: str) -> None:
        if len(self._columns) < _FAULTS_OF_FILE:
            self._columns.append(SourceFault(seq, why))

    def _meta_faults(self) -> Iterator[SourceFault]:
        # That the ledger's id is there; whether it is the right one is told by the entries.
        read_meta(self._connection, "ledger")
        length = len(read_meta(self._connection, "index_key"))
        if length != INDEX_KEY_BYTES:
            yield SourceFault(None, f"the index key in 'meta' has {length} bytes, expected {INDEX_KEY_BYTES}")

    def _index_faults(self, query: str, expected: int) -> Iterator[SourceFault]:
        """Compare one index, read in its order, with the sum of the rows it must lead to."""
        found, last, ordered = 0, (b"", -1), True
        cursor = self._connection.execute(query)
        while page := cursor.fetchmany(PAGE_ENTRIES):
            found += sum(map(hash, page))
            # A row out of its place would be read here and yet not be found by its key.
            ordered = ordered and last < page[0] and all(map(lt, page, page[1:]))
            last = page[-1]
        if found != expected or not ordered:
            yield from list(self._file_faults("integrity_check")) or [
                SourceFault(None, "an index of the file is wrong")
            ]

    def _file_faults(self, pragma: str) -> Iterator[SourceFault]:
        for (fault,) in self._connection.execute(f"PRAGMA {pragma}({_FAULTS_OF_FILE})"):
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
    with closing(connection), _present(connection) as present:
        faults = () if fault is None else (fault,)
        yield UnreadableSource(present) if isinstance(present, str) else _source(present, faults, vkeys)


@contextmanager
def _present(connection: sqlite3.Connection) -> Generator[sqlite3.Connection | str]:
    """Hold the file in one read view, with the tables of the present version; a sentence says why not."""
    try:
        connection.execute("BEGIN")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        old = _migrated(connection) if OLDEST_VERSION <= version < USER_VERSION else None
    except UNREADABLE as error:
        yield f"the tables cannot be read: {error}"
        return
    if old is None or isinstance(old, str):
        yield old or connection
        return
    with closing(old):
        old.execute("BEGIN")
        yield old


def _migrated(connection: sqlite3.Connection) -> sqlite3.Connection | str:
    from forum_mcp.stores import migration  # most files are of this version

    return migration.to_temporary(connection)


def _source(connection: sqlite3.Connection, faults: tuple[str, ...], vkeys: Sequence[str]) -> Source:
    try:
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


def _decoded(raw: bytes) -> Entry | None:
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
