"""``--rounds`` for the tests that try every byte: given, all of them; otherwise a sample."""

import pytest


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int | None:
    """The number of rounds asked for, or None: a sample."""
    value: int | None = request.config.getoption("--rounds", default=None)
    return value
