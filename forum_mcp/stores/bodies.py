"""Bodies in the file: stored once, compressed where it helps, found again through a secret index.

Equal bodies (type and bytes) have one row. They are found by an HMAC under a key that never leaves the
ledger: an index by plain digest would let a short body be guessed after its redaction. Commitments are over
the plain bytes.
"""

import hmac
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from typing import Final

import zstandard

from forum_mcp.ledger.entry import Body
from forum_mcp.ledger.members import is_hash
from forum_mcp.stores.connection import blob

__all__ = ["BODY_MAX_BYTES", "BodyTable", "pack", "unpack"]

BODY_MAX_BYTES: Final = 64 * 1024 * 1024
_PLAIN: Final = 0
_ZSTD: Final = 1
_COMPRESS_FROM_BYTES: Final = 256
_LEVEL: Final = 3
_PAGE: Final = 16
_PAGE_OF_BODIES: Final = (
    'SELECT "commit", CAST(type AS BLOB), CAST(salt AS BLOB), CAST(size AS INTEGER), CAST(codec AS INTEGER), '
    'CAST(data AS BLOB) FROM bodies WHERE "commit" > ? ORDER BY "commit" LIMIT ?'
)


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
        plain = _CODECS.unpacker.decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError:
        return None
    return plain if len(plain) == size else None


class BodyTable:
    """The tables ``bodies`` and ``body_index`` through one connection."""

    def __init__(self, connection: sqlite3.Connection, index_key: bytes) -> None:
        self._connection = connection
        self._index_key = index_key

    def key(self, media_type: str, plain: bytes) -> bytes:
        """Return the 32-byte index key of a body."""
        name = media_type.encode("utf-8", "surrogatepass")
        return hmac.digest(self._index_key, b"%b\n%b" % (name, plain), "sha256")

    def find(self, key: bytes) -> str | None:
        """Return the commitment (hex) stored under an index key, or None."""
        row = self._connection.execute('SELECT "commit" FROM body_index WHERE "key" = ?', (key,)).fetchone()
        return None if row is None else blob(row[0]).hex()

    def holds(self, commit: str, size: int, media_type: str) -> bool:
        """Tell whether a body with that commitment, size and type is here; its bytes are not read."""
        if not is_hash(commit):
            return False
        row = self._connection.execute(
            'SELECT size, type FROM bodies WHERE "commit" = ?', (bytes.fromhex(commit),)
        ).fetchone()
        return row is not None and (row[0], row[1]) == (size, media_type)

    def put(self, found: Sequence[tuple[bytes, Body]]) -> None:
        """Store bodies that ``find`` did not know under their index keys, and their rows of the index."""
        bodies: list[tuple[bytes, str, bytes, int, int, bytes]] = []
        index: list[tuple[bytes, bytes]] = []
        for key, body in found:
            codec, stored = pack(body.data)
            commit = bytes.fromhex(body.commit)
            bodies.append((commit, body.type, body.salt, len(body.data), codec, stored))
            index.append((key, commit))
        self._connection.executemany(
            'INSERT INTO bodies ("commit", type, salt, size, codec, data) VALUES (?, ?, ?, ?, ?, ?)', bodies
        )
        self._connection.executemany('INSERT INTO body_index ("key", "commit") VALUES (?, ?)', index)

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

    def is_row(self, commit: str) -> bool:
        """Tell whether a row stands under a commitment, whatever it holds."""
        if not is_hash(commit):
            return False
        found = self._connection.execute('SELECT 1 FROM bodies WHERE "commit" = ?', (bytes.fromhex(commit),))
        return found.fetchone() is not None

    def remove(self, commit: str) -> None:
        """Delete a body, its salt and its row of the index."""
        key = bytes.fromhex(commit)
        body = self.get(commit)
        removed = 0
        if body is not None:
            found = (self.key(body.type, body.data), key)
            removed = self._connection.execute(
                'DELETE FROM body_index WHERE "key" = ? AND "commit" = ?', found
            ).rowcount
        if removed == 0:  # a damaged row: its key cannot be computed, so all are looked at
            self._connection.execute('DELETE FROM body_index WHERE "commit" = ?', (key,))
        self._connection.execute('DELETE FROM bodies WHERE "commit" = ?', (key,))

    def scan(self, faults: list[str] | None = None) -> Iterator[tuple[str, str, bytes, bytes | None]]:
        """Yield (commit hex, media type, salt, plain bytes or None) of every row, by commit.

        Rows are read whatever types a damage gave their columns, so that the check of a row can name it.
        ``faults`` takes the commit of each body whose row of the index is absent or wrong; a pass that has
        unpacked a body checks both.
        """
        # Pages by commit: an open cursor would hold a read transaction for as long as the caller takes.
        last = b""
        while True:
            rows = self._connection.execute(_PAGE_OF_BODIES, (last, _PAGE)).fetchall()
            for commit, media_type, salt, size, codec, stored in rows:
                if blob(commit) <= last and last:  # a damaged page; asking on from here would never end
                    raise sqlite3.DatabaseError(f"bodies are out of order at {commit.hex()}")
                last = commit
                plain = unpack(codec or 0, -1 if size is None else size, stored or b"")
                name = (media_type or b"").decode("utf-8", "replace")
                if faults is not None and plain is not None and self.find(self.key(name, plain)) != commit.hex():
                    faults.append(commit.hex())
                yield commit.hex(), name, salt or b"", plain
            if len(rows) < _PAGE:
                return

    def surplus(self) -> list[str]:
        """Return the commit (hex) of each row of the index that stands twice or for no body."""
        (surplus,) = self._connection.execute(
            "SELECT (SELECT count(*) FROM body_index) <> (SELECT count(*) FROM bodies)"
        ).fetchone()
        if not surplus:
            return []
        rows = self._connection.execute(
            'SELECT CAST("commit" AS BLOB) FROM body_index GROUP BY 1 HAVING count(*) > 1 '
            'UNION SELECT CAST("commit" AS BLOB) FROM body_index '
            'WHERE "commit" NOT IN (SELECT "commit" FROM bodies)'
        ).fetchall()
        return sorted(bytes(row[0] or b"").hex() for row in rows)
