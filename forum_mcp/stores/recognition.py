"""What a ledger file is, told by its first byte; needs next to nothing of this room."""

import stat
from pathlib import Path

from forum_mcp.stores.held_file import first_bytes

__all__ = ["is_export"]


def is_export(path: Path) -> bool:
    """Tell by its content whether a file is JSON Lines, as an export is, and not a database; False when unreadable."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        return first_bytes(path, 1) == b"{"
    except OSError:
        return False
