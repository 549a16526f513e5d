"""Proofs as text: C2SP ``tlog-proof`` for one entry, and the proof that a ledger only grew.

An inclusion proof is the text of https://c2sp.org/tlog-proof: index, sibling hashes from the leaf's own upwards, and
the signed checkpoint they lead to. A growth proof is the body that https://c2sp.org/tlog-witness asks for: the old
size, the hashes of RFC 9162 2.1.4, and the new signed checkpoint. So a witness can be handed one as it is.
Nothing here believes a signature: ``note.verify`` does.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from forum_mcp.errors import NoteError

__all__ = ["Growth", "Inclusion", "format_growth", "format_inclusion", "parse_growth", "parse_inclusion"]

_FIRST = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})")
_OLD = re.compile(r"old (0|[1-9][0-9]{0,17})")
_HASHES_MAX = 63
_GROWTH_MAX = 64


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where an entry stands: its index, sibling hashes (32 bytes each, the leaf's own first), the signed note."""

    index: int
    hashes: tuple[bytes, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Growth:
    """That a tree extends an older one: the old size, the hashes (32 bytes each), the newer signed note."""

    old_size: int
    hashes: tuple[bytes, ...]
    note: str


def format_inclusion(index: int, hashes: Sequence[bytes], note: str) -> str:
    """Return the tlog-proof of entry ``index`` in the tree that the signed ``note`` states."""
    return "".join([f"{_FIRST}\nindex {index}\n", *map(_line, hashes), "\n", note])


def format_growth(old_size: int, hashes: Sequence[bytes], note: str) -> str:
    """Return the proof that the tree of the signed ``note`` extends its own first ``old_size`` entries."""
    return "".join([f"old {old_size}\n", *map(_line, hashes), "\n", note])


def parse_inclusion(text: str) -> Inclusion:
    """Take a tlog-proof apart; a line of extra data is passed over, because nothing authenticates it.

    Raises:
        NoteError: not the form of a tlog-proof with at most 63 hashes.
    """
    head, lines, note = _parts(text, "a tlog-proof")
    if head != _FIRST:
        raise NoteError(f"not a tlog-proof: the first line is {head[:60]!a}, expected {_FIRST!r}")
    if lines and lines[0].startswith("extra "):
        if _unbase64(lines[0].removeprefix("extra ")) is None:
            raise NoteError("not a tlog-proof: the extra data is no base64")
        del lines[0]
    found = _INDEX.fullmatch(lines[0]) if lines else None
    if found is None:
        raise NoteError("not a tlog-proof: expected a line 'index' with a decimal number")
    return Inclusion(int(found[1]), _hashes(lines[1:], _HASHES_MAX), note)


def parse_growth(text: str) -> Growth:
    """Take a growth proof apart.

    Raises:
        NoteError: not the form of one with at most 64 hashes.
    """
    head, lines, note = _parts(text, "a growth proof")
    found = _OLD.fullmatch(head)
    if found is None:
        raise NoteError(f"not a growth proof: the first line is {head[:60]!a}, expected 'old' and a decimal number")
    return Growth(int(found[1]), _hashes(lines, _GROWTH_MAX), note)


def _parts(text: str, what: str) -> tuple[str, list[str], str]:
    """Return the first line, the lines before the empty one, and the note after it."""
    above, separator, note = text.partition("\n\n")
    if not separator:
        raise NoteError(f"not {what}: expected lines, an empty line, then a signed checkpoint")
    head, *lines = above.split("\n")
    return head, lines, note


def _hashes(lines: Sequence[str], most: int) -> tuple[bytes, ...]:
    if len(lines) > most:
        raise NoteError(f"a proof of {len(lines)} hashes is refused: expected at most {most}")
    hashes: list[bytes] = []
    for line in lines:
        found = _unbase64(line)
        if found is None or len(found) != 32:
            raise NoteError(f"hash {line[:60]!a} is refused: expected 32 bytes in base64")
        hashes.append(found)
    return tuple(hashes)


def _unbase64(text: str) -> bytes | None:
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if b64encode(decoded).decode() == text else None


def _line(digest: bytes) -> str:
    return b64encode(digest).decode() + "\n"
