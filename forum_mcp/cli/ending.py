"""How a run of the command line ends: streams that may be missing, and every expected error as one line and a code."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final, NoReturn, cast

from forum_mcp.cli.terminal import note
from forum_mcp.errors import ForumError

__all__ = ["ending"]

_INTERRUPTED: Final = 130


@contextmanager
def ending() -> "Generator[None]":
    """Run the block as a whole program: what it raises becomes a line on stderr and an exit code."""
    _have_streams()
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BaseExceptionGroup as group:
        _end(_only(group))
    except (ForumError, KeyboardInterrupt, OSError) as error:
        _end(error)


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


def _end(error: BaseException) -> NoReturn:
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
