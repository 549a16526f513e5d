"""What the comparison page says of others is seen again, where they are installed."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

import pytest

from tests.bench.beside import FACTS

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "comparison.md"
SEEN: Final = {
    "forum-engine": (
        "licence LicenseRef-FSL-1.1-MIT, needs nothing",
        "exit 1, submit failed: could not parse JSON",
        'gone: exit 0, {"chain": true, "deep": true}',
    ),
    "langgraph": ("licence MIT", "a cycle of 3 rounds stopped before ('end',)", "went on to its end: next ()"),
}


@pytest.mark.parametrize("name", FACTS)
def test_what_is_said_of_another_program_is_so(name: str) -> None:
    try:
        version = metadata(name)["Version"]
    except PackageNotFoundError:
        pytest.skip(f"{name} is in the group bench")
    facts = "\n".join(FACTS[name]())
    for words in SEEN[name]:
        assert words in facts
    (said,) = re.findall(rf"{name}[`\]][^|]*? (\d+\.\d+\.\d+)", PAGE.read_text("utf-8"), re.IGNORECASE)
    assert said == version, "the page names the version that was tried"
