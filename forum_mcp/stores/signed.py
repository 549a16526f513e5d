"""What a signer signed last, kept outside the ledger: ``<ledger id>.signed`` beside the key.

The file is two lines of 256 bytes, ``<sha256> <number> <size> <root>`` padded with spaces; the one with the higher
number counts, and the other is written next, in place. A write that was torn leaves the line before it whole, so no
rename and no fsync is needed for that.

When must it be durable? What it promises is "nothing is signed that does not extend this". Only committed entries are
signed, and a commit is synced before anybody can read it. So after a power cut the ledger still holds every tree that
was ever signed, and the file, at worst, remembers an earlier one of them: the next signature is checked against less,
and is still right. What is lost is the proof against somebody who puts an older ledger back after that very power cut,
for the signatures since the last sync. The file is therefore synced when a checkpoint is *recorded*, which costs an
fsync anyway, and not for each note that a result carries.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from forum_mcp.errors import CheckpointRefused, LedgerReadOnly
from forum_mcp.stores.files import sync_directory

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)


__all__ = ["HeldMemory", "Remembered", "SignedFile", "SignedHere", "SignedMemory"]

_LINE: Final = 256
_DIGEST: Final = 64
_FLAGS: Final = os.O_RDWR | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The tree signed last: number of entries and 32-byte root."""

    size: int
    root: bytes


class HeldMemory(Protocol):
    """The memory while nobody else can change it."""

    @property
    def remembered(self) -> Remembered | None:
        """What was signed last; None when nothing was yet."""
        ...

    def remember(self, now: Remembered, *, durable: bool) -> None:
        """Replace it; ``durable`` survives a power cut from the return on."""
        ...


class SignedMemory(Protocol):
    """Where a signer remembers."""

    @contextmanager
    def hold(self) -> Generator[HeldMemory]:
        """Hold the memory, alone among all processes."""
        ...

    def reset(self, now: Remembered) -> None:
        """Replace whatever is there, damaged or not, durably."""
        ...


class SignedHere:
    """The memory of a ledger that lives in this process alone."""

    def __init__(self) -> None:
        self.remembered: Remembered | None = None

    @contextmanager
    def hold(self) -> "Generator[SignedHere]":
        """Hold the memory."""
        yield self

    def remember(self, now: Remembered, *, durable: bool) -> None:
        """Replace it."""
        self.remembered = now

    def reset(self, now: Remembered) -> None:
        """Replace it."""
        self.remembered = now


class _Lines:
    """The two lines of an open, locked file."""

    def __init__(self, handle: int, name: str) -> None:
        self._handle = handle
        found = os.read(handle, 2 * _LINE)
        lines = [_parsed(found[:_LINE]), _parsed(found[_LINE:])]
        newest = max((line for line in lines if line is not None), key=lambda line: line[0], default=None)
        # A file of zeros is one whose first write never reached the disk.
        if newest is None and found.strip(b"\x00"):
            raise CheckpointRefused(
                f"no checkpoint is signed: what was signed last cannot be read from '{name}', which is damaged; put "
                "the file back from a copy, or go on from the ledger as it is: forum-mcp ledger accept-rollback"
            )
        self._number = -1 if newest is None else newest[0]
        self.remembered: Remembered | None = None if newest is None else newest[1]

    def remember(self, now: Remembered, *, durable: bool) -> None:
        self._number += 1
        text = f"{self._number} {now.size} {now.root.hex()}".encode()
        line = b"%b %b" % (sha256(text).hexdigest().encode(), text)
        os.lseek(self._handle, _LINE * (self._number & 1), os.SEEK_SET)
        os.write(self._handle, line.ljust(_LINE - 1) + b"\n")
        self.remembered = now
        if durable:
            os.fsync(self._handle)


class SignedFile:
    """The memory of a ledger that others can open too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown = f"{path.parent.name}/{path.name}"

    @contextmanager
    def hold(self) -> Generator[HeldMemory]:
        """Hold the file, alone among all processes and threads.

        Raises:
            LedgerReadOnly: it cannot be written.
            CheckpointRefused: it is damaged.
        """
        handle = self._open()
        try:
            yield _Lines(handle, self._shown)
        finally:
            os.close(handle)

    def reset(self, now: Remembered) -> None:
        """Replace whatever is there, damaged or not, durably.

        Raises:
            LedgerReadOnly: it cannot be written.
        """
        handle = self._open()
        try:
            os.ftruncate(handle, 0)
            _Lines(handle, self._shown).remember(now, durable=True)
        finally:
            os.close(handle)

    def _open(self) -> int:
        try:
            try:
                handle = os.open(self._path, _FLAGS)
            except FileNotFoundError:
                handle = os.open(self._path, _FLAGS | os.O_CREAT, 0o600)
                sync_directory(self._path.parent)
            try:
                _lock(handle)
            except BaseException:
                os.close(handle)
                raise
        except OSError as error:
            raise LedgerReadOnly(
                f"no checkpoint can be signed: '{self._shown}', where the signer remembers what it signed, cannot be "
                f"written ({error.strerror}); check its rights; verifying needs neither it nor the key"
            ) from error
        return handle


@lru_cache(maxsize=8)  # from one signature to the next one line is new, the other is the one that was
def _parsed(line: bytes) -> tuple[int, Remembered] | None:
    """Return (number, what was signed) of a line, or None when it is not whole."""
    digest, _, text = line.rstrip().partition(b" ")
    if len(digest) != _DIGEST or sha256(text).hexdigest().encode() != digest:
        return None
    number, size, root = text.decode("ascii", "replace").split(" ")
    return int(number), Remembered(int(size), bytes.fromhex(root))
