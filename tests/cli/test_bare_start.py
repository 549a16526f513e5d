"""What a client starts, ``forum-mcp`` or ``forum-mcp mcp``, loads no library of options before it answers."""

import json
import subprocess
import sys
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
