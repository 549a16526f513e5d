"""Bodies in the file: stored once, compressed where it helps, found again through a secret index.

Equal bodies (type and bytes) have one row. They are found by a keyed BLAKE2b (RFC 7693) under a key that never leaves
the ledger: an index by plain digest would let a short body be guessed after its redaction. Commitments are over
the plain bytes.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import zstandard

from forum_mcp.ledger.entry import Body
from forum_mcp.ledger.members import is_hash
from forum_mcp.stores.connection import blob

__all__ = ["BODY_MAX_BYTES", "BodyRow", "BodyTable", "pack", "unpack"]

BODY_MAX_BYTES: Final = 64 * 1024 * 1024
_PLAIN: Final = 0
_ZSTD: Final = 1
_COMPRESS_FROM_BYTES: Final = 256
_LEVEL: Final = 3
_KEY_BYTES: Final = 16
_TYPES_KEPT: Final = 64
_FOUND_KEPT: Final = 1_024
_PAGE: Final = 16
_COLUMNS: Final = (
    'CAST("commit" AS BLOB), CAST("key" AS BLOB), CAST(type AS BLOB), CAST(salt AS BLOB), CAST(size AS INTEGER), '
    "CAST(codec AS INTEGER), CAST(data AS BLOB)"
)
_ONE: Final = f'SELECT id, {_COLUMNS} FROM bodies WHERE "commit" = ?'  # noqa: S608
_BY_COMMIT: Final = f'SELECT id, {_COLUMNS} FROM bodies WHERE "commit" > ? ORDER BY "commit" LIMIT ?'  # noqa: S608
_BY_ID: Final = f"SELECT id, {_COLUMNS} FROM bodies WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608


_Columns = tuple[int, bytes | None, bytes | None, bytes | None, bytes | None, int | None, int | None, bytes | None]


class _Codecs(threading.local):
    """The codecs of one thread: they are not shared, and making one costs more than using it."""

    def __init__(self) -> None:
        self.packer = zstandard.ZstdCompressor(level=_LEVEL)
        self.unpacker = zstandard.ZstdDecompressor()


_CODECS: Final = _Codecs()


def pack(plain: bytes) -> tuple[int, bytes]:
    """Return (codec, stored bytes): zstandard when that is shorter by at least a sixteenth."""
    if len(plain) >= _COMPRESS_FROM_BYTES:
        packed = _CODECS.packer.compress(plain)
        if len(packed) <= len(plain) - len(plain) // 16:
            return _ZSTD, packed
    return _PLAIN, plain


def unpack(codec: int, size: int, stored: bytes) -> bytes | None:
    """Return the plain bytes, or None when the row does not unpack to exactly ``size`` bytes.

    The frame must declare that size too, and unpacking allocates no more: what a damaged or hostile row can
    make us use is bounded by ``BODY_MAX_BYTES`` before a byte is unpacked.
    """
    if not 0 <= size <= BODY_MAX_BYTES:
        return None
    if codec == _PLAIN:
        return stored if len(stored) == size else None
    if codec != _ZSTD or size < _COMPRESS_FROM_BYTES:
        return None
    try:
        if zstandard.get_frame_parameters(stored).content_size != size:
            return None
        plain = _CODECS.unpacker.decompress(stored, 0, False, False)  # no second frame, nothing after the first
    except zstandard.ZstdError:
        return None
    return plain if len(plain) == size else None


class BodyRow(NamedTuple):
    """One row as it stands, unpacked.

    Attributes:
        id: its place in the order of appending.
        commit: 32-byte commitment.
        key: the index key that is stored.
        type: media type.
        salt: 32 bytes.
        plain: the body's bytes, None when they do not unpack to the size that is stored.
    """

    id: int
    commit: bytes
    key: bytes
    type: str
    salt: bytes
    plain: bytes | None


class BodyTable:
    """The table ``bodies`` through one connection, until another one writes; then ``forget`` what was found."""

    def __init__(self, connection: sqlite3.Connection, index_key: bytes) -> None:
        self._connection = connection
        self._keyed = blake2b(key=index_key[: blake2b.MAX_KEY_SIZE], digest_size=_KEY_BYTES)
        self._keyed_of: dict[str, blake2b] = {}
        self._found: dict[bytes, str] = {}

    def key(self, media_type: str, plain: bytes) -> bytes:
        """Return the 16-byte index key of a body."""
        known = self._keyed_of.get(media_type)
        if known is None:
            known = self._keyed.copy()
            known.update(media_type.encode("utf-8", "surrogatepass") + b"\n")
            if len(self._keyed_of) < _TYPES_KEPT:  # a ledger has a few
                self._keyed_of[media_type] = known
        keyed = known.copy()
        keyed.update(plain)
        return keyed.digest()

    def find(self, key: bytes) -> str | None:
        """Return the commitment (hex) stored under an index key, or None; what was found is not looked up again."""
        if (known := self._found.get(key)) is not None:
            return known
        row = self._connection.execute('SELECT "commit" FROM bodies WHERE "key" = ?', (key,)).fetchone()
        if row is None:
            return None
        commit = blob(row[0]).hex()
        if len(self._found) < _FOUND_KEPT:
            self._found[key] = commit
        return commit

    def forget(self) -> None:
        """Look up again what was found: rows were deleted, or their writing was undone."""
        self._found.clear()

    def holds(self, commit: str, size: int, media_type: str) -> bool:
        """Tell whether a body with that commitment, size and type is here; its bytes are not read."""
        if not is_hash(commit):
            return False
        row = self._connection.execute(
            'SELECT size, type FROM bodies WHERE "commit" = ?', (bytes.fromhex(commit),)
        ).fetchone()
        return row is not None and (row[0], row[1]) == (size, media_type)

    def put(self, found: Sequence[tuple[bytes, Body]]) -> None:
        """Store bodies that ``find`` did not know, each with its index key."""
        rows: list[tuple[bytes, bytes, str, bytes, int, int, bytes]] = []
        for key, body in found:
            codec, stored = pack(body.data)
            rows.append((bytes.fromhex(body.commit), key, body.type, body.salt, len(body.data), codec, stored))
        self._connection.executemany(
            'INSERT INTO bodies ("commit", "key", type, salt, size, codec, data) VALUES (?, ?, ?, ?, ?, ?, ?)', rows
        )

    def get(self, commit: str) -> Body | None:
        """Return a body, or None when it is not here or does not unpack."""
        if not is_hash(commit):
            return None
        row = self._connection.execute(
            'SELECT type, salt, CAST(size AS INTEGER), CAST(codec AS INTEGER), data FROM bodies WHERE "commit" = ?',
            (bytes.fromhex(commit),),
        ).fetchone()
        if row is None:
            return None
        media_type, salt, size, codec, stored = row
        plain = unpack(codec or 0, -1 if size is None else size, blob(stored))
        return None if plain is None else Body(commit, media_type, blob(salt), plain)

    def row(self, commit: str) -> BodyRow | None:
        """Return the row under a commitment as it stands, or None."""
        if not is_hash(commit):
            return None
        found = self._connection.execute(_ONE, (bytes.fromhex(commit),)).fetchone()
        return None if found is None else _row(found)

    def is_row(self, commit: str) -> bool:
        """Tell whether a row stands under a commitment, whatever it holds."""
        if not is_hash(commit):
            return False
        found = self._connection.execute('SELECT 1 FROM bodies WHERE "commit" = ?', (bytes.fromhex(commit),))
        return found.fetchone() is not None

    def remove(self, commit: str) -> None:
        """Delete a body, its salt and its index key."""
        self.forget()
        self._connection.execute('DELETE FROM bodies WHERE "commit" = ?', (bytes.fromhex(commit),))

    def by_id(self) -> Iterator[BodyRow]:
        """Yield every row in the order of appending.

        Rows are read whatever types a damage gave their columns, so that the check of a row can name it.
        """
        last = -(2**62)
        while True:
            page = self._connection.execute(_BY_ID, (last, _PAGE)).fetchall()
            for row in page:
                if row[0] <= last:  # a damaged page; asking on from here would never end
                    raise sqlite3.DatabaseError(f"bodies are out of order at {row[0]}")
                last = row[0]
                yield _row(row)
            if len(page) < _PAGE:
                return

    def by_commit(self) -> Iterator[BodyRow]:
        """Yield every row by commitment."""
        # Pages: an open cursor would hold a read transaction for as long as the caller takes.
        last = b""
        while True:
            page = self._connection.execute(_BY_COMMIT, (last, _PAGE)).fetchall()
            for row in page:
                found = _row(row)
                if found.commit <= last and last:
                    raise sqlite3.DatabaseError(f"bodies are out of order at {found.commit.hex()}")
                last = found.commit
                yield found
            if len(page) < _PAGE:
                return


def _row(columns: _Columns) -> BodyRow:
    number, commit, key, media_type, salt, size, codec, stored = columns
    plain = unpack(codec or 0, -1 if size is None else size, stored or b"")
    shown = (media_type or b"").decode("utf-8", "replace")
    return BodyRow(number, commit or b"", key or b"", shown, salt or b"", plain)
