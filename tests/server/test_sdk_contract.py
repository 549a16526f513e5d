"""What ``server/sdk.py`` and the rest of the room take from the SDK, private parts included."""

# pyright: reportPrivateUsage=false

import inspect
import subprocess
import sys
from pathlib import Path

from mcp.server import MCPServer
from mcp.server.lowlevel import Server

from forum_mcp.server import sdk

LOADED = """
import sys
import mcp.server, mcp.server.lowlevel.helper_types, mcp_types.version
before = set(sys.modules)
import forum_mcp.server.stdio
from forum_mcp.server.app import build_server
build_server(lambda: None)
print(" ".join(sorted(set(sys.modules) - before)))
"""


def test_the_private_hooks_are_where_we_use_them() -> None:
    parameters = inspect.signature(MCPServer._handle_list_resources).parameters
    assert list(parameters) == ["self", "ctx", "params"]
    assert list(inspect.signature(Server.run).parameters)[:4] == [
        "self",
        "read_stream",
        "write_stream",
        "initialization_options",
    ]
    assert callable(Server.create_initialization_options)
    assert isinstance(MCPServer("x")._lowlevel_server, Server)
    assert sdk.PagingServer._handle_list_resources is not MCPServer._handle_list_resources


def test_private_names_of_the_sdk_appear_in_one_module_only() -> None:
    room = Path(sdk.__file__).parent
    for path in room.glob("*.py"):
        if path.name != "sdk.py":
            text = path.read_text(encoding="utf-8")
            assert "_lowlevel_server" not in text
            assert "_handle_list" not in text


def test_answering_the_handshake_loads_neither_engine_nor_ledger_nor_executors() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout.split()
    names = {"forum_mcp.configs", "forum_mcp.configs.names"}  # words of the definitions, no settings
    loaded = [name for name in loaded if name not in names]
    for room in ("ledger", "executors", "stores", "rules", "configs"):
        assert not [name for name in loaded if name.startswith(f"forum_mcp.{room}")], room
    assert "forum_mcp.engine.orchestrator" not in loaded
    assert "sqlite3" not in loaded
