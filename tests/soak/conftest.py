"""``--rounds N``: how often a test repeats what depends on chance. CI runs few, a full run is reported."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=None, help="rounds of each soak test (default: a few)")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int | None:
    """The number asked for, or None: the test's own few."""
    value: int | None = request.config.getoption("--rounds", default=None)
    return value
