"""Serving over stdio, also when the configuration is broken: then every call says what to mend.

No library of options is needed for that, so none is loaded: what comes before the handshake costs every start.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from forum_mcp.cli.terminal import note
from forum_mcp.configs.flags import Flags
from forum_mcp.errors import ConfigRefused

if TYPE_CHECKING:
    from forum_mcp.configs.settings import Settings
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["ServerStart", "speak_mcp"]


def speak_mcp(flags: Flags, *, tools: str = "all", read_only: bool = False) -> int:
    """Serve this process's stdin and stdout; return the exit code.

    A client shows a server that ends at its start as missing, and its stderr to nobody. So a refused configuration
    is served too: tools are listed, each call answers with the refusal, and once it is mended the next call works.
    """
    from forum_mcp.configs.paths import MEMORY
    from forum_mcp.server.stdio import serve_forum
    from forum_mcp.stores.recognition import is_export

    start = ServerStart(flags)
    if start.settings is not None and start.settings.ledger not in (None, MEMORY):
        read_only = read_only or is_export(Path(str(start.settings.ledger)))
    served = start.served(tools, read_only=read_only)
    return serve_forum(start.open_forum, tools=served, read_only=read_only)


class ServerStart:
    """What a server begins with: settings, or what is wrong with them."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._for_good: ConfigRefused | None = None
        self.settings: Settings | None = None
        try:
            self.settings = self._load()
        except ConfigRefused as error:
            _say(error)

    def served(self, tools: str, *, read_only: bool) -> str:
        """Return the toolset to list: the one asked for, or all with every call refused when there is no such."""
        from forum_mcp.tools import select

        try:
            select(tools, read_only=read_only)
        except ConfigRefused as error:
            _say(error)
            self._for_good = error
            return "all"
        return tools

    def open_forum(self) -> "AbstractAsyncContextManager[Orchestrator]":
        """Open the forum; settings that were refused at the start are read again.

        Raises:
            ConfigRefused: they still are, or the flag --tools is, which no later call can find mended.
        """
        from forum_mcp.engine.orchestrator import Orchestrator

        if self._for_good is not None:
            raise self._for_good
        return Orchestrator.open(self.settings or self._load())

    def _load(self) -> "Settings":
        from forum_mcp.configs.load import load

        return load(self._flags)


def _say(error: ConfigRefused) -> None:
    note(f"forum-mcp: {error}; serving all the same, each call says so")
