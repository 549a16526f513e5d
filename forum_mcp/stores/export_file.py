"""An export opened as a ledger: every reading operation, straight from the file, and no other.

Opening reads the file once (see ``export_index``); afterwards one entry or body is one seek. What a stranger handed
over is not believed: an entry is shown only while the chain holds up to it, a body only when it matches its
commitment, and ``source`` gives verification the file as it is.
"""

from base64 import b64decode
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import BinaryIO, Final, NoReturn, Self, TypeVar

import msgspec

from forum_mcp.errors import LedgerError, LedgerReadOnly, LedgerUnreadable, NotFound
from forum_mcp.ledger.entry import Body, LedgerId, RunId, commitment, decode, leaf_hash
from forum_mcp.ledger.members import is_hash
from forum_mcp.ledger.merkle import root_from_nodes
from forum_mcp.ledger.verify import Source
from forum_mcp.stores.base import BodyState, Lease, RunRow, Stored, Transaction
from forum_mcp.stores.base import Head as TreeHead
from forum_mcp.stores.connection import translated
from forum_mcp.stores.export_index import Head, Indexed, build, read_head
from forum_mcp.stores.export_source import open_source
from forum_mcp.stores.rows import bounded

__all__ = ["ExportStore"]

T = TypeVar("T")

_PAGE: Final = 512
_INDEXED: Final = ("checkpoint.signed", "key.rotated")


class _EntryLine(msgspec.Struct):
    bytes: str


class _BodyLine(msgspec.Struct):
    type: str
    salt: str
    bytes: str


_ENTRY: Final = msgspec.json.Decoder(_EntryLine)
_BODY: Final = msgspec.json.Decoder(_BodyLine)


