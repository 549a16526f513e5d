"""The private key that signs a ledger's checkpoints: one Ed25519 key per ledger, in a file of its own.

``<ledger id>.key`` holds C2SP signer text, ``PRIVATE+KEY+<name>+<key id>+<base64(0x01 || seed)>``, mode 0600,
made before the ledger file whose entry 0 names its verifier key. Losing it stops signing and nothing else.

A rotation writes the next key to ``<ledger id>.next.key`` before the record names it, and gives it the key's name, in
one rename, after a checkpoint with both signatures is recorded: at every moment in between both keys are on disk.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from forum_mcp.errors import LedgerReadOnly, NoteError
from forum_mcp.ledger.checkpoint import origin_of
from forum_mcp.ledger.entry import LedgerId
from forum_mcp.ledger.note import Signer, parse_vkey
from forum_mcp.stores.files import private_directory, sync_directory, write_new

__all__ = ["KeyFile", "KeyHere", "Keys", "KeysOfLedger", "new_signer", "signer_of_text", "signer_text"]

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

    def of(self, ledger: LedgerId) -> "KeysOfLedger":
        """Return the keys of one ledger."""
        return KeysOfLedger(self, ledger)


class Keys(Protocol):
    """The private keys of one ledger: the one in use, and during a rotation the next."""

    def read(self) -> Signer:
        """Return the key in use.

        Raises:
            LedgerReadOnly: it cannot be read. NoteError: it is damaged.
        """
        ...

    def staged(self) -> Signer | None:
        """Return the next key, or None outside a rotation.

        Raises:
            NoteError: it is damaged.
        """
        ...

    def stage(self, entropy: Callable[[int], bytes]) -> Signer:
        """Make the next key and keep it durably; one that a broken rotation left is used."""
        ...

    def promote(self) -> None:
        """Put the next key in the place of the one in use, which is gone from then on."""
        ...


class KeysOfLedger:
    """The keys of one ledger in their directory."""

    def __init__(self, files: KeyFile, ledger: LedgerId) -> None:
        self._files = files
        self._ledger = ledger
        self._next = files.path(ledger).with_suffix(".next.key")

    @property
    def memory(self) -> Path:
        """The file in which the signer remembers what it signed last."""
        return self._next.with_name(f"{self._ledger}.signed")

    def read(self) -> Signer:
        """Return the key in use; see ``Keys.read``."""
        return self._files.read(self._ledger)

    def staged(self) -> Signer | None:
        """Return the next key, or None.

        Raises:
            NoteError: it is damaged.
        """
        try:
            return signer_of_text(self._next.read_text(encoding="utf-8"))
        except (OSError, UnicodeError):
            return None

    def stage(self, entropy: Callable[[int], bytes]) -> Signer:
        """Make the next key and keep it durably, or return the one that is there.

        Raises:
            LedgerReadOnly: it cannot be kept.
        """
        signer = new_signer(self._ledger, entropy)
        try:
            made = write_new(self._next, signer_text(signer).encode(), entropy)
        except OSError as error:
            raise LedgerReadOnly(
                f"no key can be made: '{self._next.parent.name}' beside the ledger cannot be written "
                f"({error.strerror}); check its rights, then rotate again"
            ) from error
        return signer if made else self.staged() or signer

    def promote(self) -> None:
        """Rename the next key to the one in use; another process may have done it."""
        try:
            self._next.replace(self._files.path(self._ledger))
        except FileNotFoundError:
            return
        sync_directory(self._next.parent)


class KeyHere:
    """The keys of a ledger in memory, which are kept nowhere else."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._next: Signer | None = None

    def read(self) -> Signer:
        """Return the key in use."""
        return self._signer

    def staged(self) -> Signer | None:
        """Return the next key, or None."""
        return self._next

    def stage(self, entropy: Callable[[int], bytes]) -> Signer:
        """Make the next key."""
        self._next = self._next or Signer(self._signer.name, entropy(_SEED_BYTES))
        return self._next

    def promote(self) -> None:
        """Put the next key in the place of the one in use."""
        self._signer, self._next = self._next or self._signer, None
