"""C2SP signed notes with Ed25519 keys (signature type 0x01).

A note is a text that ends in a newline, an empty line, then for each signature one line: em dash, key name,
base64 of key id and signature. The text means nothing until the signature of a key the reader already
trusts has verified: use ``verify``; ``parse`` only takes the form apart. Signatures of unknown keys (other
keys of a rotation, cosigning witnesses) are kept and passed over.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from forum_mcp.errors import NoteError

__all__ = [
    "Note",
    "NoteError",
    "NoteSignature",
    "Pen",
    "Signer",
    "VerifierKey",
    "parse",
    "parse_vkey",
    "sign",
    "signature_holds",
    "verify",
    "vkey",
]

_ED25519 = b"\x01"
_DASH = "\N{EM DASH} "
_FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_MAX_CHARS = 1_000_000
_MAX_SIGNATURES = 100
_FIELD = 2**255 - 19
_ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD - 1, _ORDER_8_Y, _FIELD - _ORDER_8_Y})


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: the key's name.
        key_id: 4 bytes.
        signature: what follows the key id; 64 bytes for Ed25519, anything for keys we do not know.
        verified: a known key, and its signature is good.
    """

    name: str
    key_id: bytes
    signature: bytes
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart: the signed text, final newline included, and its signatures in order."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A decoded vkey: name, 4-byte key id and 32-byte Ed25519 public key."""

    name: str
    key_id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key: its name and 32-byte Ed25519 seed, which no representation shows."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def vkey(self) -> str:
        """The verifier key, C2SP text form."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return vkey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())


def vkey(name: str, public_key: bytes) -> str:
    """Return the vkey ``name+hex(key id)+base64(0x01 || public key)`` of a 32-byte Ed25519 public key.

    Raises:
        NoteError: the name is empty or holds a space or a plus, or the key is not 32 bytes.
    """
    _check_name(name)
    if len(public_key) != 32:
        raise NoteError(f"an Ed25519 public key of {len(public_key)} bytes is refused: expected 32")
    return f"{name}+{_key_id(name, public_key).hex()}+{b64encode(_ED25519 + public_key).decode()}"


def parse_vkey(text: str) -> VerifierKey:
    """Return the parts of a verifier key.

    Raises:
        NoteError: not a vkey, not Ed25519, or a key id that does not belong to name and key.
    """
    name, _, rest = text.partition("+")
    identifier, _, encoded = rest.partition("+")
    _check_name(name)
    key = _unbase64(encoded)
    if key is None or len(key) != 33 or key[:1] != _ED25519:
        raise NoteError(
            f"verifier key {text[:200]!r} is refused: expected name+hex+base64 of an Ed25519 key (type 0x01)"
        )
    expected = _key_id(name, key[1:])
    if identifier != expected.hex():
        raise NoteError(
            f"verifier key of {name!r} has key id {identifier[:16]!r}, name and key give {expected.hex()!r}"
        )
    return VerifierKey(name, expected, key[1:])


def parse(text: str) -> Note:
    """Take a note apart without believing any of it: every signature is unverified.

    Raises:
        NoteError: the form is not that of a signed note.
    """
    if len(text) > _MAX_CHARS:
        raise NoteError(f"a note of {len(text)} characters is refused: expected at most {_MAX_CHARS}")
    _check_characters(text)
    body, separator, lines = text.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise NoteError(
            "not a signed note: expected text, an empty line, then signature lines, each ended by a newline"
        )
    signature_lines = lines[:-1].split("\n")
    if len(signature_lines) > _MAX_SIGNATURES:
        raise NoteError(f"a note with {len(signature_lines)} signatures is refused: expected at most {_MAX_SIGNATURES}")
    return Note(body + "\n", tuple(map(_parse_signature, signature_lines)))


def verify(text: str, vkeys: Sequence[str] | str) -> Note:
    """Return the note when at least one known key signed it and no known key's signature is bad.

    Args:
        text: the whole signed note.
        vkeys: verifier keys the caller trusts; a single one may be given as it is.

    Raises:
        NoteError: malformed note or key, a known key's bad signature, or no signature of a known key.
    """
    note = parse(text)
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for given in [vkeys] if isinstance(vkeys, str) else vkeys:
        key = parse_vkey(given)
        if known.setdefault((key.name, key.key_id), key) != key:
            raise NoteError(f"two different verifier keys share name {key.name!r} and key id {key.key_id.hex()}")
    signed = note.text.encode()
    checked: list[NoteSignature] = []
    for line in note.signatures:
        key_of_line = known.get((line.name, line.key_id))
        if key_of_line is not None and not signature_holds(key_of_line.public_key, line.signature, signed):
            raise NoteError(
                f"the signature of {line.name!r} (key id {line.key_id.hex()}) does not match the note's text"
            )
        checked.append(line if key_of_line is None else replace(line, verified=True))
    if not any(line.verified for line in checked):
        names = ", ".join(f"{line.name}+{line.key_id.hex()}" for line in note.signatures[:5])
        raise NoteError(f"no known key signed this note: signed by {names}, {len(known)} verifier keys given")
    return Note(note.text, tuple(checked))


class Pen:
    """A private key made ready: what signing the same key again and again need not compute each time."""

    def __init__(self, signer: Signer) -> None:
        """Make a key ready.

        Raises:
            NoteError: its name is no key name.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = Ed25519PrivateKey.from_private_bytes(signer.seed)
        public = private.public_key().public_bytes_raw()
        self.name = signer.name
        self.vkey = vkey(signer.name, public)
        self._key_id = _key_id(signer.name, public)
        self._sign = private.sign

    def line(self, text: str) -> str:
        """Return the signature line over a note's text, newline included."""
        return f"{_DASH}{self.name} {b64encode(self._key_id + self._sign(text.encode())).decode()}\n"


