"""The signer remembers what it signed outside the ledger, and signs nothing that does not extend it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from forum_mcp.engine.custody import accept_rollback, key, rotate_key
from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.errors import CheckpointRefused, LedgerReadOnly, RequestRefused
from forum_mcp.ledger import checkpoint as checkpoints
from forum_mcp.ledger import note
from forum_mcp.stores.signed import Remembered, SignedFile


def size_of(text: str) -> int:
    return checkpoints.parse(note.parse(text).text).size


def memory_of(directory: Path) -> Path:
    (found,) = (directory / "keys").glob("*.signed")
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of six entries, signed, and beside it a copy from when it had four."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        for n in range(3):
            ledger.append("x.noted", actor="test", data={"n": n})
    shutil.copy(path, tmp_path / "older.db")
    with Ledger.open(path) as ledger:
        for n in range(2):
            ledger.append("x.noted", actor="test", data={"n": 3 + n})
        assert size_of(ledger.checkpoint()) == 6
    return path


def roll_back(path: Path) -> None:
    shutil.copy(path.with_name("older.db"), path)


def test_an_older_copy_put_back_is_not_signed_and_says_what_to_do(path: Path) -> None:
    roll_back(path)
    with Ledger.open(path) as ledger:
        for sign in (ledger.checkpoint, ledger.record_checkpoint):
            with pytest.raises(CheckpointRefused, match=r"expected 6 entries.*found 4 entries.*accept-rollback"):
                sign()
        assert ledger.size == 4
        assert ledger.newest_checkpoint() is None, "a result goes without a note rather than fail"
        view = ledger.verify()
        assert [finding.code for finding in view.findings] == ["checkpoint-beyond-tail"]
        assert any(line.startswith("signer: it signs no more") for line in view.not_protected)


def test_an_older_copy_that_grew_past_what_was_signed_is_found_by_its_root(path: Path) -> None:
    roll_back(path)
    with Ledger.open(path) as ledger:
        for n in range(10):
            ledger.append("x.forged", actor="test", data={"n": n})
        with pytest.raises(CheckpointRefused, match="history was rewritten"):
            ledger.checkpoint()
        assert [finding.code for finding in ledger.verify().findings] == ["checkpoint-root"]


def test_a_rollback_that_is_accepted_is_on_record_and_signing_goes_on(path: Path) -> None:
    with Ledger.open(path) as ledger, pytest.raises(RequestRefused, match="no rollback"):
        accept_rollback(ledger, "nothing happened")
    roll_back(path)
    with Ledger.open(path) as ledger:
        with pytest.raises(RequestRefused, match="reason"):
            accept_rollback(ledger, "  ")
        entry = accept_rollback(ledger, "the disk died, this is Monday's backup")
        assert (entry.kind, entry.data["reason"]) == ("ledger.recovered", "rollback-accepted")
        assert entry.data["signed_size"] == 6
        assert ledger.entry(entry.seq).bodies["reason"]["text"] == "the disk died, this is Monday's backup"
        assert size_of(ledger.checkpoint()) == 5
        assert ledger.verify().clean


def test_a_key_copied_with_its_ledger_signs_one_of_two_futures(path: Path) -> None:
    fork = path.with_name("older.db")
    with Ledger.open(path) as one, Ledger.open(fork) as other:
        one.append("x.noted", actor="test")
        one.checkpoint()
        for n in range(9):
            other.append("x.noted", actor="test", data={"n": n})
        with pytest.raises(CheckpointRefused):
            other.checkpoint()
        one.checkpoint()


def test_two_openings_sign_in_turn(path: Path) -> None:
    with Ledger.open(path) as one, Ledger.open(path) as other:
        for turn in range(20):
            ledger = (one, other)[turn % 2]
            ledger.append("x.noted", actor="test", data={"turn": turn})
            assert size_of((other, one)[turn % 2].checkpoint()) == 7 + turn
            assert size_of(ledger.checkpoint()) == 7 + turn


def test_another_memory_put_in_the_place_of_an_open_one_is_the_one_that_counts(path: Path) -> None:
    memory = memory_of(path.parent)
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test")
        assert size_of(ledger.checkpoint()) == 7
        foreign = SignedFile(memory.with_name("other.signed"))
        foreign.reset(Remembered(9, bytes(32)))
        foreign.close()
        memory.with_name("other.signed").replace(memory)
        ledger.append("x.noted", actor="test")
        with pytest.raises(CheckpointRefused, match="9 entries"):
            ledger.checkpoint()
        memory.unlink()
        assert size_of(ledger.checkpoint()) == 8
        assert memory.exists()


def test_what_another_process_signed_meanwhile_is_read_each_time(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert size_of(ledger.checkpoint()) == 6
        other = SignedFile(memory_of(path.parent))
        for size in (7, 8, 9):
            with other.hold() as held:
                held.remember(Remembered(size, bytes([size]) * 32), durable=False)
            ledger.append("x.noted", actor="test")
            with pytest.raises(CheckpointRefused, match=f"{size} entries"):
                ledger.checkpoint()
        other.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_a_fork_does_not_share_the_lock_of_its_parent(path: Path) -> None:
    memory = SignedFile(memory_of(path.parent))
    with memory.hold():
        pass
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child
        os.read(reader, 1)
        with memory.hold() as held:
            held.remember(Remembered(50, bytes(32)), durable=False)
        os._exit(0)
    with memory.hold() as held:
        os.write(writer, b"x")
        for _ in range(20):
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child waits for the lock"
            anyio.run(anyio.sleep, 0.005)
        held.remember(Remembered(49, bytes(32)), durable=False)
    assert os.waitpid(child, 0)[1] == 0
    with memory.hold() as held:
        assert held.remembered == Remembered(50, bytes(32))
    memory.close()
    os.close(reader)
    os.close(writer)


def test_a_note_asked_for_inside_an_older_view_is_no_rollback(path: Path) -> None:
    with Ledger.open(path) as one, Ledger.open(path) as other:
        with one.store.snapshot():
            other.append("x.noted", actor="test")
            other.checkpoint()
            one.newest_checkpoint()
        assert size_of(one.checkpoint()) == 7
        assert one.verify().clean


def torn_first(memory: bytes) -> bytes:
    return b"\x00" * 100 + memory[100:]


def torn_second(memory: bytes) -> bytes:
    return memory[:300] + b"?" * 50 + memory[350:]


@pytest.mark.parametrize("tear", [torn_first, torn_second])
def test_a_torn_write_of_the_memory_leaves_the_one_before(path: Path, tear: Callable[[bytes], bytes]) -> None:
    memory = memory_of(path.parent)
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test")
        ledger.checkpoint()
    memory.write_bytes(tear(memory.read_bytes()))
    with Ledger.open(path) as ledger:
        assert size_of(ledger.checkpoint()) == 7
    roll_back(path)
    with Ledger.open(path) as ledger, pytest.raises(CheckpointRefused):
        ledger.checkpoint()


def test_a_damaged_memory_stops_signing_until_that_is_accepted(path: Path) -> None:
    memory = memory_of(path.parent)
    memory.write_bytes(b"?" * 512)
    with Ledger.open(path) as ledger:
        with pytest.raises(CheckpointRefused, match="damaged"):
            ledger.checkpoint()
        view = ledger.verify()
        assert view.clean, "the ledger is whole; what cannot be compared is said"
        assert any("its memory was not compared" in line for line in view.not_protected)
        entry = accept_rollback(ledger, "the memory was damaged")
        assert "signed_size" not in entry.data
        assert size_of(ledger.checkpoint()) == 7


def test_a_memory_that_never_reached_the_disk_is_an_empty_one(path: Path) -> None:
    memory_of(path.parent).write_bytes(b"\x00" * 512)
    with Ledger.open(path) as ledger:
        assert size_of(ledger.checkpoint()) == 6


def test_a_memory_that_cannot_be_opened_refuses_and_results_go_on(path: Path) -> None:
    memory = memory_of(path.parent)
    memory.unlink()
    memory.mkdir()
    with Ledger.open(path) as ledger:
        with pytest.raises(LedgerReadOnly, match="remembers"):
            ledger.checkpoint()
        assert ledger.newest_checkpoint() is None
        assert ledger.verify().clean


def test_every_so_many_entries_a_checkpoint_is_recorded_over_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path, checkpoint_every=10) as ledger:
        for n in range(40):
            ledger.append("x.noted", actor="test", data={"n": n})
        signed = ledger.show(kind="checkpoint.signed").entries
        assert [entry.data["size"] for entry in signed] == [9, 19, 29, 39]
        assert [entry.seq for entry in signed] == [10, 20, 30, 40]
        assert ledger.verify().clean
    with Ledger.open(path, checkpoint_every=0) as ledger:
        for n in range(20):
            ledger.append("x.noted", actor="test", data={"n": n})
        assert len(ledger.show(kind="checkpoint.signed").entries) == 4


def test_a_checkpoint_that_is_due_and_cannot_be_signed_stops_no_append(path: Path) -> None:
    roll_back(path)
    with Ledger.open(path, checkpoint_every=2) as ledger:
        for n in range(10):
            ledger.append("x.noted", actor="test", data={"n": n})
        assert ledger.size == 14
        assert not ledger.show(kind="checkpoint.signed").entries


def test_an_undone_transaction_leaves_nothing_signed_behind(path: Path) -> None:
    with Ledger.open(path, checkpoint_every=2) as ledger:

        def work(transaction: object) -> None:
            ledger.signing.signed()
            raise KeyError

        with pytest.raises(KeyError):
            ledger.store.transact(work)
        ledger.append("x.noted", actor="test")
        assert ledger.verify(3, ledger.checkpoint()).clean


def test_a_rotated_key_is_vouched_for_by_the_old_one_which_is_gone(path: Path) -> None:
    with Ledger.open(path) as ledger, Ledger.open(path) as beside:
        kept, old = ledger.checkpoint(), ledger.vkey
        beside.checkpoint()
        view = rotate_key(ledger)
        assert view.signs
        assert not view.rotating
        assert view.vkey == ledger.vkey != old
        signed = note.verify(beside.checkpoint(), [view.vkey]).signatures
        assert [each.verified for each in signed] == [True], "a process that had read the old key uses the new"
        assert ledger.verify(3, [kept, ledger.checkpoint()]).clean
        assert len(list((path.parent / "keys").glob("*.key"))) == 1
        again = rotate_key(beside)
        assert again.vkey != view.vkey
        assert ledger.verify(3, [kept, ledger.checkpoint()]).clean
    assert verify_path(path, 3, kept, vkeys=[old]).clean


@pytest.mark.parametrize("last_step", ["stage", "append", "record"])
def test_a_rotation_that_was_cut_short_is_ended_by_the_next_recorded_checkpoint(path: Path, last_step: str) -> None:
    with Ledger.open(path) as ledger:
        following = ledger.keys.stage(lambda n: b"n" * n)
        if last_step != "stage":
            ledger.append("key.rotated", actor="engine", data={"vkey": following.vkey})
        if last_step == "record":
            ledger.store.transact(lambda tx: ledger.signing.record(tx, tx.size, 1))
    with Ledger.open(path) as ledger:
        assert ledger.checkpoint(), "signing goes on in between"
        assert key(ledger).rotating == (last_step != "stage")
        ledger.record_checkpoint()
        if last_step == "stage":
            assert rotate_key(ledger).vkey == following.vkey, "what was left is used"
        assert ledger.vkey == following.vkey
        assert not key(ledger).rotating
        assert ledger.verify(3, ledger.checkpoint()).clean
        assert len(list((path.parent / "keys").glob("*.key"))) == 1


def test_a_ledger_in_memory_can_rotate_too() -> None:
    with Ledger.open(":memory:") as ledger:
        before = ledger.vkey
        assert rotate_key(ledger).vkey != before
        assert ledger.verify(3, ledger.checkpoint()).clean
