"""The store suite on a ledger in memory."""

from collections.abc import Iterator

import pytest

from forum_mcp.ledger.entry import LedgerId
from forum_mcp.stores.base import Store
from forum_mcp.stores.sqlite import SqliteStore
from tests.contract.store_suite import *  # noqa: F403
from tests.contract.store_suite import GENESIS


@pytest.fixture
def store() -> Iterator[Store]:
    store = SqliteStore.memory(LedgerId("e" * 32), GENESIS)
    yield store
    store.close()
