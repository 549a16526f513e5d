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

The file stays open between signatures. Each time it is locked, asked whether it is still the file of that name, and
read: only what says the same bytes as before is not parsed again.
"""

import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Protocol, Self

from forum_mcp.errors import CheckpointRefused, LedgerReadOnly
from forum_mcp.stores.files import sync_directory

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)

    def _read(handle: int) -> bytes:
        os.lseek(handle, 0, os.SEEK_SET)
        return os.read(handle, 2 * _LINE)

    def _write(handle: int, line: bytes, at: int) -> None:
        os.lseek(handle, at, os.SEEK_SET)
        os.write(handle, line)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)

    def _read(handle: int) -> bytes:
        return os.pread(handle, 2 * _LINE, 0)

    def _write(handle: int, line: bytes, at: int) -> None:
        os.pwrite(handle, line, at)


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

    def hold(self) -> AbstractContextManager[HeldMemory]:
        """Hold the memory, alone among all processes and threads."""
        ...

    def reset(self, now: Remembered) -> None:
        """Replace whatever is there, damaged or not, durably."""
        ...

    def close(self) -> None:
        """Let go of it; it may be held again all the same."""
        ...


class SignedHere:
    """The memory of a ledger that lives in this process alone."""

    def __init__(self) -> None:
        self.remembered: Remembered | None = None

    def hold(self) -> Self:
        """Hold the memory."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def remember(self, now: Remembered, *, durable: bool) -> None:
        """Replace it."""
        self.remembered = now

    def reset(self, now: Remembered) -> None:
        """Replace it."""
        self.remembered = now

    def close(self) -> None:
        """Do nothing: it ends with its ledger."""


class SignedFile:
    """The memory of a ledger that others can open too; as a context manager it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = str(path)
        self._shown = f"{path.parent.name}/{path.name}"
        self._alone = Lock()
        self._handle: int | None = None
        self._opened: tuple[int, int, int] | None = None
        self._text: bytes | None = None
        self._number = -1
        self.remembered: Remembered | None = None

    def hold(self) -> Self:
        """Hold the file, alone among all processes and threads; entering may raise as ``__enter__`` says."""
        return self

    def __enter__(self) -> Self:
        """Lock and read the file.

        Raises:
            LedgerReadOnly: it cannot be written.
            CheckpointRefused: it is damaged.
        """
        self._alone.acquire()
        try:
            self._look(self._locked())
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._release()

    def remember(self, now: Remembered, *, durable: bool) -> None:
        """Replace what was signed last, while the file is held; ``durable`` survives a power cut from the return on."""
        assert self._handle is not None
        before, self._text = self._text or b"", None  # until the new line stands whole
        self._number += 1
        text = f"{self._number} {now.size} {now.root.hex()}".encode()
        line = (b"%b %b" % (sha256(text).hexdigest().encode(), text)).ljust(_LINE - 1) + b"\n"
        at = _LINE * (self._number & 1)
        _write(self._handle, line, at)
        self._text = before[:at].ljust(at, b"\x00") + line + before[at + _LINE :]
        self.remembered = now
        if durable:
            os.fsync(self._handle)

    def reset(self, now: Remembered) -> None:
        """Replace whatever is there, damaged or not, durably.

        Raises:
            LedgerReadOnly: it cannot be written.
        """
        with self._alone:
            handle = self._locked()
            try:
                os.ftruncate(handle, 0)
                self._look(handle)
                self.remember(now, durable=True)
            finally:
                _unlock(handle)

    def close(self) -> None:
        """Close the file."""
        with self._alone:
            self._drop()

    def _locked(self) -> int:
        """Return the open file of this name, locked."""
        try:
            while True:
                if self._handle is None or self._opened is None or self._opened[2] != os.getpid():
                    # A child of a fork shares the parent's lock: it must open the file for itself.
                    self._drop()
                    self._handle = handle = self._open()
                    found = os.fstat(handle)
                    self._opened = (found.st_dev, found.st_ino, os.getpid())
                handle = self._handle
                _lock(handle)
                try:
                    named = os.stat(self._name)  # noqa: PTH116 - a third of the cost of the other
                except FileNotFoundError:
                    named = None
                if named is not None and (named.st_dev, named.st_ino) == self._opened[:2]:
                    return handle
                self._drop()  # another file was put in its place, which is the one to believe
        except OSError as error:
            self._drop()
            raise LedgerReadOnly(
                f"no checkpoint can be signed: '{self._shown}', where the signer remembers what it signed, cannot be "
                f"written ({error.strerror}); check its rights; verifying needs neither it nor the key"
            ) from error

    def _open(self) -> int:
        try:
            return os.open(self._path, _FLAGS)
        except FileNotFoundError:
            handle = os.open(self._path, _FLAGS | os.O_CREAT, 0o600)
            sync_directory(self._path.parent)
            return handle

    def _look(self, handle: int) -> None:
        found = _read(handle)
        if found == self._text:
            return
        lines = [_parsed(found[:_LINE]), _parsed(found[_LINE:])]
        newest = max((line for line in lines if line is not None), key=lambda line: line[0], default=None)
        # A file of zeros is one whose first write never reached the disk.
        if newest is None and found.strip(b"\x00"):
            raise CheckpointRefused(
                f"no checkpoint is signed: what was signed last cannot be read from '{self._shown}', which is damaged; "
                "put the file back from a copy, or go on from the ledger as it is: forum-mcp ledger accept-rollback"
            )
        self._text = found
        self._number, self.remembered = (-1, None) if newest is None else newest

    def _release(self) -> None:
        try:
            if self._handle is not None:
                _unlock(self._handle)
        finally:
            self._alone.release()

    def _drop(self) -> None:
        if self._handle is not None:
            os.close(self._handle)  # which ends the lock too
        self._handle = self._opened = self._text = None

    def __del__(self) -> None:
        self._drop()


def _parsed(line: bytes) -> tuple[int, Remembered] | None:
    """Return (number, what was signed) of a line, or None when it is not whole."""
    digest, _, text = line.rstrip().partition(b" ")
    if len(digest) != _DIGEST or sha256(text).hexdigest().encode() != digest:
        return None
    number, size, root = text.decode("ascii", "replace").split(" ")
    return int(number), Remembered(int(size), bytes.fromhex(root))
