"""C2SP tlog-checkpoint: the text a ledger's signed note carries, origin, tree size and root.

Our own checkpoints never have extension lines; those of other logs are read and passed over.
"""

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass

from forum_mcp.errors import NoteError

__all__ = ["ORIGIN_PREFIX", "Checkpoint", "format", "origin_of", "parse"]

ORIGIN_PREFIX = "forum-mcp.local/"
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_ROOT = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: origin line, number of entries and 32-byte root over them."""

    origin: str
    size: int
    root: bytes


def origin_of(ledger: str) -> str:
    """Return the origin line, which is also the key name, of a ledger id."""
    return ORIGIN_PREFIX + ledger


def format(checkpoint: Checkpoint) -> str:  # noqa: A001 - read as checkpoint.format
    """Return the note text of a checkpoint: three lines, each ended by a newline."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{b64encode(checkpoint.root).decode()}\n"


def parse(text: str) -> Checkpoint:
    """Return the checkpoint of a note's text (``Note.text``, not the whole signed note).

    Raises:
        NoteError: not three non-empty lines, or a size or root that is not in its one permitted spelling.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise NoteError("not a checkpoint: expected origin, size and root on three lines, each ended by a newline")
    origin, size, encoded = lines[:3]
    if not _SIZE.fullmatch(size):
        raise NoteError(f"checkpoint size {size[:40]!r} is refused: expected a decimal number without leading zeros")
    root = b64decode(encoded) if _ROOT.fullmatch(encoded) else b""
    if len(root) != 32 or b64encode(root).decode() != encoded:
        raise NoteError(f"checkpoint root {encoded[:60]!r} is refused: expected 32 bytes in base64")
    return Checkpoint(origin, int(size), root)
