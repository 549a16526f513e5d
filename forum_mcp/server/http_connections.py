"""Connections that cost little, whoever opens them: so many at once, each sends a whole head and reads in time.

Uvicorn waits for ever for the first bytes of a connection, for the rest of a head that was begun, and for a client
that does not read. Here nothing more is written before the system took what was: one answer, beside the system's own
buffers, is all that a client can leave lying.
"""

from __future__ import annotations

import sys
from socket import SO_LINGER, SOL_SOCKET, socket
from struct import pack
from typing import TYPE_CHECKING, ClassVar, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ

if TYPE_CHECKING:
    from asyncio import TimerHandle, Transport  # noqa: TID251  uvicorn's protocols are asyncio's

__all__ = ["CONNECTIONS_MAX", "HEAD_MAX", "HEAD_S", "PACE_BYTES", "UNREAD_S", "BoundedConnection"]

CONNECTIONS_MAX: Final = 256
"""Connections at the same moment; one more is closed as it comes."""

HEAD_MAX: Final = 32 * 1024
"""Most bytes of a request's line and headers."""

HEAD_S: Final = 10.0
"""How long the head of a request may take, seconds."""

UNREAD_S: Final = 30.0
"""How long a client may leave unread what was sent to it, seconds."""

PACE_BYTES: Final = 32 * 1024
"""What a client that reads slowly takes at least in that time."""


class BoundedConnection(H11Protocol):
    """One HTTP/1.1 connection."""

    head_s: ClassVar[float] = HEAD_S
    unread_s: ClassVar[float] = UNREAD_S
    connections_max: ClassVar[int] = CONNECTIONS_MAX

    _head_timer: TimerHandle | None = None
    _unread_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take a connection in, or close it at once when there are too many."""
        if len(self.connections) >= self.connections_max:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_head()
        self._forget_unread()
        if self.flow is not None:  # pyright: ignore[reportUnnecessaryComparison]  None until it was taken in
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came; a head that is still not whole has only the rest of its time."""
        if self.flow is None:  # pyright: ignore[reportUnnecessaryComparison]
            return
        super().data_received(data)
        if self._answering:
            self._forget_head()
        elif self._head_timer is None and not self.transport.is_closing():
            self._watch_head()

    def pause_writing(self) -> None:
        """Write no more before the client has read; it has its time for that."""
        super().pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        """Go on."""
        self._forget_unread()
        super().resume_writing()

    @property
    def _answering(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _watch_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_s, self._late)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _forget_unread(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _watch_unread(self) -> None:
        self._unread_timer = self.loop.call_later(self.unread_s, self._unread, self._left())

    def _left(self) -> int:
        """Return the bytes that the client did not take."""
        return self.transport.get_write_buffer_size() + _in_system(self.transport.get_extra_info("socket"))

    def _unread(self, left: int) -> None:
        """Drop the connection, and what the system keeps for it, unless the client took enough of ``left`` bytes."""
        if left - self._left() >= PACE_BYTES:
            self._watch_unread()
            return
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
        self.transport.abort()

    def _late(self) -> None:
        self._head_timer = None
        if not self._answering:
            self.transport.abort()


def _in_system(connection: socket) -> int:
    """Return the bytes written to a connection that the other end did not acknowledge; 0 where the system tells none.

    It takes more from us only when a third of its buffer is free, which may be megabytes: seen from here alone, a
    client that reads steadily would seem to stand still.
    """
    if sys.platform != "linux":
        return 0
    return int.from_bytes(ioctl(connection.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)
