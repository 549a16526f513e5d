"""Figures that were measured stand beside the command that measures them, and that command exists."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not {"reference", "tutorial"} & set(page.parts)  # those repeat what the program prints, and tests compare it
)
SHORT: Final = ("README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md")
"""Pages of many subjects: the command stands in the same paragraph or entry. Others have it anywhere."""

FIGURE: Final = re.compile(
    r"\d ?x\b|\b\d[\d.,]*(?: (?:ms|us|µs|microseconds|milliseconds|MB/s)\b| ?%| times (?:faster|slower|what|as|that))"
)
BOUND: Final = re.compile(r"(?:within|at most|at least|every|default|up to|after|<=|>=) $")
COMMAND: Final = re.compile(r"python -m (tests\.[\w.]+)")


def figures(text: str) -> list[str]:
    """Return the measured figures of a text: those outside of code that no word makes a limit."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`|https?://\S+", "", text, flags=re.MULTILINE | re.DOTALL)
    return [found[0] for found in FIGURE.finditer(prose) if not BOUND.search(prose[: found.start()][-12:])]


def parts(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.split(r"\n\s*\n|\n(?=- )", text) if page.name in SHORT else [text]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_figure_has_its_command(page: Path) -> None:
    for part in parts(page):
        found = figures(part)
        assert not found or COMMAND.search(part), f"{found} in: {part.strip()[:200]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_measuring_command_exists(page: Path) -> None:
    for name in COMMAND.findall(page.read_text(encoding="utf-8")):
        module = find_spec(name.rstrip("."))
        assert module is not None, name
        if module.submodule_search_locations is not None:
            assert find_spec(f"{name}.__main__") is not None, name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("it is 3.5x faster, and takes 20 ms", 2),
        ("about 9 times what a start takes", 1),
        ("noticed within 200 ms, default 5 %", 0),
        ("`--wait 3 ms` and\n```\n40 ms\n```\n", 0),
        ("20 times a second, 0x1f, SHA-256", 0),
    ],
)
def test_what_counts_as_a_figure(text: str, found: int) -> None:
    assert len(figures(text)) == found
