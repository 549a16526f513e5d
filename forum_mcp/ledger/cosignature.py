"""Signatures of third parties on a checkpoint: C2SP tlog-cosignature (type 0x04), or a plain note signature (0x01).

A cosignature is 8 bytes of time (seconds since 1970, big-endian) and an Ed25519 signature over
``cosignature/v1``, ``time <seconds>`` and the checkpoint's text, each on its lines. It says that the witness saw that
the log only grew up to this checkpoint; a plain signature says that somebody signed the text.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from forum_mcp.errors import NoteError
from forum_mcp.ledger.note import Note, signature_holds

__all__ = ["Cosigned", "Witness", "cosigned", "parse_witness"]

_PLAIN, _COSIGNATURE = b"\x01", b"\x04"
_TIME_BYTES = 8


@dataclass(frozen=True, slots=True)
class Witness:
    """A third party's verifier key: name, 4-byte key id, signature type (0x01 or 0x04) and 32-byte public key."""

    name: str
    key_id: bytes
    type: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A witness's signature that verified; ``time_s``: when, by its own clock, None for a plain signature."""

    name: str
    time_s: int | None


def parse_witness(text: str) -> Witness:
    """Return the parts of a witness's vkey, ``name+hex(key id)+base64(type || public key)``.

    Raises:
        NoteError: not a vkey, neither type 0x01 nor 0x04, or a key id that does not belong to name and key.
    """
    name, _, rest = text.partition("+")
    identifier, _, encoded = rest.partition("+")
    try:
        key = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    canonical = b64encode(key).decode() == encoded
    if not name or len(key) != 33 or key[:1] not in (_PLAIN, _COSIGNATURE) or not canonical:
        raise NoteError(
            f"witness key {text[:200]!a} is refused: expected name+hex+base64, type 0x01 or 0x04 and 32 bytes"
        )
    expected = sha256(name.encode("utf-8", "surrogatepass") + b"\n" + key).digest()[:4]
    if identifier != expected.hex():
        raise NoteError(f"witness key of {name[:100]!a} has key id {identifier[:16]!a}, expected {expected.hex()!r}")
    return Witness(name, expected, key[:1], key[1:])


def cosigned(note: Note, witnesses: Sequence[Witness]) -> list[Cosigned]:
    """Return which of the witnesses signed a checkpoint's note, in the order of its lines.

    Raises:
        NoteError: a known witness's signature does not match the text.
    """
    known = {(witness.name, witness.key_id): witness for witness in witnesses}
    found: list[Cosigned] = []
    for line in note.signatures:
        witness = known.get((line.name, line.key_id))
        if witness is None:
            continue
        signature, time_s, signed = line.signature, None, note.text
        if witness.type == _COSIGNATURE:
            time_s = int.from_bytes(signature[:_TIME_BYTES], "big")
            signature, signed = signature[_TIME_BYTES:], f"cosignature/v1\ntime {time_s}\n{note.text}"
        if not signature_holds(witness.public_key, signature, signed.encode()):
            raise NoteError(f"the signature of witness {line.name!a} does not match the checkpoint's text")
        found.append(Cosigned(line.name, time_s))
    return found
