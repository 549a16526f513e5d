"""A copy of a ledger file as it is at one moment, made while others append: SQLite's own backup, in one read view.

Copying the file itself would miss what stands in the write-ahead log, or mix two moments.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from forum_mcp.stores.connection import translated
from forum_mcp.stores.files import link_new

__all__ = ["copy_file"]


def copy_file(source: sqlite3.Connection, target: Path, entropy: Callable[[int], bytes]) -> None:
    """Write the ledger that ``source`` reads to a new private file, durably, complete or not at all.

    Raises:
        FileExistsError: the name is taken; that file is not touched.
        OSError: the place cannot be written.
        LedgerError: reading or writing failed.
    """
    if target.exists():
        raise FileExistsError(target)
    temporary = target.with_name(f".{target.name}.{entropy(8).hex()}.tmp")
    try:
        os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with translated():
            copy = sqlite3.connect(temporary, isolation_level=None)
            try:
                (page_size,) = source.execute("PRAGMA page_size").fetchone()
                # A copy keeps the mode of its target; outside of WAL its readers would wait for its writers.
                for pragma in (f"page_size = {page_size}", "journal_mode = WAL", "synchronous = FULL"):
                    copy.execute(f"PRAGMA {pragma}").fetchall()
                source.backup(copy)
                copy.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                copy.close()
        if not link_new(temporary, target):
            raise FileExistsError(target)
    finally:
        for suffix in ("", "-wal", "-shm"):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
