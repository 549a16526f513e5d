"""The stage every engine test plays on."""

from pathlib import Path

import pytest

from tests.engine.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A temporary ledger and a scripted cast."""
    return Stage(tmp_path / "ledger.db")
