"""A recorded ledger for every test of reading."""

from pathlib import Path

import pytest

from tests.reading.recorded import record


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with two runs."""
    path = tmp_path / "ledger.db"
    record(path, runs=2)
    return path
