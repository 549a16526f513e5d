"""Each command that takes ``--json`` prints one JSON object on one line of stdout, and nothing else there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.bench.peer import missing, open_peer
from tests.cli.commands import forum
from tests.docs.test_reference import commands

ECHO: Final = ("--cmd", "echo done", "--roles", "rules")
BARE: Final[dict[tuple[str, ...], str]] = {
    (): "serves, or prints its help",
    ("mcp",): "speaks MCP on stdout",
    ("ledger", "get"): "writes an entry's own bytes",
    ("ledger", "checkpoint"): "writes a signed note",
    ("ledger", "export"): "writes JSON Lines that are verified as they are",
    ("ledger", "receipt"): "writes JSON Lines that are verified as they are",
    ("ledger", "prove"): "writes a C2SP proof",
    ("config", "schema"): "is JSON",
    ("config", "reference"): "is TOML",
    ("demo",): "is for reading along",
    ("run",): "is a group",
    ("gate",): "is a group",
    ("ledger",): "is a group",
    ("ledger", "key"): "is a group",
    ("models",): "is a group",
    ("config",): "is a group",
}
"""Commands without ``--json``, and why."""


class Place:
    """A directory with a ledger: a run that is done, one that waits, and a gate."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.run = self._submit("1. write the docs 2. build the css")
        self.waiting = self._submit("write more docs", "--approve", "run", code=4)
        listed = forum("gate", "list", "--json", cwd=directory).json()
        self.gate = str(listed["gates"][0]["gate"])  # type: ignore[index]

    def _submit(self, *words: str, code: int = 0) -> str:
        done = forum("submit", *words, *ECHO, "--json", cwd=self.directory)
        assert done.code == code, done
        return str(done.json()["run_id"])

    def kept(self) -> str:
        """Write a checkpoint to a file; return its name."""
        (self.directory / "kept.txt").write_bytes(forum("ledger", "checkpoint", cwd=self.directory).raw)
        return "kept.txt"

    def backup(self) -> str:
        """Write a backup; return its name."""
        assert forum("ledger", "backup", "backup.db", cwd=self.directory).code == 0
        return "backup.db"

    def theirs(self) -> str:
        """Have the peer write a ledger; return its name."""
        if missing():
            pytest.skip("forum-engine is in the group peer")
        ledger, storage = open_peer("file", self.directory / "theirs")
        ledger.append(actor="worker", kind="task", payload={"request": "build it"})
        storage.sync()
        return "theirs"

    def configured(self) -> list[str]:
        """Write a project's configuration; it is found, nothing names it."""
        (self.directory / ".forum").mkdir()
        (self.directory / ".forum" / "config.toml").write_text("max_parallel = 2")
        return []


ASKED: Final[dict[tuple[str, ...], tuple[Callable[[Place], list[str]], int]]] = {
    ("serve",): (lambda place: ["--status"], 0),
    ("route",): (lambda place: ["build the database schema"], 0),
    ("plan",): (lambda place: ["1. write the docs 2. build the css", *ECHO], 0),
    ("submit",): (lambda place: ["write the docs", *ECHO], 0),
    ("run", "list"): (lambda place: [], 0),
    ("run", "show"): (lambda place: [place.run], 0),
    ("run", "cancel"): (lambda place: [place.waiting], 0),
    ("run", "resume"): (lambda place: [place.waiting, *ECHO], 4),
    ("run", "fork"): (lambda place: [place.run, "--request", "write other docs", *ECHO], 0),
    ("gate", "list"): (lambda place: [], 0),
    ("gate", "approve"): (lambda place: [place.gate], 0),
    ("gate", "reject"): (lambda place: [place.gate], 0),
    ("ledger", "verify"): (lambda place: [], 0),
    ("ledger", "replay"): (lambda place: [], 0),
    ("ledger", "show"): (lambda place: [], 0),
    ("ledger", "trace"): (lambda place: ["5"], 0),
    ("ledger", "summary"): (lambda place: [], 0),
    ("ledger", "compare"): (lambda place: [place.run, place.waiting], 0),
    ("ledger", "import"): (lambda place: [place.theirs()], 0),
    ("ledger", "key", "show"): (lambda place: [], 0),
    ("ledger", "key", "rotate"): (lambda place: [], 0),
    ("ledger", "accept-rollback"): (lambda place: ["--reason", "a test"], 2),
    ("ledger", "redact"): (lambda place: ["--run", place.run, "--reason", "a test"], 0),
    ("ledger", "prune"): (lambda place: ["--older-than", "90d"], 0),
    ("ledger", "backup"): (lambda place: ["copy.db"], 0),
    ("ledger", "restore"): (lambda place: [place.backup(), "--to", "restored.db"], 0),
    ("ledger", "cosign"): (lambda place: [place.kept()], 2),
    ("ledger", "witnesses"): (lambda place: [], 0),
    ("ledger", "anchor"): (lambda place: ["--file", "anchor.txt"], 0),
    ("models", "detect"): (lambda place: [], 0),
    ("init",): (lambda place: [], 0),
    ("install",): (lambda place: ["codex"], 0),
    ("uninstall",): (lambda place: ["codex"], 0),
    ("doctor",): (lambda place: ["--seconds", "3600"], 0),  # from the start of the process, which is the tests'
    ("config", "show"): (lambda place: [], 0),
    ("config", "check"): (lambda place: [], 0),
    ("config", "paths"): (lambda place: [], 0),
    ("trust",): (lambda place: place.configured(), 0),
}
"""Command -> what it is asked, and its exit code; where that is a refusal, stdout holds nothing."""


def test_every_command_is_asked_or_has_a_reason() -> None:
    told = {path: "--json" in text for path, text in commands()}
    assert {path for path, has in told.items() if has} == set(ASKED)
    assert {path for path, has in told.items() if not has} == set(BARE)


@pytest.mark.parametrize("path", ASKED, ids=" ".join)
def test_one_object_on_one_line_and_nothing_else(path: tuple[str, ...], tmp_path: Path) -> None:
    words, code = ASKED[path]
    place = Place(tmp_path)
    done = forum(*path, *words(place), "--json", cwd=tmp_path)
    assert done.code == code, done.out + done.err
    if code == 2:
        assert done.raw == b""
        assert done.err.count("\n") == 1
        return
    assert done.raw.endswith(b"\n")
    assert done.raw.count(b"\n") == 1
    assert done.raw.isascii()
    assert isinstance(json.loads(done.raw), dict)
