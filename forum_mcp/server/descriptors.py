"""The process's standard descriptors while the server speaks on them.

The wire moves to private descriptors; fd 0 becomes the null device and fd 1 becomes stderr. A stray ``print`` then
cannot corrupt the protocol, and a child process neither steals a request nor holds the pipe open after us.
"""

import os
import select
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import TextIOBase

import anyio
import anyio.to_thread

__all__ = ["Wire", "diverted", "hung_up", "read_some", "write_all"]

_CHUNK = 65_536
_PIPE_BUF = 4_096
"""A descriptor reported writable takes at least this much without blocking (POSIX PIPE_BUF, Linux)."""


@dataclass(frozen=True, slots=True)
class Wire:
    """Private descriptors of the protocol."""

    stdin: int
    stdout: int


@contextmanager
def diverted() -> Generator[Wire]:
    """Divert the standard descriptors for the length of the block."""
    stdout: object = sys.stdout  # None when the process was started without one
    if isinstance(stdout, TextIOBase):
        stdout.flush()
    null = os.open(os.devnull, os.O_RDWR)
    wire = Wire(_private(0, null), _private(1, null))
    try:
        os.dup2(null, 0)
        try:
            os.dup2(2, 1)
        except OSError:
            os.dup2(null, 1)
        yield wire
    finally:
        os.close(null)
        os.dup2(wire.stdin, 0)
        os.dup2(wire.stdout, 1)
        # wire.stdin may still be blocking a reader thread, so both stay open until the process ends.


def _private(fd: int, null: int) -> int:
    """Return a duplicate outside the standard range, not inherited by children; of a closed one, the null device."""
    try:
        return _duplicate(fd)
    except OSError:
        return _duplicate(null)


def _duplicate(fd: int) -> int:
    if sys.platform == "win32":
        return os.dup(fd)
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


async def read_some(fd: int) -> bytes:
    """Return the bytes that are there, waiting for at least one; b"" at the end of the stream."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        try:
            await anyio.wait_readable(fd)
        except (OSError, NotImplementedError):
            # Not a thing that can be waited for (a device, Windows pipes): a thread waits, and dies with us.
            return await anyio.to_thread.run_sync(os.read, fd, _CHUNK, abandon_on_cancel=True)
    try:
        return os.read(fd, _CHUNK)
    except OSError:
        return b""


async def write_all(fd: int, data: bytes) -> None:
    """Write everything without ever blocking the loop.

    Raises:
        OSError: the other end is gone.
    """
    view = memoryview(data)
    waits = not stat.S_ISREG(os.fstat(fd).st_mode)
    while view:
        if waits:
            try:
                await anyio.wait_writable(fd)
            except (PermissionError, NotImplementedError):
                waits = False
        view = view[os.write(fd, view[:_PIPE_BUF]) :]


def hung_up(fd: int) -> bool:
    """Tell whether nobody can read what is written to ``fd`` any more."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(fd, 0)
    with suppress(OSError):
        return any(events & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, events in poll.poll(0))
    return True
