"""docs/reference/exit-codes.md has every code of the tree of errors; UPDATE_SNAPSHOTS=1 writes its table anew."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from forum_mcp.errors import ForumError
from tests.cli.commands import COMMAND, forum

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"
MARK: Final = "## The codes of refusals\n"


def classes(parent: type[ForumError] = ForumError) -> Iterator[type[ForumError]]:
    """Yield the classes of the tree below another, as it is drawn."""
    for child in parent.__subclasses__():
        yield child
        yield from classes(child)


def table() -> str:
    """Return the part of the page that is made."""
    rows = [
        f"| `{each.code}` | {each.exit_code} | {(each.__doc__ or '').splitlines()[0].rstrip('.')} |"
        for each in classes()
        if each.__module__ == "forum_mcp.errors"
    ]
    return "\n".join(["", "| code | exit | what was refused, and why |", "|---|---|---|", *rows, ""])


def test_every_refusal_has_a_code_of_its_own() -> None:
    codes = [each.code for each in classes() if each.__module__ == "forum_mcp.errors"]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_the_page_has_every_code() -> None:
    words = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    made = words + MARK + table()
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made, "run: UPDATE_SNAPSHOTS=1 python -m pytest tests/docs"
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", words, re.MULTILINE)}
    assert {each.exit_code for each in classes()} <= listed
    assert listed == {0, 1, 2, 3, 4, 130, 143}


CMD: Final = ("--cmd", "echo done", "--roles", "rules", "--quiet")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, ("submit", "write docs", *CMD)),
        (1, ("submit", "write docs", "--cmd", "false", "--roles", "rules", "--quiet")),
        (2, ("submit", "write docs", "--no-such-flag")),
        (2, ("submit", "", *CMD)),
        (2, ("ledger", "show", "--since")),
        (2, ("run", "show", "0" * 32)),
        (3, ("ledger", "verify")),
        (4, ("submit", "write docs", "--approve", "run", *CMD)),
    ],
)
def test_each_code_is_met(code: int, words: tuple[str, ...], tmp_path: Path) -> None:
    if words[0] == "run":
        assert forum("submit", "write docs", *CMD, cwd=tmp_path).code == 0
    assert forum(*words, cwd=tmp_path).code == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_has_a_code_and_the_run_can_be_resumed(number: int, code: int, tmp_path: Path) -> None:
    words = ("submit", "write docs", "--single", "--cmd", "sleep 60", "--roles", "rules")
    child = subprocess.Popen([*COMMAND, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    with child.stderr:
        for line in child.stderr:
            if "call.started" in line:
                break
        child.send_signal(number)
        assert child.wait(60) == code
    assert "interrupted" in forum("run", "list", cwd=tmp_path).out
