"""The lines of exports and receipts: one JSON object each, told apart by its member ``t``.

Members may come in any order and be spaced; none may be unknown, of another type, or stand twice.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import TypeVar, cast

import msgspec

from forum_mcp.ledger.verify.source import RawBody, SourceFault

__all__ = [
    "BodyLine",
    "CheckpointLine",
    "EntryLine",
    "ExportHead",
    "ProofLine",
    "ReceiptHead",
    "body_line",
    "numbered",
    "raw_body",
    "read_line",
    "written",
]


T = TypeVar("T", bound=msgspec.Struct)


class ExportHead(msgspec.Struct, tag_field="t", tag="head", forbid_unknown_fields=True, omit_defaults=True):
    """The first line of an export."""

    format: str
    ledger: str
    size: int
    vkey: str | list[str] | None
    without_bodies: bool = False


class ReceiptHead(msgspec.Struct, tag_field="t", tag="head", forbid_unknown_fields=True):
    """The first line of a receipt."""

    format: str
    ledger: str
    vkey: str | list[str] | None


class EntryLine(msgspec.Struct, tag_field="t", tag="entry", forbid_unknown_fields=True):
    """An entry: its bytes as text."""

    bytes: str


class ProofLine(msgspec.Struct, tag_field="t", tag="proof", forbid_unknown_fields=True):
    """The tlog-proof of the entry before."""

    text: str


class BodyLine(msgspec.Struct, tag_field="t", tag="body", forbid_unknown_fields=True):
    """A body: salt in hex, bytes in base64."""

    commit: str
    type: str
    salt: str
    bytes: str


class CheckpointLine(msgspec.Struct, tag_field="t", tag="checkpoint", forbid_unknown_fields=True):
    """A signed checkpoint."""

    note: str


_ENCODER = msgspec.json.Encoder()


def numbered(lines: Iterable[str | bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, bytes without the newline) of each line."""
    for number, given in enumerate(lines, 1):
        raw = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else given
        yield number, raw.removesuffix(b"\n")


def written(line: msgspec.Struct) -> bytes:
    """Return the bytes of a line, its newline included."""
    return _ENCODER.encode(line) + b"\n"


def body_line(commit: str, media_type: str, salt: bytes, data: bytes) -> BodyLine:
    """Return the line of a body."""
    return BodyLine(commit, media_type, salt.hex(), b64encode(data).decode())


def raw_body(number: int, line: BodyLine) -> RawBody | SourceFault:
    """Return the body of a line, or what is wrong with its spelling."""
    try:
        salt, data = bytes.fromhex(line.salt), b64decode(line.bytes, validate=True)
    except ValueError:
        salt, data = b"", b""
    if salt.hex() != line.salt or b64encode(data).decode() != line.bytes:
        return SourceFault(None, f"line {number}: expected the salt in lower-case hex and the bytes in base64")
    return line.commit, line.type, salt, data


def read_line(decoder: msgspec.json.Decoder[T], number: int, raw: bytes) -> T | SourceFault:
    """Return one line decoded, or what is wrong with it."""
    try:
        line = decoder.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        return SourceFault(None, f"line {number} cannot be read: {str(fault)[:200]}")
    # A decode lets a doubled member pass, which another reader would take the other way.
    if _ENCODER.encode(line) != raw and _has_doubled_members(raw):
        return SourceFault(None, f"line {number} has a member twice")
    return line


def _has_doubled_members(raw: bytes) -> bool:
    doubled = False

    def watch(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal doubled
        members = dict(pairs)
        doubled = doubled or len(members) != len(pairs)
        return members

    cast("object", json.loads(raw, object_pairs_hook=watch))
    return doubled
