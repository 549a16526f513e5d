"""Backups: one moment of the ledger, taken while others write, verified before it is put back."""

import shutil
import stat
from pathlib import Path
from threading import Event, Thread

import pytest

from forum_mcp.engine.custody import accept_rollback, backup, restore
from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.errors import CheckpointRefused, LedgerMissing, LedgerUnreadable, RequestRefused


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        for n in range(50):
            ledger.append("x.noted", actor="test", data={"n": n}, bodies={"b": f"word {n} " * 99})
    return path


def test_a_backup_taken_while_another_appends_is_one_moment_and_verifies(path: Path, tmp_path: Path) -> None:
    stop, promised = Event(), list[int]()

    def write() -> None:
        with Ledger.open(path) as ledger:
            while not stop.is_set():
                promised.append(ledger.append("x.noted", actor="test", bodies={"b": f"{len(promised)} " * 300}).seq)

    writer = Thread(target=write)
    writer.start()
    try:
        with Ledger.open(path) as ledger:
            for n in range(5):
                before = ledger.size
                copy = backup(ledger, tmp_path / f"{n}.db")
                with Ledger.open(copy, read_only=True) as copied:
                    assert copied.size >= before
                assert verify_path(copy).clean
                assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    finally:
        stop.set()
        writer.join()
    assert not list(tmp_path.glob(".*"))


def test_a_backup_overwrites_nothing_and_one_that_cannot_be_written_leaves_nothing(path: Path, tmp_path: Path) -> None:
    with Ledger.open(path) as ledger:
        backup(ledger, tmp_path / "copy.db")
        with pytest.raises(RequestRefused, match="exists"):
            backup(ledger, tmp_path / "copy.db")
        with pytest.raises(RequestRefused, match="cannot be written"):
            backup(ledger, tmp_path / "nowhere" / "copy.db")
    assert not list(tmp_path.glob(".*"))


def test_a_restored_ledger_goes_on_once_its_rollback_is_accepted(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere.db"
    with Ledger.open(path) as ledger:
        backup(ledger, copy)
        ledger.append("x.noted", actor="test")
        ledger.checkpoint()
    path.rename(tmp_path / "lost.db")
    assert restore(copy, path).size == 51
    with Ledger.open(path) as ledger:
        with pytest.raises(CheckpointRefused):
            ledger.checkpoint()
        accept_rollback(ledger, "restored")
        assert ledger.verify(3, ledger.checkpoint()).clean
        ledger.append("x.noted", actor="test")


def test_a_damaged_backup_is_not_restored(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    at = whole.index(b'"n":7}')
    bad = tmp_path / "bad.db"
    bad.write_bytes(whole[: at + 4] + b"8" + whole[at + 5 :])
    with pytest.raises(LedgerUnreadable, match="findings"):
        restore(bad, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()
    with pytest.raises(LedgerMissing):
        restore(tmp_path / "none.db", tmp_path / "new.db")
    with pytest.raises(RequestRefused, match="exists"):
        restore(shutil.copy(path, tmp_path / "good.db"), path)
