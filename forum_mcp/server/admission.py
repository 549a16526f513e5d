"""Requests between the wire and the session: so many are served at once, so many wait, and no more.

The wire is read all the time, because what cancels a request comes the same way as requests do. Memory stays bounded
all the same: what would be one too many is answered at once instead of being kept.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from typing import Final

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

__all__ = ["IN_FLIGHT_MAX", "WAITING_BYTES_MAX", "WAITING_MAX", "Admission"]

IN_FLIGHT_MAX: Final = 256
"""Requests that are served at the same moment."""

WAITING_MAX: Final = 1_024
"""Messages that wait for their turn."""

WAITING_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of messages that wait for their turn."""


class Admission:
    """The messages of one connection, in the order they came."""

    def __init__(self) -> None:
        self._in_flight: Counter[Hashable] = Counter()
        self._waiting: deque[tuple[SessionMessage, int]] = deque()
        self._waiting_bytes = 0
        self._moved = anyio.Event()

    @property
    def idle(self) -> bool:
        """True when nothing is served and nothing waits."""
        return not self._waiting and not self._in_flight

    def offer(self, message: SessionMessage, size_bytes: int) -> bool:
        """Take a message in; False when too many wait already.

        A cancellation overtakes everything. What it cancels is no longer counted; a request that still waits is
        dropped, and never answered; a cancellation of nothing is dropped itself.
        """
        body = message.message
        if isinstance(body, JSONRPCNotification) and body.method == "notifications/cancelled":
            target = (body.params or {}).get("requestId")
            if isinstance(target, int | str) and not self._drop(target) and self._in_flight[target]:
                self._waiting.appendleft((message, 0))
                self.settle(target)
            return True
        if len(self._waiting) >= WAITING_MAX or self._waiting_bytes + size_bytes > WAITING_BYTES_MAX:
            return False
        self._waiting.append((message, size_bytes))
        self._waiting_bytes += size_bytes
        self._move()
        return True

    async def take(self, message: SessionMessage, size_bytes: int) -> bool:
        """Take a message in once there is room; False when there will be none before some request is answered."""
        while not self.offer(message, size_bytes):
            if self._full:
                return False
            await self.moved()
        return True

    async def next(self) -> SessionMessage:
        """Return the next message whose turn it is; a request is in flight from then on."""
        while not self._waiting or (self._full and isinstance(self._waiting[0][0].message, JSONRPCRequest)):
            await self.moved()
        message, size_bytes = self._waiting.popleft()
        self._waiting_bytes -= size_bytes
        if isinstance(message.message, JSONRPCRequest):
            self._in_flight[message.message.id] += 1
        self._move()
        return message

    def settle(self, request_id: object) -> None:
        """Note that a request was answered, or will not be."""
        if isinstance(request_id, int | str) and request_id in self._in_flight:
            self._in_flight[request_id] -= 1
            self._in_flight += Counter()  # forgets those at zero
        self._move()

    async def moved(self) -> None:
        """Wait until something came or was settled."""
        moved = self._moved
        await moved.wait()

    @property
    def _full(self) -> bool:
        return self._in_flight.total() >= IN_FLIGHT_MAX

    def _drop(self, request_id: int | str) -> bool:
        for position, (message, size_bytes) in enumerate(self._waiting):
            if isinstance(message.message, JSONRPCRequest) and message.message.id == request_id:
                del self._waiting[position]
                self._waiting_bytes -= size_bytes
                self._move()
                return True
        return False

    def _move(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()
