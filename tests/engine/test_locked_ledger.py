"""Another process that holds the write lock and does not let go: works wait for it, and the program does not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.recorder import Recorder
from forum_mcp.errors import LedgerLocked
from forum_mcp.ledger.entry import Draft
from forum_mcp.stores.base import Transaction


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger that is whole in the end."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        yield ledger
        assert ledger.verify(level=3).clean


@pytest.fixture
def other(ledger: Ledger) -> Iterator[sqlite3.Connection]:
    """The connection of another process, which holds the write lock."""
    assert ledger.store.path is not None
    with closing(sqlite3.connect(ledger.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


async def test_works_wait_in_their_order_while_the_program_goes_on(ledger: Ledger, other: sqlite3.Connection) -> None:
    recorder, recorded = Recorder(ledger.store), list[str]()

    async def record(name: str) -> None:
        def work(transaction: Transaction) -> int:
            return transaction.append(Draft(f"a.{name}", "me"), run=None, at_us=1).entry.seq

        await recorder.record(work)
        recorded.append(name)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for name in "bcd":
                group.start_soon(record, name)
            await anyio.wait_all_tasks_blocked()  # a recorder that waited inline would hold this up
            assert ledger.show().entries[-1].kind == "ledger.opened"
            group.start_soon(record, "e")
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0.01) as gone:
                await record("f")
            assert gone.cancelled_caught
            other.execute("ROLLBACK")
    assert recorded == list("bcde")
    assert [entry.kind for entry in ledger.show().entries] == ["ledger.opened", *(f"a.{name}" for name in "bcdef")]


async def test_who_waited_for_long_is_told_so_and_nothing_was_recorded(
    ledger: Ledger, other: sqlite3.Connection
) -> None:
    with anyio.fail_after(20), pytest.raises(LedgerLocked, match="locked by another process for 0 s"):
        await Recorder(ledger.store, locked_s=0.0).record(lambda _: pytest.fail("it was run"))
    other.execute("ROLLBACK")
    assert len(ledger.show().entries) == 1


async def test_who_waits_is_refused_once_the_program_ends(ledger: Ledger, other: sqlite3.Connection) -> None:
    recorder = Recorder(ledger.store)

    async def record() -> None:
        with pytest.raises(LedgerLocked):
            await recorder.record(lambda _: pytest.fail("it was run"))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(record)
            group.start_soon(record)
            await anyio.wait_all_tasks_blocked()
            recorder.give_up()
    other.execute("ROLLBACK")
