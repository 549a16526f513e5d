"""A third party that signs checkpoints, made from the words of C2SP tlog-cosignature and not with our code."""

from base64 import b64encode
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from forum_mcp.ledger import note

NAME = "witness.example/w1"
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"w" * 32)


def key_of(kind: bytes) -> tuple[str, bytes]:
    """Return a witness's vkey of a signature type, and its key id."""
    key = kind + PRIVATE.public_key().public_bytes_raw()
    identifier = sha256(NAME.encode() + b"\n" + key).digest()[:4]
    return f"{NAME}+{identifier.hex()}+{b64encode(key).decode()}", identifier


VKEY, KEY_ID = key_of(b"\x04")


def witnessed(text: str, time_s: int = 1_700_000_000) -> str:
    """Return the note with a C2SP cosignature added."""
    body = note.parse(text).text
    signature = PRIVATE.sign(f"cosignature/v1\ntime {time_s}\n{body}".encode())
    line = b64encode(KEY_ID + time_s.to_bytes(8, "big") + signature).decode()
    return f"{text}\N{EM DASH} {NAME} {line}\n"