def sign(text: str, *signers: Signer | Pen) -> str:
    """Return the signed note of ``text`` (which ends in a newline), one signature per signer, in order.

    Raises:
        NoteError: no signer, a name that is no key name, or a text that a note cannot carry.
    """
    if not signers:
        raise NoteError("a note needs at least one signer, none was given")
    _check_characters(text)
    if not text.endswith("\n"):
        raise NoteError("the text of a note must end in a newline")
    pens = (signer if isinstance(signer, Pen) else Pen(signer) for signer in signers)
    return f"{text}\n{''.join(pen.line(text) for pen in pens)}"


def _parse_signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    blob = _unbase64(encoded)
    if not line.startswith(_DASH) or not space or blob is None or len(blob) < 5:
        raise NoteError(
            f"signature line {line[:200]!r} is refused: expected em dash, key name, base64 of key id and signature"
        )
    _check_name(name)
    return NoteSignature(name, blob[:4], blob[4:])


def signature_holds(public_key: bytes, signature: bytes, signed: bytes) -> bool:
    """State whether an Ed25519 signature over ``signed`` is by a public key (32 bytes) that is not of small order."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    # A key of small order signs anything, and the library lets it; so does it another spelling of a key's point.
    y = int.from_bytes(public_key, "little") & ((1 << 255) - 1)
    if y >= _FIELD or y in _SMALL_ORDER_Y:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _key_id(name: str, public_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def _check_name(name: str) -> None:
    _check_characters(name)
    if not name or "+" in name or any(character.isspace() for character in name):
        raise NoteError(f"key name {name[:200]!r} is refused: expected characters other than spaces and plus signs")


def _check_characters(text: str) -> None:
    if (found := _FORBIDDEN.search(text)) is not None:
        raise NoteError(f"a note may not hold {found[0]!a}: no control character but newline, no lone surrogate")


def _unbase64(text: str) -> bytes | None:
    """Decode standard base64 in its only canonical spelling, or return None."""
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if b64encode(decoded).decode() == text else None
