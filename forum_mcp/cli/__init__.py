"""The command line: one file per command group, listed in ``lazily.py``.

Invariants: only this room prints; a command that does not serve never imports ``mcp``; a ``ledger`` command loads no
settings; recorded text reaches a terminal escaped. Exit codes: 0 ok, 1 failed or findings, 2 usage, 3 cannot read,
4 waiting, 130 interrupted.
"""

import os
import sys

from forum_mcp import __version__

__all__ = ["HELP", "main"]

HELP = os.path.join(os.path.dirname(__file__), "help.txt")  # noqa: PTH118, PTH120  pathlib costs as much as the rest
"""What ``forum-mcp --help`` prints at 80 columns, kept by a test: asking for help loads nothing."""


def main() -> None:
    """Run the command line and exit with its code."""
    text = _at_hand(sys.argv[1:])
    if text is None or sys.stdout is None:
        from forum_mcp.cli.app import main as run

        run()
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        from forum_mcp.cli.app import end

        end(error)


def _at_hand(words: list[str]) -> str | None:
    """Return the answer to a question that needs no command, or None."""
    if words == ["--version"]:
        return f"forum-mcp {__version__}\n"
    if words in (["--help"], ["-h"]):
        with open(HELP, encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    return None
