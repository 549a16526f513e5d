"""The files of a ``forum-engine`` ledger, read and never written: a directory of JSON Lines, or an SQLite file.

Lines end at a line feed and nowhere else: a separator inside a text (U+2028) does not break a line in two. A last line
without a line feed was cut while it was written, which its own rules permit: it is left out.
"""

import json
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from forum_mcp.errors import LedgerMissing, LedgerUnreadable
from forum_mcp.ledger.forum_engine import MEMBERS, Original, row_of
from forum_mcp.stores.connection import UNREADABLE
from forum_mcp.stores.opening import reading

__all__ = ["ForeignLedger", "open_foreign"]

_ENTRIES: Final = "entries.jsonl"
_PAYLOADS: Final = "payloads.jsonl"
_SQLITE: Final = b"SQLite format 3\0"


class ForeignLedger(Protocol):
    """One ledger of the other kind."""

    @property
    def format(self) -> str:
        """``forum-engine/jsonl`` or ``forum-engine/sqlite``."""
        ...

    def entries(self) -> Iterator[Original]:
        """Yield the entries in their order, afresh at each call."""
        ...

    def payload(self, named: str) -> bytes | None:
        """Return the JSON text kept under a payload hash, or None."""
        ...

    def damaged_payloads(self) -> list[str]:
        """Return what cannot be read among the payloads, in a few words each."""
        ...

    def payload_as_kept(self, named: str) -> bytes | None:
        """Return the bytes of the line or column that holds it, or None."""
        ...


@contextmanager
def open_foreign(path: Path) -> Generator[ForeignLedger]:
    """Hold a ``forum-engine`` ledger open for reading.

    Raises:
        LedgerMissing: nothing is there.
        LedgerUnreadable: it is no such ledger.
    """
    if not path.exists():
        raise LedgerMissing(f"nothing is at '{path.name}'; name the directory or the SQLite file of the ledger")
    try:
        if path.is_dir():
            with (path / _ENTRIES).open("rb") as entries, (path / _PAYLOADS).open("rb") as payloads:
                yield _Lines(entries, payloads)
            return
        with path.open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise LedgerUnreadable(
            f"'{path.name}' is no forum-engine ledger ({error.strerror}); expected {_ENTRIES} and {_PAYLOADS} in it"
        ) from error
    if not is_database:
        raise LedgerUnreadable(f"'{path.name}' is neither a directory nor an SQLite file; name one of these")
    try:
        connection = reading(path.absolute())
    except sqlite3.Error as error:
        raise LedgerUnreadable(f"'{path.name}' cannot be opened ({error})") from error
    try:
        yield _Rows(connection, path.name)
    finally:
        connection.close()


class _Lines:
    """Two files of JSON Lines; of the payloads only their places are held."""

    @property
    def format(self) -> str:
        """``forum-engine/jsonl``."""
        return "forum-engine/jsonl"

    def __init__(self, entries: BinaryIO, payloads: BinaryIO) -> None:
        self._entries = entries
        self._payloads = payloads
        self._places: dict[str, tuple[int, int]] = {}
        self._damaged: list[str] = []
        place = 0
        for number, line in enumerate(payloads, 1):
            named = _member(line, "hash")
            if isinstance(named, str):
                self._places.setdefault(named, (place, len(line)))
            elif line.endswith(b"\n"):
                self._damaged.append(f"line {number} of the payloads cannot be read")
            place += len(line)

    def damaged_payloads(self) -> list[str]:
        """Return the lines that cannot be read; a last one without a line feed was cut, which is permitted."""
        return self._damaged

    def entries(self) -> Iterator[Original]:
        """Yield the entries, a line each."""
        self._entries.seek(0)
        for place, line in enumerate(self._entries):
            if not line.endswith(b"\n"):
                return
            yield _original(place, line[:-1])

    def payload(self, named: str) -> bytes | None:
        """Return the member ``body`` of the payload's line as JSON text."""
        line = self.payload_as_kept(named)
        if line is None:
            return None
        try:
            return json.dumps(_member(line, "body")).encode()
        except RecursionError:  # nested so deeply that it can be read and not written
            return b""

    def payload_as_kept(self, named: str) -> bytes | None:
        """Return the payload's line, without its line feed."""
        if named not in self._places:
            return None
        place, length = self._places[named]
        self._payloads.seek(place)
        return self._payloads.read(length).removesuffix(b"\n")


class _Rows:
    """The tables ``entries`` and ``payloads`` of an SQLite file; a row is kept as a JSON object of its columns."""

    @property
    def format(self) -> str:
        """``forum-engine/sqlite``."""
        return "forum-engine/sqlite"

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        try:
            connection.execute("BEGIN")
            connection.execute(f"SELECT {', '.join(MEMBERS)} FROM entries LIMIT 0")  # noqa: S608 - fixed names
            connection.execute("SELECT payload_hash, body FROM payloads LIMIT 0")
        except UNREADABLE as error:
            raise LedgerUnreadable(f"'{name}' has not the tables of a forum-engine ledger ({error})") from error

    def entries(self) -> Iterator[Original]:
        """Yield the entries, a row each."""
        try:
            rows = self._connection.execute(f"SELECT {', '.join(MEMBERS)} FROM entries ORDER BY seq")  # noqa: S608
            for place, row in enumerate(rows):
                text = json.dumps(dict(zip(MEMBERS, row, strict=True)), ensure_ascii=False, default=repr)
                yield _original(place, text.encode("utf-8", "surrogatepass"))
        except UNREADABLE as error:
            raise LedgerUnreadable(f"the entries cannot be read further ({error})") from error

    def payload(self, named: str) -> bytes | None:
        """Return the column ``body`` of the payload's row."""
        try:
            row = self._connection.execute("SELECT body FROM payloads WHERE payload_hash = ?", (named,)).fetchone()
        except (*UNREADABLE, UnicodeEncodeError):
            return None
        return None if row is None else str(row[0]).encode("utf-8", "surrogatepass")

    payload_as_kept = payload

    def damaged_payloads(self) -> list[str]:
        """Return nothing: a row is there or it is not."""
        return []


def _original(place: int, text: bytes) -> Original:
    try:
        return Original(place, text, row_of(json.loads(text)))
    except (ValueError, RecursionError, OverflowError) as error:
        return Original(place, text, None, str(error)[:200])


def _member(line: bytes, name: str) -> object:
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
