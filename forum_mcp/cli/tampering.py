"""What the demo does to copies of its ledger, the way somebody with the file and SQL would do it.

Never used on a ledger that is not a copy made here.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from forum_mcp.ledger.entry import decode, encode, genesis_prev, leaf_hash
from forum_mcp.stores.tree import Edge, extended

__all__ = ["change_body", "copy_of", "delete_body", "drop_tail", "edit_entry", "remove_entry", "rewrite_from"]


def copy_of(ledger: Path, name: str) -> Path:
    """Return a copy of a closed ledger, in the same directory."""
    target = ledger.with_name(name)
    shutil.copyfile(ledger, target)
    return target


def change_body(ledger: Path, commit: str) -> None:
    """Change one byte of the body of a commitment (64 hex) where it lies."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        row = connection.execute('SELECT data FROM bodies WHERE "commit" = ?', (bytes.fromhex(commit),)).fetchone()
        data = bytearray(row[0])
        data[-1] ^= 1
        connection.execute('UPDATE bodies SET data = ? WHERE "commit" = ?', (bytes(data), bytes.fromhex(commit)))


def delete_body(ledger: Path, commit: str) -> None:
    """Delete the body of a commitment (64 hex) and say nothing."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute('DELETE FROM bodies WHERE "commit" = ?', (bytes.fromhex(commit),))


def edit_entry(ledger: Path, seq: int, old: str, new: str) -> None:
    """Replace a text in the bytes of one entry, and leave the rest as it is."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE entries SET raw = ? WHERE seq = ?", (_edited(connection, seq, old, new), seq))


def remove_entry(ledger: Path, seq: int) -> None:
    """Take one entry out of the middle."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM entries WHERE seq = ?", (seq,))


def rewrite_from(ledger: Path, seq: int, old: str, new: str) -> None:
    """Replace a text in the bytes of one entry and make every later link and every hash of the tree anew."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        rows: list[tuple[int, bytes]] = connection.execute("SELECT seq, raw FROM entries ORDER BY seq").fetchall()
        edited = _edited(connection, seq, old, new)
        edge = Edge(0, bytes.fromhex(genesis_prev(decode(rows[0][1]).ledger)), ())
        for at, stored in rows:
            raw = edited if at == seq else stored
            if at > seq:
                raw = encode(msgspec.structs.replace(decode(raw), prev=edge.leaf.hex()))
            edge, hashes = extended(edge, leaf_hash(raw))
            connection.execute("UPDATE entries SET raw = ?, tree = ? WHERE seq = ?", (raw, hashes, at))


def drop_tail(ledger: Path, size: int) -> None:
    """Cut the ledger to its first ``size`` entries and clean up behind: marks and bodies go too."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM entries WHERE seq >= ?", (size,))
        connection.execute("DELETE FROM marks WHERE seq >= ?", (size,))
        kept = {
            bytes.fromhex(body.commit)
            for (raw,) in connection.execute("SELECT raw FROM entries")
            for body in decode(raw).bodies.values()
        }
        stored = [commit for (commit,) in connection.execute('SELECT "commit" FROM bodies')]
        for commit in stored:
            if commit not in kept:
                connection.execute('DELETE FROM bodies WHERE "commit" = ?', (commit,))


def _edited(connection: sqlite3.Connection, seq: int, old: str, new: str) -> bytes:
    (raw,) = connection.execute("SELECT raw FROM entries WHERE seq = ?", (seq,)).fetchone()
    return bytes(raw).replace(old.encode(), new.encode(), 1)
