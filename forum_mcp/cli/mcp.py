"""``forum-mcp mcp``: speak MCP over stdio."""

import typer

from forum_mcp.cli.options import ReadOnly, Tools, with_flags
from forum_mcp.cli.serving import speak_mcp
from forum_mcp.configs.flags import Flags

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mcp")(with_flags(mcp))


def mcp(
    ctx: typer.Context,
    flags: Flags,
    tools: Tools = "all",
    read_only: ReadOnly = False,
) -> None:
    """Speak MCP over stdio until stdin ends; this is what a client starts."""
    del ctx
    raise typer.Exit(speak_mcp(flags, tools=tools, read_only=read_only))
