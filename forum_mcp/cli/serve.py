"""``forum-mcp mcp``: speak MCP over stdio."""

import typer

from forum_mcp.cli.options import with_flags
from forum_mcp.configs.flags import Flags

__all__ = ["register", "speak_mcp"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mcp")(with_flags(mcp))


def mcp(ctx: typer.Context, flags: Flags) -> None:
    """Speak MCP over stdio until stdin ends; this is what a client starts."""
    del ctx
    speak_mcp(flags)


def speak_mcp(flags: Flags) -> None:
    """Serve this process's stdin and stdout."""
    from forum_mcp.configs.load import load
    from forum_mcp.server.stdio import serve

    serve(load(flags, serving=True))
