"""The first bytes of a ledger file, read without taking the locks from a database that is open here.

POSIX lets a process's locks on a file go when it closes *any* descriptor of it (fcntl(2); "How To Corrupt An SQLite
Database File", section 2.2). Another process that ends would then take itself for the last one, delete the write-ahead
log under us, and what we commit afterwards would be lost. So a file whose ledger is open here is read through one
descriptor, which is closed after the last connection.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

__all__ = ["HeldFile", "first_bytes", "hold"]

_Place = tuple[int, int]
"""Device and inode."""


@dataclass(slots=True)
class _Descriptor:
    handle: int
    holders: int = 0


_lock: Final = Lock()
_open: Final[dict[_Place, _Descriptor]] = {}


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file that has connections here, or is about to."""

    place: _Place

    def release(self) -> None:
        """End that; call it once, when the connections are closed."""
        with _lock:
            descriptor = _open[self.place]
            descriptor.holders -= 1
            if not descriptor.holders:
                os.close(_open.pop(self.place).handle)


def hold(path: Path) -> HeldFile | None:
    """Hold a file before it is opened as a database; None where it cannot be read."""
    with _lock:
        try:
            status = path.stat()
            place = (status.st_dev, status.st_ino)
            if place not in _open:
                if not stat.S_ISREG(status.st_mode):
                    return None
                _open[place] = _Descriptor(os.open(path, os.O_RDONLY))
        except OSError:
            return None
        _open[place].holders += 1
        return HeldFile(place)


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file.

    Raises:
        OSError: it cannot be read.
    """
    with _lock:
        status = path.stat()
        descriptor = _open.get((status.st_dev, status.st_ino))
        if descriptor is not None:
            os.lseek(descriptor.handle, 0, os.SEEK_SET)
            return os.read(descriptor.handle, count)
        with path.open("rb") as file:
            return file.read(count)
