"""The entry: one canonical JSON object, stored, hashed, exported and verified as its exact bytes.

Format: docs/ledger-format.md, "Entry" and "Bodies". Nothing here reads a clock, a disk or randomness: the wall clock
(``at``) and salts come in as values.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import NewType

import msgspec

__all__ = [
    "ENTRY_MAX_BYTES",
    "PARENTS_MAX",
    "Body",
    "BodyRef",
    "Draft",
    "Entry",
    "LedgerId",
    "NewBody",
    "RunId",
    "commitment",
    "decode",
    "encode",
    "genesis_prev",
    "leaf_hash",
]

LedgerId = NewType("LedgerId", str)
RunId = NewType("RunId", str)

ENTRY_MAX_BYTES = 65_535
PARENTS_MAX = 256
_JOINED_MAX = 4096


class BodyRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What an entry says of a body: its commitment (64 lower-case hex), plain size in bytes and media type."""

    commit: str
    size: int
    type: str


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One decoded entry; the members are those of docs/ledger-format.md, and all of them are required."""

    actor: str
    at: int
    bodies: dict[str, BodyRef]
    data: dict[str, object]
    kind: str
    ledger: LedgerId
    parents: list[int]
    prev: str
    run: RunId | None
    seq: int
    v: int


class NewBody(msgspec.Struct, frozen=True, gc=False):
    """A body to be committed: its media type and plain bytes."""

    type: str
    data: bytes


class Body(msgspec.Struct, frozen=True, gc=False):
    """A stored body: the commitment and everything needed to check it."""

    commit: str
    type: str
    salt: bytes
    data: bytes


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An entry before it has a place: what ``decide`` proposes and what an outcome brings.

    Attributes:
        kind: dotted, past tense, e.g. ``call.finished``.
        actor: who, 1..200 characters.
        data: small facts of the kind; ``t_ms`` is added by the recorder for an entry of a run.
        bodies: name -> new bytes, or a reference to a body already committed in this ledger.
        parents: seqs of the entries that caused this one, ascending, unique, at most 256.
    """

    kind: str
    actor: str
    data: Mapping[str, object] = msgspec.field(default_factory=dict[str, object])
    bodies: Mapping[str, NewBody | BodyRef] = msgspec.field(default_factory=dict[str, NewBody | BodyRef])
    parents: tuple[int, ...] = ()


_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """Return the canonical bytes of an entry whose values lie inside the entry's subset of JSON.

    Within that subset (ASCII keys, integers within 2^53, no lone surrogates) sorted msgspec output is RFC 8785.
    """
    return _ENCODER.encode(entry)


def decode(data: bytes) -> Entry:
    """Return the entry of exact bytes. A decode alone proves nothing about canonical form: see ``verify``.

    Raises:
        msgspec.DecodeError: not JSON, or a member is missing, unknown or of the wrong type.
    """
    return _DECODER.decode(data)


def leaf_hash(entry_bytes: bytes) -> bytes:
    """Return the 32-byte RFC 6962 leaf hash, which is also the next entry's ``prev``."""
    return sha256(b"\x00" + entry_bytes).digest()


def genesis_prev(ledger: LedgerId) -> str:
    """Return the ``prev`` of entry 0: it binds the chain to its ledger id."""
    return sha256(b"forum-ledger/v1\n" + ledger.encode()).hexdigest()


def commitment(salt: bytes, media_type: str, data: bytes) -> str:
    """Return the salted commitment of a body, 64 lower-case hex (salt: 32 random bytes)."""
    head = b"forum-body/v1\n%b%b\n" % (salt, media_type.encode())
    if len(data) <= _JOINED_MAX:  # one call on a copy is quicker than two without
        return sha256(head + data).hexdigest()
    digest = sha256(head)
    digest.update(data)
    return digest.hexdigest()
