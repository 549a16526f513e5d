"""The application: what stands before a command, and how a run of it ends."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated, Final, NoReturn, cast

import typer

from forum_mcp import __version__
from forum_mcp.cli.lazily import RootGroup
from forum_mcp.cli.options import with_flags
from forum_mcp.cli.terminal import note
from forum_mcp.configs.flags import Flags
from forum_mcp.errors import ForumError

__all__ = ["app", "end", "main"]

_INTERRUPTED: Final = 130

app = typer.Typer(
    name="forum-mcp",
    cls=RootGroup,
    help="A team for your coding assistant that can be held to account: each step is an entry of a ledger that "
    "anyone can verify. Without a command it speaks MCP over stdio when stdin is not a terminal.",
    add_completion=False,
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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
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
    from forum_mcp.cli.serve import speak_mcp

    speak_mcp(flags, read_only=read_only)


def main() -> None:
    """Run the command line and exit with its code."""
    _have_streams()
    try:
        try:
            app(prog_name="forum-mcp")
        finally:
            sys.stdout.flush()
    except BaseExceptionGroup as group:
        end(_only(group))
    except (ForumError, KeyboardInterrupt, OSError) as error:
        end(error)


def _have_streams() -> None:
    """Give a process that was started without stdout or stderr somewhere to write, and write what it cannot encode."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error inside nested groups, or the group: a task group wraps what its body raised."""
    if len(group.exceptions) != 1:
        return group
    inner = group.exceptions[0]
    return _only(cast("BaseExceptionGroup[BaseException]", inner)) if isinstance(inner, BaseExceptionGroup) else inner


def end(error: BaseException) -> NoReturn:
    """Say what went wrong in one line, and exit with its code.

    Raises:
        BaseException: the error itself, when it is a bug.
    """
    if isinstance(error, ForumError):
        note(f"forum-mcp: {error}")
        sys.exit(error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    if isinstance(error, OSError):
        # What is left in the buffer has nowhere to go; the interpreter's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            what = f"{error.filename}: " if error.filename else ""
            note(f"forum-mcp: reading or writing failed; {what}{error.strerror or error}; mend that and try again")
        sys.exit(1)
    raise error