class ExportStore:
    """The ``Store`` port over an export; read-only. Open it with ``open``; usable from several threads."""

    def __init__(self, path: Path, file: BinaryIO, head: Head, indexed: Indexed) -> None:
        self._path = path
        self._file = file
        self._head = head
        self._indexed = indexed
        self._index = indexed.connection
        self._lock = RLock()
        self._closed = False

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an export; reads it once.

        Raises:
            LedgerUnreadable: not an export, or not even its first entry can be read.
        """
        path = path.absolute()
        try:
            file = path.open("rb")
        except OSError as error:
            raise LedgerUnreadable(f"the export '{path.name}' cannot be opened ({error.strerror})") from error
        try:
            head = read_head(file, path.name)
            with translated():
                indexed = build(file, LedgerId(head.ledger))
            if indexed.size == 0:
                indexed.connection.close()
                raise LedgerUnreadable(
                    f"the export '{path.name}' is damaged: {indexed.fault or 'it has no entry, not even its first'}; "
                    "run `forum-mcp ledger verify` to see all of it"
                )
        except BaseException:
            file.close()
            raise
        return cls(path, file, head, indexed)

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def ledger_id(self) -> LedgerId:
        """The ledger's id, 32 lower-case hex."""
        return LedgerId(self._head.ledger)

    @property
    def read_only(self) -> bool:
        """True: an export is never written."""
        return True

    @property
    def note(self) -> str | None:
        """The last signed checkpoint the export carries, unverified, or None."""
        return self._indexed.note

    @property
    def fault(self) -> str | None:
        """Why entries after the last one here cannot be shown, or None when nothing is amiss."""
        if self._indexed.fault is None and self._head.size != self._indexed.size:
            return f"the head says {self._head.size} entries, {self._indexed.size} are here"
        return self._indexed.fault

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Refuse.

        Raises:
            LedgerReadOnly: always.
        """
        _refuse()

    def transact_all(self, works: Sequence[Callable[[Transaction], object]]) -> list[object | Exception]:
        """Refuse.

        Raises:
            LedgerReadOnly: always.
        """
        _refuse()

    @contextmanager
    def snapshot(self) -> Generator[None]:
        """Hold one view: an export never changes while it is open."""
        yield

    @contextmanager
    def source(self, *, vkeys: Sequence[str] = ()) -> Generator[Source]:
        """Hold the file for verification or export, read anew; the keys are those of its head.

        Raises:
            LedgerUnreadable: the file has gone or is no export any more.
        """
        with open_source(self._path) as source:
            yield source

    @contextmanager
    def anew(self) -> Generator[Self]:
        """Hold the file opened a second time."""
        store = self.open(self._path)
        try:
            yield store
        finally:
            store.close()

    def size(self) -> int:
        """Return the number of entries that follow one another from the first on."""
        return self._indexed.size

    def entry(self, seq: int) -> Stored:
        """Return one entry.

        Raises:
            NotFound: seq is not in 0 .. size-1.
        """
        rows = self._numbers("SELECT place, length FROM entries WHERE seq = ?", bounded(seq))
        if not rows:
            raise NotFound(f"no entry {seq} in this ledger, expected 0 to {self.size() - 1}")
        return self._stored(*rows[0])

    def raw_entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (seq, exact bytes) for start <= seq < stop, ascending, straight from the file."""
        at, end = max(start, 0), self.size() if stop is None else min(stop, self.size())
        while at < end:
            places = self._numbers(
                "SELECT place, length FROM entries WHERE seq >= ? AND seq < ? ORDER BY seq", at, min(at + _PAGE, end)
            )
            for place, length in places:
                yield at, self._raw(place, length)
                at += 1

    def run_entries(self, run: RunId, after: int = -1) -> list[Stored]:
        """Return the run's entries with seq > after, oldest first."""
        places = self._numbers(
            "SELECT place, length FROM entries WHERE run = ? AND seq > ? ORDER BY seq", _name(run), bounded(after)
        )
        return [self._stored(*place) for place in places]

    def cites(self, runs: Sequence[RunId], commit: str) -> bool:
        """Tell whether an entry of one of the runs cites the body of a commitment (64 hex)."""
        entries = (stored.entry for run in runs for stored in self.run_entries(run))
        return any(reference.commit == commit for entry in entries for reference in entry.bodies.values())

    def newest(self, run: RunId) -> int | None:
        """Return the seq of the run's newest entry, or None."""
        return self._one("SELECT max(seq) FROM entries WHERE run = ?", _name(run))

    def newest_of_kind(self, kind: str) -> Stored | None:
        """Return the newest entry of ``checkpoint.signed`` or ``key.rotated``, or None.

        Raises:
            ValueError: another kind, which has no index.
        """
        if kind not in _INDEXED:
            raise ValueError(f"kind '{kind}' is not indexed, expected one of {', '.join(_INDEXED)}")
        # The first condition repeats the partial index's own: SQLite uses the index only then.
        seq = self._one(
            "SELECT max(seq) FROM entries WHERE kind IN ('run.started', 'checkpoint.signed', 'key.rotated') "
            "AND kind = ?",
            kind,
        )
        return None if seq is None else self.entry(seq)

    def runs(self, limit: int, before: int | None = None) -> list[RunRow]:
        """Return runs newest first, at most ``limit``, whose first seq is < before."""
        places = self._numbers(
            "SELECT place, length FROM entries WHERE kind IN ('run.started', 'checkpoint.signed', 'key.rotated') "
            "AND kind = 'run.started' AND run IS NOT NULL AND seq < ? ORDER BY seq DESC LIMIT ?",
            self.size() if before is None else bounded(before),
            bounded(limit),
        )
        found = [self._stored(*place).entry for place in places]
        return [RunRow(entry.run, entry.seq) for entry in found if entry.run is not None]

    def body(self, commit: str) -> Body | None:
        """Return the body of a commitment (64 hex), or None when it is not here or does not match it."""
        if not is_hash(commit):
            return None
        rows = self._numbers('SELECT place, length FROM bodies WHERE "commit" = ?', bytes.fromhex(commit))
        if not rows:
            return None
        try:
            line = _BODY.decode(self._read(*rows[0]))
            body = Body(commit, line.type, bytes.fromhex(line.salt), b64decode(line.bytes, validate=True))
        except (msgspec.MsgspecError, ValueError):
            return None
        return body if commitment(body.salt, body.type, body.data) == commit else None

    def body_state(self, commit: str) -> BodyState:
        """Return which of the four states a cited body (64 hex) is in; left out on purpose is missing here."""
        if self.body(commit) is not None:
            return BodyState("present")
        key = bytes.fromhex(commit) if is_hash(commit) else b""
        if self._numbers('SELECT place, length FROM bodies WHERE "commit" = ?', key):
            return BodyState("mismatch")
        for _, raw in self.raw_entries():
            if b'"kind":"body.redacted"' in raw and (found := decode(raw)).data.get("commit") == commit:
                return BodyState("redacted", found.seq)
        return BodyState("missing")

    def raw_bodies(self) -> Iterator[tuple[str, str, bytes, bytes | None]]:
        """Yield (commit hex, media type, salt, plain bytes) of each body that matches its commitment, by commit."""
        last: bytes | None = b""
        while (
            last := self._hash('SELECT "commit" FROM bodies WHERE "commit" > ? ORDER BY 1 LIMIT 1', last)
        ) is not None:
            body = self.body(last.hex())
            if body is not None:
                yield body.commit, body.type, body.salt, body.data

    def index_faults(self) -> Iterator[str]:
        """Yield nothing: an export has no index of bodies."""
        yield from ()

    def node(self, level: int, index: int) -> bytes:
        """Return the 32-byte hash of a complete subtree.

        Raises:
            NotFound: that subtree is not complete.
        """
        if level == 0:
            found = self._hash("SELECT leaf FROM entries WHERE seq = ?", bounded(index))
        else:
            found = self._hash("SELECT hash FROM nodes WHERE level = ? AND idx = ?", bounded(level), bounded(index))
        if found is None:
            raise NotFound(f"no complete subtree {level}/{index} in a ledger of {self.size()} entries")
        return found

    def head(self) -> TreeHead:
        """Return size, root and change token."""
        return TreeHead(self.size(), root_from_nodes(self.size(), self.node), 0)

    def raw_nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield (level, index, hash) of every leaf and inner node, by level then index."""
        level = 0
        while self.size() >> level:
            for index in range(self.size() >> level):
                yield level, index, self.node(level, index)
            level += 1

    def lease(self, run: RunId) -> Lease | None:
        """Return None: nobody holds a run of an export."""
        return None

    def change_token(self) -> int:
        """Return 0: an export never changes while it is open."""
        return 0

    def close(self) -> None:
        """Release the file and its index; closing twice is harmless."""
        with self._lock:
            self._closed = True
            self._index.close()
            self._file.close()

    def _stored(self, place: int, length: int) -> Stored:
        raw = self._raw(place, length)
        try:
            return Stored(decode(raw), raw, leaf_hash(raw))
        except (msgspec.DecodeError, ValueError, RecursionError):
            _changed(self._path)

    def _raw(self, place: int, length: int) -> bytes:
        try:
            return _ENTRY.decode(self._read(place, length)).bytes.encode()
        except (msgspec.MsgspecError, ValueError, RecursionError):
            _changed(self._path)

    def _read(self, place: int, length: int) -> bytes:
        with self._open() as file:
            file.seek(place)
            return file.read(length)

    def _numbers(self, statement: str, *parameters: object) -> list[tuple[int, int]]:
        with self._open():
            return self._index.execute(statement, parameters).fetchall()

    def _one(self, statement: str, *parameters: object) -> int | None:
        with self._open():
            row = self._index.execute(statement, parameters).fetchone()
            return None if row is None else row[0]

    def _hash(self, statement: str, *parameters: object) -> bytes | None:
        with self._open():
            row = self._index.execute(statement, parameters).fetchone()
            return None if row is None else bytes(row[0])

    @contextmanager
    def _open(self) -> Generator[BinaryIO]:
        with self._lock:
            if self._closed:
                raise LedgerError("this export was closed; open it again")
            with translated():
                yield self._file


def _refuse() -> NoReturn:
    raise LedgerReadOnly("nothing can be appended: an export is a copy to be read; open the ledger it was made from")


def _changed(path: Path) -> NoReturn:
    raise LedgerUnreadable(f"the export '{path.name}' was changed while it was open; open it again")


def _name(run: str) -> str:
    # A lone surrogate cannot be bound as a parameter, and no run is called that.
    return run if run.isascii() else ""
