"""What ``server/sdk.py`` and the rest of the room take from the SDK, private parts included."""

# pyright: reportPrivateUsage=false

import inspect
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession

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
    for name in ("_handle_list_resources", "_handle_read_resource"):
        assert list(inspect.signature(getattr(MCPServer, name)).parameters) == ["self", "ctx", "params"]
        assert getattr(sdk.OpenServer, name) is not getattr(MCPServer, name)
    assert list(inspect.signature(Server.run).parameters)[:4] == [
        "self",
        "read_stream",
        "write_stream",
        "initialization_options",
    ]
    assert list(inspect.signature(Server.create_initialization_options).parameters)[1] == "notification_options"
    assert list(inspect.signature(Server.add_request_handler).parameters)[1:] == ["method", "params_type", "handler"]
    assert isinstance(MCPServer("x")._lowlevel_server, Server)
    outbound: Any = object()
    session = ServerSession(outbound, cast("Any", SimpleNamespace(protocol_version="2026-07-28")))
    assert sdk.connection_of(session) is session._connection
    assert session._request_outbound is outbound


def test_each_private_handler_is_the_one_that_serves() -> None:
    low = sdk.OpenServer("x")._lowlevel_server
    for method, name in (
        ("resources/list", "_handle_list_resources"),
        ("resources/read", "_handle_read_resource"),
        ("completion/complete", "_handle_complete"),
        ("resources/subscribe", "_handle_subscribe"),
        ("resources/unsubscribe", "_handle_unsubscribe"),
    ):
        entry = low.get_request_handler(method)
        assert entry is not None
        assert getattr(entry.handler, "__name__", "") == name
    capabilities = low.create_initialization_options().capabilities
    assert capabilities.resources is not None
    assert (capabilities.resources.subscribe, capabilities.resources.list_changed) == (True, True)


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
