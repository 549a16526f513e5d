"""The private key that signs a ledger's checkpoints: one Ed25519 key per ledger, in a file of its own.

``<ledger id>.key`` holds C2SP signer text, ``PRIVATE+KEY+<name>+<key id>+<base64(0x01 || seed)>``, mode 0600,
made before the ledger file whose entry 0 names its verifier key. Losing it stops signing and nothing else.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final

from forum_mcp.errors import LedgerReadOnly, NoteError
from forum_mcp.ledger.checkpoint import origin_of
from forum_mcp.ledger.entry import LedgerId
from forum_mcp.ledger.note import Signer, parse_vkey
from forum_mcp.stores.files import private_directory, write_new

__all__ = ["KeyFile", "new_signer", "signer_of_text", "signer_text"]

_PREFIX: Final = "PRIVATE+KEY+"
_ED25519: Final = b"\x01"
_SEED_BYTES: Final = 32


def new_signer(ledger: LedgerId, entropy: Callable[[int], bytes]) -> Signer:
    """Return a new key under the ledger's origin."""
    return Signer(origin_of(ledger), entropy(_SEED_BYTES))


def signer_text(signer: Signer) -> str:
    """Return a private key as one line of C2SP signer text."""
    identifier = parse_vkey(signer.vkey).key_id.hex()
    return f"{_PREFIX}{signer.name}+{identifier}+{b64encode(_ED25519 + signer.seed).decode()}\n"


def signer_of_text(text: str) -> Signer:
    """Return the key of a line of signer text.

    Raises:
        NoteError: not such a line, or a key id that does not belong to name and key. The text is never
        repeated.
    """
    name, _, rest = text.removesuffix("\n").removeprefix(_PREFIX).partition("+")
    identifier, _, encoded = rest.partition("+")
    try:
        key = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_PREFIX) or len(key) != 1 + _SEED_BYTES or key[:1] != _ED25519:
        raise NoteError("a private key is refused: expected PRIVATE+KEY+name+id+base64 of an Ed25519 key (type 0x01)")
    signer = Signer(name, key[1:])
    if parse_vkey(signer.vkey).key_id.hex() != identifier:
        raise NoteError(f"the private key of {name!r} is damaged: its key id does not belong to its name and key")
    return signer


class KeyFile:
    """Where the keys of ledgers lie: a private directory, one file per ledger id."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, ledger: LedgerId) -> Path:
        """Return the file of a ledger's key, there or not."""
        return self._directory / f"{ledger}.key"

    def create(self, ledger: LedgerId, entropy: Callable[[int], bytes]) -> Signer:
        """Make and keep the key of a new ledger, durably before returning.

        Raises:
            FileExistsError: there is a key of that ledger.
        """
        private_directory(self._directory)
        signer = new_signer(ledger, entropy)
        if not write_new(self.path(ledger), signer_text(signer).encode(), entropy):
            raise FileExistsError(self.path(ledger))
        return signer

    def read(self, ledger: LedgerId) -> Signer:
        """Return the key of a ledger.

        Raises:
            LedgerReadOnly: the file is missing or cannot be read; nothing can be signed, everything can be
            verified. NoteError: the file is damaged.
        """
        path = self.path(ledger)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            raise LedgerReadOnly(
                f"no checkpoint can be signed: the key file '{path.parent.name}/{path.name}' beside the "
                f"ledger cannot be read ({why}); put it back from a copy; verifying needs no key"
            ) from error
        return signer_of_text(text)

    def forget(self, ledger: LedgerId) -> None:
        """Delete the key of a ledger that did not come to be."""
        self.path(ledger).unlink(missing_ok=True)
