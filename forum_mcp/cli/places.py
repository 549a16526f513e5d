"""Which ledger and which checkpoint a command means; apart from the command line's library."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forum_mcp.cli.given import spoken
from forum_mcp.cli.terminal import note
from forum_mcp.configs.paths import MEMORY, shown
from forum_mcp.errors import LedgerMissing, LedgerUnreadable

if TYPE_CHECKING:
    from forum_mcp.engine.ledger import Ledger

__all__ = ["existing", "kept_checkpoint", "meant", "opened"]


def meant(ledger: str | None, config: str | None) -> str:
    """Return the path of the ledger that flag, environment, configuration or default name, and that is there.

    Raises:
        LedgerMissing: nothing is there; nothing was created.
        ConfigRefused: a configuration file that would name it is not TOML.
    """
    from forum_mcp.configs.files import find_ledger

    return existing(find_ledger(ledger, config=config))


def existing(path: str) -> str:
    """Return the path of a ledger that is there.

    Raises:
        LedgerMissing: nothing is there; nothing was created.
    """
    if path != MEMORY and Path(path).exists():
        return path
    where = "a ledger in memory is new each time" if path == MEMORY else f"no ledger at {shown(Path(path))}"
    raise LedgerMissing(f"{where}; nothing was created; give --ledger PATH, or make one: forum-mcp submit")


def kept_checkpoint(since: str) -> str:
    """Return the text of a signed note given as text, as a file, or as ``-`` for stdin.

    Raises:
        LedgerUnreadable: there is no such file, or it is not UTF-8.
    """
    if since == "-" and sys.stdin is not None:
        return sys.stdin.buffer.read().decode(errors="replace")
    if "\n" in since:
        return spoken(since)
    try:
        return Path(since).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LedgerUnreadable(f"--since {since} is not a checkpoint; it is not UTF-8; give a signed note") from error
    except OSError as error:
        raise LedgerUnreadable(
            f"--since {since} cannot be read; {error.strerror}; give the file of a signed note"
        ) from error


@contextmanager
def opened(path: str, *, read_only: bool = True) -> "Generator[Ledger]":
    """Open a ledger that is there, and close it."""
    from forum_mcp.engine.ledger import Ledger

    with Ledger.open(path, create=False, read_only=read_only) as ledger:
        if ledger.missing_rest is not None:
            note(f"only the first {ledger.size} entries can be shown; {ledger.missing_rest}; run ledger verify")
        yield ledger
