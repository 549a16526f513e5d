"""One byte of a ledger file changed, wherever it stands: verify finds it, or nothing that was recorded has changed."""

import os
import random
from pathlib import Path

import pytest

from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.errors import LedgerError
from forum_mcp.ledger.entry import Draft, LedgerId
from forum_mcp.ledger.finding import CODES
from forum_mcp.stores.keys import KeyFile
from forum_mcp.stores.sqlite import SqliteStore

RUN = "5a" * 16


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A closed ledger of few small pages: every table in use, nothing left in a WAL."""
    path = tmp_path / "ledger.db"
    ledger_id = LedgerId("c" * 32)
    signer = KeyFile(tmp_path / "keys").create(ledger_id, os.urandom)
    facts = {"format": 1, "software": "a test", "vkey": signer.vkey}
    store = SqliteStore.create(path, ledger_id, Draft("ledger.opened", "engine", facts), page_size=512)
    assert store is not None
    store.close()
    with Ledger.open(path, create=False) as ledger:
        ledger.append("run.started", actor="person:test", data={"t_ms": 0}, bodies={"request": "do it"}, run=RUN)
        reply = "the same words again and again " * 12
        ledger.append(
            "call.finished", actor="executor:x", data={"call": 1}, bodies={"reply": reply}, parents=[1], run=RUN
        )
        ledger.append("task.finished", actor="engine", bodies={"output": b"\x00\xff"}, parents=[2], run=RUN)
        ledger.record_checkpoint([3])
        ledger.append("run.finished", actor="engine", data={"state": "succeeded"}, parents=[3], run=RUN)
    assert {file.name for file in tmp_path.iterdir()} == {"ledger.db", "keys"}
    return path


def export_of(path: Path) -> list[bytes] | None:
    try:
        with Ledger.open(path, read_only=True) as ledger:
            return list(ledger.export())
    except LedgerError:
        return None


def test_every_flipped_byte_is_found_or_harmless(small: Path, rounds: int | None) -> None:
    """A round is one pass over the file; without ``--rounds`` a sample of 400 bytes is taken."""
    whole = small.read_bytes()
    expected = export_of(small)
    assert expected is not None
    assert verify_path(small).clean
    chance = random.Random(os.environ.get("FORUM_TEST_SEED", "1"))
    places = [at for _ in range(rounds or 1) for at in range(len(whole))]
    if rounds is None:
        places = chance.sample(places, 400)
    missed: list[str] = []
    for at in places:
        flip = chance.randrange(1, 256)
        changed = bytearray(whole)
        changed[at] ^= flip
        small.write_bytes(changed)
        for suffix in ("-wal", "-shm"):
            small.with_name(small.name + suffix).unlink(missing_ok=True)
        view = verify_path(small)
        if view.clean:
            if export_of(small) != expected:
                missed.append(f"byte {at} ^ {flip:#x}: verify is clean, the export differs")
        elif not all(finding.code in CODES and finding.expected and finding.found for finding in view.findings):
            missed.append(f"byte {at} ^ {flip:#x}: {view.findings}")
    assert missed == []
