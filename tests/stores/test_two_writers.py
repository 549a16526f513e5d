"""Two stores on one file, each with a head of its own in memory."""

from pathlib import Path

from forum_mcp.engine.ledger import Ledger
from forum_mcp.ledger.entry import Draft
from forum_mcp.stores.base import Stored, Transaction
from forum_mcp.stores.sqlite import SqliteStore


def add(transaction: Transaction) -> Stored:
    return transaction.append(Draft("a.b", "me"), run=None, at_us=1)


def test_stores_that_take_turns_extend_each_others_entries(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        one, two = SqliteStore.open(path), SqliteStore.open(path)
        for turn in (one, two, two, one, one, one, two, one, two):
            before = turn.size()
            assert turn.transact(add).entry.seq == before
            assert one.head()[:2] == two.head()[:2] == (before + 1, ledger.root())
        one.close()
        two.close()
        assert ledger.verify(level=3).clean
