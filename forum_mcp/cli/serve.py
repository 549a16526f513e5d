"""``forum-mcp mcp``: speak MCP over stdio."""

from pathlib import Path
from typing import Annotated

import typer

from forum_mcp.cli.options import with_flags
from forum_mcp.configs.flags import Flags

__all__ = ["register", "speak_mcp"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("mcp")(with_flags(mcp))


def mcp(
    ctx: typer.Context,
    flags: Flags,
    tools: Annotated[
        str, typer.Option("--tools", metavar="SET", help="Tools to serve: all, core, read-only, or names with commas.")
    ] = "all",
    read_only: Annotated[bool, typer.Option("--read-only", help="No tool that changes the record.")] = False,
) -> None:
    """Speak MCP over stdio until stdin ends; this is what a client starts."""
    del ctx
    speak_mcp(flags, tools=tools, read_only=read_only)


def speak_mcp(flags: Flags, *, tools: str = "all", read_only: bool = False) -> None:
    """Serve this process's stdin and stdout, and exit with the server's code.

    Raises:
        ConfigRefused: a setting or the set of tools is refused.
    """
    from forum_mcp.configs.load import load
    from forum_mcp.configs.paths import MEMORY
    from forum_mcp.server.stdio import serve
    from forum_mcp.stores.export_file import is_export

    settings = load(flags, serving=True)
    if settings.ledger is not None and settings.ledger != MEMORY:
        read_only = read_only or is_export(Path(settings.ledger))
    raise typer.Exit(serve(settings, tools=tools, read_only=read_only))
