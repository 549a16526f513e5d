"""The clients we can register with: where each keeps its servers, and how it writes one.

A client is one row. Paths are those of Linux, macOS and Windows; what a client reads beyond them is its own affair.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from forum_mcp.errors import ConfigRefused

__all__ = ["CLIENTS", "Client", "Launch", "client_named"]


@dataclass(frozen=True, slots=True)
class Launch:
    """How a client starts the server."""

    command: str
    args: list[str] = field(default_factory=list[str])
    env: dict[str, str] = field(default_factory=dict[str, str])

    def plain(self) -> dict[str, object]:
        """Return the form most clients share."""
        found: dict[str, object] = {"command": self.command, "args": list(self.args)}
        return found | ({"env": dict(self.env)} if self.env else {})


@dataclass(frozen=True, slots=True)
class Client:
    """One program that starts MCP servers.

    Attributes:
        name: what a person types.
        title: what it calls itself.
        user: the file of the user's servers.
        project: the file of a project's servers, relative to the project, or None where there is none.
        table: the keys that lead to the table of servers.
        write: a server as this client writes it.
        afterwards: what the person has to do for the client to notice.
        language: how the file is written; JSON may have comments.
    """

    name: str
    title: str
    user: Callable[[], Path]
    project: str | None
    table: tuple[str, ...]
    write: Callable[[Launch], dict[str, object]]
    afterwards: str
    language: Literal["json", "toml"] = "json"


def client_named(name: str) -> Client:
    """Return the client of that name.

    Raises:
        ConfigRefused: there is none; says which there are.
    """
    for client in CLIENTS:
        if client.name == name:
            return client
    raise ConfigRefused(
        f"no client is called {name[:80]!r}; expected one of {', '.join(each.name for each in CLIENTS)}; "
        "for another one: forum-mcp install claude-desktop --print"
    )


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigRefused("no home directory is known; set HOME, or use --project or --print") from error


def _support() -> Path:
    """Return where desktop programs keep their configuration."""
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or _home() / "AppData" / "Roaming")
    return _xdg()


def _xdg() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config")


def _claude_code() -> Path:
    named = os.environ.get("CLAUDE_CONFIG_DIR")
    return (Path(named) if named else _home()) / ".claude.json"


def _codex() -> Path:
    named = os.environ.get("CODEX_HOME")
    return (Path(named) if named else _home() / ".codex") / "config.toml"


def _opencode() -> Path:
    directory = _xdg() / "opencode"
    commented = directory / "opencode.jsonc"
    return commented if commented.exists() else directory / "opencode.json"


def _zed() -> Path:
    return _support() / "Zed" / "settings.json" if sys.platform == "win32" else _xdg() / "zed" / "settings.json"


def _typed(launch: Launch) -> dict[str, object]:
    return {"type": "stdio", **launch.plain()}


def _codex_server(launch: Launch) -> dict[str, object]:
    # Codex begins its turn without a server that is not there after 10 s, and says nothing.
    return {**launch.plain(), "startup_timeout_sec": 30}


def _opencode_server(launch: Launch) -> dict[str, object]:
    found: dict[str, object] = {"type": "local", "command": [launch.command, *launch.args], "enabled": True}
    return found | ({"environment": dict(launch.env)} if launch.env else {})


def _zed_server(launch: Launch) -> dict[str, object]:
    return {"source": "custom", **launch.plain()}


_SERVERS: Final = ("mcpServers",)
_RESTART: Final = "quit it entirely and start it again"

CLIENTS: Final[tuple[Client, ...]] = (
    Client(
        "claude-desktop",
        "Claude Desktop",
        lambda: _support() / "Claude" / "claude_desktop_config.json",
        None,
        _SERVERS,
        Launch.plain,
        _RESTART,
    ),
    Client(
        "claude-code", "Claude Code", _claude_code, ".mcp.json", _SERVERS, _typed, "start a new session; /mcp lists it"
    ),
    Client(
        "cursor",
        "Cursor",
        lambda: _home() / ".cursor" / "mcp.json",
        ".cursor/mcp.json",
        _SERVERS,
        Launch.plain,
        "enable it under Settings, MCP",
    ),
    Client(
        "vscode",
        "VS Code",
        lambda: _support() / "Code" / "User" / "mcp.json",
        ".vscode/mcp.json",
        ("servers",),
        _typed,
        "run 'MCP: List Servers' and start it",
    ),
    Client(
        "codex",
        "Codex",
        _codex,
        ".codex/config.toml",
        ("mcp_servers",),
        _codex_server,
        "start a new session; /mcp lists it",
        "toml",
    ),
    Client(
        "gemini-cli",
        "Gemini CLI",
        lambda: _home() / ".gemini" / "settings.json",
        ".gemini/settings.json",
        _SERVERS,
        Launch.plain,
        "start a new session in a folder it trusts; /mcp lists it",
    ),
    Client("opencode", "opencode", _opencode, "opencode.json", ("mcp",), _opencode_server, "start a new session"),
    Client(
        "zed", "Zed", _zed, ".zed/settings.json", ("context_servers",), _zed_server, "nothing, Zed notices it at once"
    ),
    Client(
        "windsurf",
        "Windsurf",
        lambda: _home() / ".codeium" / "windsurf" / "mcp_config.json",
        None,
        _SERVERS,
        Launch.plain,
        "press refresh in the list of MCP servers",
    ),
    Client(
        "jetbrains",
        "JetBrains (Junie)",
        lambda: _home() / ".junie" / "mcp" / "mcp.json",
        ".junie/mcp/mcp.json",
        _SERVERS,
        Launch.plain,
        "for AI Assistant, paste what --print says under Settings, Tools, AI Assistant, MCP",
    ),
)
