"""The application: what stands before a command."""

import sys
from typing import Annotated

import typer

from forum_mcp import __version__
from forum_mcp.cli.ending import ending
from forum_mcp.cli.lazy_group import RootGroup
from forum_mcp.cli.options import with_flags
from forum_mcp.configs.flags import Flags

__all__ = ["app", "main"]

app = typer.Typer(
    name="forum-mcp",
    cls=RootGroup,
    help="A team for your coding assistant that can be held to account: each step is an entry of a ledger that "
    "anyone can verify. Without a command it is the MCP server (stdio), as clients start it; at a terminal, this help. "
    "New here: forum-mcp demo, then forum-mcp init and forum-mcp install.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"forum-mcp {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
@with_flags
def before(
    ctx: typer.Context,
    flags: Flags,
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    tools: Annotated[str, typer.Option("--tools", metavar="SET", help="Without a command: as for mcp.")] = "all",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Without a command: serve no tool that changes the record.")
    ] = False,
) -> None:
    """A team for your coding assistant that can be held to account."""
    ctx.obj = flags
    if ctx.invoked_subcommand is not None:
        return
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        print(ctx.get_help())
        return
    from forum_mcp.cli.serving import speak_mcp

    raise typer.Exit(speak_mcp(flags, tools=tools, read_only=read_only))


def main() -> None:
    """Run the command line and exit with its code."""
    with ending():
        app(prog_name="forum-mcp")
