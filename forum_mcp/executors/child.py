"""One started command as we hold it: its pipes and its minder's call socket (protocol: ``minder/launcher.py``)."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import Literal

import anyio
from anyio.lowlevel import checkpoint

from forum_mcp.executors.minder import watch

__all__ = ["GRACE_S", "Child", "LaunchFailed"]

GRACE_S = 1.0
_CHUNK_BYTES = 65_536


class LaunchFailed(Exception):
    """A command could not be started.

    Attributes:
        errno: of the failed exec; None when not the command is at fault but the launcher.
        confined: False when it was not begun because its confinement could not be had.
    """

    def __init__(self, message: str, errno: int | None = None, *, confined: bool = True) -> None:
        super().__init__(message)
        self.errno = errno
        self.confined = confined


class Child:
    """One command. Whoever holds it ends it; closing or losing it ends it as well.

    Attributes:
        stdin: write end, or None when its stdin is empty. The descriptors do not block.
        stdout: read end.
        stderr: read end.
        pid: its process id, which is also its group; set by ``launch``.
        exit_code: set once it exited.
        signal: set once a signal ended it.
        exceeded: set once its minder killed it because all it started together exceeded a limit.
    """

    def __init__(self, call: socket.socket, stdin: int | None, stdout: int, stderr: int) -> None:
        self._call = call
        self._open = {descriptor for descriptor in (stdin, stdout, stderr) if descriptor is not None}
        self._said = bytearray()
        self._gone = False
        self._failure: LaunchFailed | None = None
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.exceeded: Literal["processes", "memory"] | None = None

    async def launch(self, frame: bytes) -> None:
        """Send the request and wait for the word that the command runs.

        Raises:
            LaunchFailed: it does not.
        """
        view = memoryview(frame)
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            while view:
                try:
                    view = view[self._call.send(view) :]
                except BlockingIOError:
                    await anyio.wait_writable(self._call)
        await self._wait(lambda: self.pid is not None or self._failure is not None)
        if self.pid is None:
            raise self._failure or LaunchFailed("the launcher could not start a process")

    async def wait_ended(self) -> None:
        """Wait until the command ended. Its status stays unknown when its minder was killed."""
        await self._wait(self._has_status)

    def has_ended(self) -> bool:
        """Return whether the command ended, as far as is known without waiting."""
        self._take_in()
        return self._gone or self._has_status()

    async def wait_gone(self, timeout_s: float) -> bool:
        """Wait until nothing of it is left; return False when that takes longer than ``timeout_s``."""
        with anyio.move_on_after(timeout_s):
            await self._wait(lambda: False)
        return self._gone

    async def terminate(self) -> None:
        """SIGTERM to its group, SIGKILL to all below it ``GRACE_S`` later; bounded, cannot be cancelled."""
        with anyio.CancelScope(shield=True):
            self._order(b"T")
            if not await self.wait_gone(GRACE_S):
                await self.kill()

    async def kill(self) -> None:
        """SIGKILL everything below it and wait at most twice ``GRACE_S`` for its end; cannot be cancelled."""
        with anyio.CancelScope(shield=True):
            self.order_kill()
            if not await self.wait_gone(GRACE_S):
                self._kill_past_minder()
                await self.wait_gone(GRACE_S)

    def _kill_past_minder(self) -> None:
        """Kill a minder that does not obey, and all below it: it was stopped, by whatever it minds.

        It holds its end of the call socket still, so it has not buried the command, whose id is nobody else's.
        """
        minder = watch.parent(self.pid) if self.pid is not None and not self._gone else None
        if minder is not None and minder > 1 and minder != os.getpid():
            watch.kill_below(minder)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(minder, signal.SIGKILL)

    def order_kill(self) -> None:
        """SIGKILL everything below it, not waiting for its end."""
        self._order(b"K")

    async def feed(self, data: bytes) -> None:
        """Write ``data`` to its stdin and close that; a command that stops reading ends the writing."""
        if self.stdin is None:
            return
        view = memoryview(data)
        with contextlib.suppress(BrokenPipeError):
            while view:
                try:
                    view = view[os.write(self.stdin, view[:_CHUNK_BYTES]) :]
                    await checkpoint()
                except BlockingIOError:
                    await anyio.wait_writable(self.stdin)
        self._close(self.stdin)

    async def read(self, descriptor: int) -> bytes:
        """Return the next bytes of ``stdout`` or ``stderr``; empty at the end."""
        while True:
            # Between a yield and the read nothing can be cancelled: no byte that was read is lost.
            await checkpoint()
            try:
                return os.read(descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(descriptor)

    def read_left(self, descriptor: int) -> bytes:
        """Return what lies in the pipe, not waiting for a process that may still hold it."""
        try:
            return os.read(descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Close our ends; what still runs is killed by its minder. Closing twice is harmless."""
        self._call.close()
        for descriptor in tuple(self._open):
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)

    def _order(self, order: bytes) -> None:
        with contextlib.suppress(OSError):
            self._call.send(order)

    def _has_status(self) -> bool:
        return self.exit_code is not None or self.signal is not None

    async def _wait(self, reached: Callable[[], bool]) -> None:
        while True:
            self._take_in()
            if self._gone or reached():
                return
            await anyio.wait_readable(self._call)

    def _take_in(self) -> None:
        """Take in what the minder said so far."""
        try:
            while part := self._call.recv(4_096):
                self._said += part
            self._gone = True
        except BlockingIOError:
            pass
        except OSError:
            self._gone = True
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            kind, number = chr(line[0]), int(line[2:])
            if kind == "P":
                self.pid = number
            elif kind == "X":
                self.exit_code = number
            elif kind == "S":
                self.signal = number
            elif kind == "L":
                self.exceeded = "processes" if number == 1 else "memory"
            elif kind == "C":
                self._failure = LaunchFailed(os.strerror(number).lower(), number, confined=False)
            elif kind == "D":
                why = os.strerror(number).lower()
                self._failure = LaunchFailed(
                    f"no directory for it can be made where temporary files go (TMPDIR): {why}"
                )
            else:
                at_fault = number if kind == "E" else None
                self._failure = LaunchFailed(os.strerror(number).lower(), at_fault)
