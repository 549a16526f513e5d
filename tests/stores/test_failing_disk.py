"""When the disk fails: what was promised stays, and nothing more is written by a process that saw a write fail."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.errors import LedgerReadOnly
from forum_mcp.stores.connection import connect, is_poison, refusal

FAILING = """
import os, resource, sys
from forum_mcp.engine.ledger import Ledger
from forum_mcp.errors import LedgerReadOnly
with Ledger.open(sys.argv[1]) as ledger:
    ledger.append("x.noted", actor="test", bodies={"b": os.urandom(50_000)})
    # From here on the system refuses to let a file grow past 100 kB, in the middle of a transaction.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    for expected in ("the disk failed", "open for reading only"):
        try:
            ledger.append("x.noted", actor="test", bodies={"b": os.urandom(200_000)})
        except LedgerReadOnly as error:
            assert expected in str(error), error
        else:
            raise AssertionError("the append did not fail")
    assert ledger.store.read_only
    assert ledger.size == 2, "reading goes on"
print("done")
"""


def test_a_failed_write_ends_writing_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    done = subprocess.run(
        [sys.executable, "-c", FAILING, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
    assert verify_path(path).clean
    with Ledger.open(path) as ledger:
        assert ledger.append("x.noted", actor="test").seq == 2
        assert ledger.verify().clean


def test_a_full_disk_is_refused_without_giving_up_writing() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as full:
        connection.executescript("CREATE TABLE a (b); CREATE TABLE c (d)")
    connection.close()
    assert not is_poison(full.value)
    assert isinstance(refusal(full.value), LedgerReadOnly)
    assert "full" in str(refusal(full.value))


def test_a_writer_waits_for_the_disk_and_overwrites_what_it_deletes(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.db").close()
    connection = connect(tmp_path / "ledger.db", "rw")
    found = [
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "secure_delete", "journal_mode")
    ]
    connection.close()
    assert found == [2, 1, "wal"]
