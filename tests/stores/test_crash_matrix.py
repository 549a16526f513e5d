"""The disk as a crash leaves it, at every place between two promises.

SQLite writes a commit as frames at the end of the write-ahead log (WAL), syncs it, and only then is the append
promised; now and then it copies pages from the WAL into the file. So what a kill or a power cut can leave is a WAL cut
at any byte after the last sync, with anything in its last sector, and a file into which any part of the pages was
copied while the WAL still holds them all. These states are made here one by one, from the real bytes of each step.

Not covered: a disk that says "synced" and has not, sectors that change long after they were written, and the order in
which a file system makes new names durable (``tests/soak/test_steps.py`` kills at each file operation instead).
"""

import random
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from forum_mcp.engine.custody import rotate_key
from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.engine.redaction import redact_commit
from forum_mcp.errors import LedgerReadOnly
from forum_mcp.stores.sqlite import SqliteStore

FRAME = 24
"""Bytes before each page in a WAL; its own header has 32."""


@dataclass(frozen=True)
class Moment:
    """What was promised, and the bytes on disk, when an operation had returned."""

    size: int
    database: bytes
    wal: bytes


def moment(path: Path, ledger: Ledger) -> Moment:
    wal = path.with_name(path.name + "-wal")
    return Moment(ledger.size, path.read_bytes(), wal.read_bytes() if wal.exists() else b"")


def work(path: Path) -> list[Moment]:
    """Append, record a checkpoint, rotate the key and redact; return the moments in between."""
    with Ledger.open(path, checkpoint_every=4) as ledger:
        moments = [moment(path, ledger)]
        for n in range(6):
            ledger.append("x.noted", actor="test", data={"n": n}, bodies={"b": f"word {n} " * (200 * n)})
            moments.append(moment(path, ledger))
        ledger.record_checkpoint()
        moments.append(moment(path, ledger))
        rotate_key(ledger)
        moments.append(moment(path, ledger))
        assert not redact_commit(ledger, str(ledger.entry(2).bodies["b"]["commit"]), "asked").done
        # A reader keeps the WAL from being emptied, so that each of its states can be made.
        with Ledger.open(path, read_only=True) as reader, reader.store.snapshot():
            redact_commit(ledger, str(ledger.entry(2).bodies["b"]["commit"]), "asked", yes=True)
            moments.append(moment(path, ledger))
        return moments


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Moment]]:
    path = tmp_path_factory.mktemp("made") / "ledger.db"
    Ledger.open(path).close()
    return path, work(path)


def revive(made: Path, place: Path, database: bytes, wal: bytes) -> int:
    """Open a ledger from the bytes a crash left, check all of it, go on with it; return how much was there."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(made.parent / "keys", place / "keys")
    path = place / "ledger.db"
    path.write_bytes(database)
    path.with_name("ledger.db-wal").write_bytes(wal)
    view = verify_path(path)
    assert [each for each in view.findings if each.code != "vkey"] == []
    with Ledger.open(path, create=False) as ledger:
        size = ledger.size
        ledger.append("x.after", actor="test")
        assert ledger.size == size + 1
        assert [each.code for each in ledger.verify(2).findings] in ([], ["checkpoint-beyond-tail"])
    return size


def cuts(start: int, stop: int) -> list[int]:
    """Return the lengths at which to cut: around each frame, and some in the middle of one."""
    chance = random.Random(start)
    frames = range(32, stop + 1, FRAME + 4096)
    near = {at + off for at in frames for off in (-1, 0, 1, FRAME) if start <= at + off <= stop}
    return sorted({start, stop, *near, *(chance.randint(start, stop) for _ in range(5))})


def test_a_log_cut_at_any_place_after_a_promise_holds_all_that_was_promised(
    made: tuple[Path, list[Moment]], tmp_path: Path
) -> None:
    path, moments = made
    assert all(after.wal.startswith(before.wal) for before, after in pairwise(moments))
    tried = 0
    for before, after in pairwise(moments):
        for cut in cuts(len(before.wal), len(after.wal)):
            found = revive(path, tmp_path / "ledger", after.database, after.wal[:cut])
            assert before.size <= found <= after.size, (before.size, found, cut)
            assert found == after.size or cut < len(after.wal)
            tried += 1
    assert tried > 100


def test_rubbish_in_the_part_that_was_not_synced_is_passed_over(
    made: tuple[Path, list[Moment]], tmp_path: Path
) -> None:
    path, moments = made
    chance = random.Random(1)
    for before, after in pairwise(moments):
        torn = bytearray(after.wal)
        at = chance.randrange(len(before.wal), len(after.wal) - 16) if len(after.wal) > len(before.wal) + 16 else None
        if at is None:
            continue
        torn[at : at + 16] = chance.randbytes(16)
        found = revive(path, tmp_path / "ledger", after.database, bytes(torn))
        assert before.size <= found <= after.size


def test_a_file_into_which_the_log_was_partly_copied_is_whole(made: tuple[Path, list[Moment]], tmp_path: Path) -> None:
    path, moments = made
    last = moments[-1]
    place = tmp_path / "copied"
    place.mkdir()
    copied = place / "ledger.db"
    copied.write_bytes(last.database)
    copied.with_name("ledger.db-wal").write_bytes(last.wal)
    shutil.copytree(path.parent / "keys", place / "keys")
    with Ledger.open(copied) as ledger:
        assert isinstance(ledger.store, SqliteStore)
        assert ledger.store.settle()
    new, old = copied.read_bytes(), last.database.ljust(copied.stat().st_size, b"\x00")
    pages = [at for at in range(0, len(new), 4096) if new[at : at + 4096] != old[at : at + 4096]]
    assert len(pages) > 3
    chance = random.Random(2)
    halves = [pages[:count] for count in range(len(pages) + 1)] + [
        chance.sample(pages, chance.randrange(len(pages))) for _ in range(10)
    ]
    for done in halves:
        torn = bytearray(old)
        for at in done:
            torn[at : at + 4096] = new[at : at + 4096]
        assert revive(path, tmp_path / "ledger", bytes(torn), last.wal) == last.size


def test_a_disk_that_fills_up_in_the_middle_of_an_append_refuses_it_and_goes_on_with_room(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.append("x.noted", actor="test", bodies={"b": "before"})
        store = ledger.store
        assert isinstance(store, SqliteStore)
        writer = store._writer  # pyright: ignore[reportPrivateUsage] - the only way to a full disk without root
        assert writer is not None
        (pages,) = writer.execute("PRAGMA page_count").fetchone()
        for room in range(8):
            writer.execute(f"PRAGMA max_page_count = {pages + room}")
            size = ledger.size
            with pytest.raises(LedgerReadOnly, match="disk is full"):
                ledger.append("x.noted", actor="test", bodies={"b": random.Random(room).randbytes(60_000)})
            assert ledger.size == size
            assert ledger.verify().clean
        writer.execute("PRAGMA max_page_count = 1000000")
        ledger.append("x.noted", actor="test", bodies={"b": "after"})
        assert ledger.verify(3, ledger.checkpoint()).clean
