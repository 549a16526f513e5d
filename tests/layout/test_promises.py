"""A promise without a test, or a test of a promise nobody makes, is a fault."""

import re
from pathlib import Path

import pytest

from tests.promises import PROMISES

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"mark\.promise\(([^)]*)\)")


def carried() -> set[str]:
    """Return the ids that tests carry."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for marks in MARK.findall(path.read_text(encoding="utf-8")):
            found |= set(re.findall(r'"([^"]+)"', marks))
    return found - {"id"}


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_stands_in_the_readme_and_a_test_shows_it(promise: str) -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert " ".join(PROMISES[promise].split()) in readme
    assert promise in carried()


def test_no_test_shows_a_promise_that_nobody_makes() -> None:
    assert carried() <= set(PROMISES)
