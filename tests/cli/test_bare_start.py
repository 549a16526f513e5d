"""What is started often loads little: the server before it answers, ``ledger verify`` for as long as it runs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ASK: Final[dict[str, Any]] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "server/discover",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
LOADED: Final = """
import atexit, sys
atexit.register(lambda: print(" ".join(sys.modules), file=sys.stderr))
from forum_mcp.cli import main
sys.argv = ["forum-mcp", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("words", [[], ["mcp"]])
def test_a_handshake_loads_neither_options_nor_engine_nor_ledger(words: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        input=json.dumps(ASK) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(ended.stdout)["result"]["supportedVersions"] == ["2026-07-28"]
    loaded = ended.stderr.split()
    assert "mcp" in loaded
    assert not {"typer", "sqlite3", "forum_mcp.engine.orchestrator"} & set(loaded)
    for room in ("ledger", "executors", "rules"):
        assert not [name for name in loaded if name.startswith(f"forum_mcp.{room}.")], room


NO_NEED_OF: Final = {
    "typer",
    "platformdirs",
    "pydantic",
    "anyio",
    "tomllib",
    "difflib",
    "tempfile",
    "asyncio",
    "logging",
}
NO_NEED_OF_OURS: Final = {
    "engine.receipts", "engine.exports", "engine.filtering", "engine.replay", "ledger.growth", "ledger.receipt",
    "ledger.export", "stores.export_file", "configs.settings", "configs.trust",
}  # fmt: skip
OURS_AT_MOST: Final = 56
"""Modules of ours; each costs about a hundredth of a bare start. More are a reason to look, not to raise this."""


def test_verifying_a_ledger_loads_what_verifying_needs_and_no_more(tmp_path: Path) -> None:
    ledger = str(tmp_path / "l.db")
    submit = ["submit", "write the docs", "--cmd", "echo done", "--roles", "rules", "--ledger", ledger, "--quiet"]
    subprocess.run([sys.executable, "-c", LOADED, *submit], capture_output=True, timeout=60, check=True)
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, "ledger", "verify", "--ledger", ledger],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.startswith("clean: ")
    loaded = set(ended.stderr.split())
    ours = {name.removeprefix("forum_mcp.") for name in loaded if name.startswith("forum_mcp.")}
    assert "engine.verifying" in ours
    assert not loaded & NO_NEED_OF
    assert not ours & NO_NEED_OF_OURS
    rooms = ("rules.", "roles.", "executors.", "server.", "tools.")
    assert not [name for name in ours - {"roles.fence"} if name.startswith(rooms)]
    assert len(ours) <= OURS_AT_MOST, sorted(ours)
