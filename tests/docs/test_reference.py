"""docs/reference/cli.md is what the command line says of itself; UPDATE_SNAPSHOTS=1 writes it anew."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.cli.commands import forum

REFERENCE: Final = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
HEAD: Final = """# Command line

Generated from the program (`UPDATE_SNAPSHOTS=1 python -m pytest tests/docs`) and checked by a test.

Options of the settings and `--ledger` may also stand before the command. Results go to stdout, progress and remarks to
stderr; the [exit code](exit-codes.md) says how it ended. In text from models, people and commands, control and
bidirectional characters are escaped; `--json` is ASCII.
"""


def commands(*above: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each command with its help, groups before their members."""
    text = forum(*above, "--help").out
    yield above, text
    listed = re.search(r"^Commands:\n((?:  .*\n?)+)", text, re.MULTILINE)
    for line in listed[1].splitlines() if listed else ():
        if name := re.match(r"  (\S+)", line):
            yield from commands(*above, name[1])


def test_the_reference_names_every_command_and_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    parts = [HEAD]
    for path, text in commands():
        title = " ".join(("forum-mcp", *path))
        body = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## `{title}`\n\n```text\n{body}\n```\n")
    made = "\n".join(parts)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        REFERENCE.write_text(made, encoding="utf-8")
    assert REFERENCE.read_text(encoding="utf-8") == made, "run: UPDATE_SNAPSHOTS=1 python -m pytest tests/docs"
