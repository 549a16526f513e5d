"""What the demo does to copies of its ledger, the way somebody with the file and SQL would do it.

Never used on a ledger that is not a copy made here.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from forum_mcp.ledger.entry import decode

__all__ = ["change_body", "copy_of", "drop_tail"]


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
