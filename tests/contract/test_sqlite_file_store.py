"""The store suite on an SQLite file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forum_mcp.ledger.entry import LedgerId
from forum_mcp.stores.base import Store
from forum_mcp.stores.sqlite import SqliteStore
from tests.contract.store_suite import *  # noqa: F403
from tests.contract.store_suite import GENESIS


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = SqliteStore.create(tmp_path / "ledger.db", LedgerId("f" * 32), GENESIS)
    assert store is not None
    yield store
    store.close()
