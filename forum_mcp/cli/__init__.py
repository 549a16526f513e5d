"""The command line: one file per command group, listed in ``lazy_group.py``.

Invariants: only this room prints; a command that does not serve never imports ``mcp``; a ``ledger`` command loads no
settings; recorded text reaches a terminal escaped. Exit codes: 0 ok, 1 failed or findings, 2 usage, 3 cannot read,
4 waiting, 130 interrupted.

Where things are:

    how a command is found and ends     __main__ app lazy_group options given places ending terminal progress
    start here                          demo tour stage tampering init install clients doctor models
    work                                route submit runs in_forum following gates graphs
    the record                          ledger verdict reading trees receipts figures custody importing
    serving                             mcp serving serve daemon
    settings                            config
"""

import os
import sys
import time

from forum_mcp import __version__

__all__ = ["BEGAN", "HELP", "main"]

BEGAN = time.monotonic()
"""When the process began, nearly; seconds, monotonic. On a busy machine loading is a good part of a short command."""

HELP = os.path.join(os.path.dirname(__file__), "help.txt")  # noqa: PTH118, PTH120  pathlib costs as much as the rest
"""What ``forum-mcp --help`` prints at 80 columns, kept by a test: asking for help loads nothing."""


def main() -> None:
    """Run the command line and exit with its code; what needs little loads little."""
    words = sys.argv[1:]
    if words[:1] == ["help"]:
        words = sys.argv[1:] = [*words[1:], "--help"]
    if "_FORUM_MCP_COMPLETE" in os.environ:  # a shell asks what could come next
        _run()
    elif words in (["--help"], ["-h"], ["--version"], ["-V"]):
        _tell(words[0])
    elif words[:2] == ["ledger", "verify"]:
        _verify(words[2:])
    elif words == ["mcp"] or (not words and _is_spoken_to()):
        _serve()
    else:
        _run()


def _run() -> None:
    from forum_mcp.cli.ending import ending

    with ending():  # who is impatient interrupts while this loads
        from forum_mcp.cli.app import main as run

        run()


def _tell(word: str) -> None:
    from forum_mcp.cli.ending import ending

    with ending():
        if word in ("--version", "-V"):
            print(f"forum-mcp {__version__}")
            return
        with open(HELP, encoding="utf-8") as file:  # noqa: PTH123
            print(file.read(), end="")


def _is_spoken_to() -> bool:
    """Tell whether a program, and not a person, holds the other end of stdin."""
    stdin: object = sys.stdin  # None when the process was started without one
    return stdin is not None and not sys.stdin.closed and not sys.stdin.isatty()


def _serve() -> None:
    from forum_mcp.cli.ending import ending

    with ending():
        from forum_mcp.cli.serving import speak_mcp
        from forum_mcp.configs.flags import Flags

        sys.exit(speak_mcp(Flags()))


def _verify(words: list[str]) -> None:
    import atexit
    import gc

    gc.set_threshold(100_000)  # what is loaded is never garbage: looking through it is a tenth of the start,
    atexit.register(gc.freeze)  # and of the end
    from forum_mcp.cli.ending import ending

    with ending():
        from forum_mcp.cli.verdict import plain, verify_and_tell

        asked = plain(words)
        if asked is None:
            _run()
            return
        sys.exit(verify_and_tell(asked))
