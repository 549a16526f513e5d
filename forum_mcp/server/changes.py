"""Telling clients what has changed: one bus for both protocol eras.

Entries are appended by this process and by others on the same ledger, so the ledger itself is watched, while somebody
listens: its size is read a few times a second, and what the new entries changed is published once for each burst.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import anyio
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged, ResourceUpdated, ServerEvent

from forum_mcp.errors import ForumError
from forum_mcp.resources.changes import changes_between

if TYPE_CHECKING:
    from mcp.server.connection import Connection

    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["Bus", "Mailbox", "watch"]

_log = logging.getLogger(__name__)

_LOOK_S: Final = 0.25
_KEPT: Final = 1_024
_STATE: Final = "forum-mcp"


class Bus(InMemorySubscriptionBus):
    """The SDK's bus, which also knows whether anybody listens, and carries which runs have moved."""

    def __init__(self) -> None:
        super().__init__()
        self._listening = 0
        self._wanted = anyio.Event()
        self._on_runs: dict[object, Callable[[tuple[str, ...]], None]] = {}

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Register a listener; return what ends that, however often it is called."""
        return self._counted(super().subscribe(listener))

    def follow_runs(self, listener: Callable[[tuple[str, ...]], None]) -> Callable[[], None]:
        """Call ``listener`` with the ids of runs that have moved; return what ends that."""
        token = object()
        self._on_runs[token] = listener
        return self._counted(lambda: self._on_runs.pop(token, None) and None)

    async def wanted(self) -> None:
        """Wait until somebody listens."""
        while not self._listening:
            self._wanted = anyio.Event()
            await self._wanted.wait()

    def runs_moved(self, runs: tuple[str, ...]) -> None:
        """Tell those who follow runs."""
        for listener in list(self._on_runs.values()):
            listener(runs)

    def _counted(self, end: Callable[[], None]) -> Callable[[], None]:
        self._listening += 1
        self._wanted.set()
        ended = False

        def unsubscribe() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._listening -= 1
                end()

        return unsubscribe


async def watch(forum: Orchestrator, bus: Bus, seen: int) -> None:
    """Publish what entries from seq ``seen`` on change, until cancelled."""
    while True:
        await bus.wanted()
        now = seen
        try:
            now = forum.ledger.size
            changes = changes_between(forum, seen, now) if now > seen else None
        except ForumError as error:  # whoever reads it next is told; news are only a courtesy
            _log.warning("what has changed in the ledger cannot be read: %s", error)
            changes = None
        if changes is not None:
            seen = now
            for uri in changes.uris:
                await bus.publish(ResourceUpdated(uri=uri))
            if changes.listed:
                await bus.publish(ResourcesListChanged())
            bus.runs_moved(changes.runs)
        await anyio.sleep(_LOOK_S)


class Mailbox:
    """Notifications for one client of the handshake era: bounded, and sent by a task that outlives requests."""

    def __init__(self, connection: Connection, bus: Bus) -> None:
        self.uris: set[str] = set()
        self._connection = connection
        self._send, self._received = anyio.create_memory_object_stream[ServerEvent](_KEPT)
        connection.exit_stack.callback(self._send.close)
        connection.exit_stack.callback(bus.subscribe(self._put))

    @classmethod
    def of(cls, connection: Connection) -> Mailbox | None:
        """Return the mailbox of a connection, if it has one."""
        mailbox = connection.state.get(_STATE)
        return mailbox if isinstance(mailbox, cls) else None

    @classmethod
    def open(cls, connection: Connection, bus: Bus) -> Mailbox:
        """Give a connection its mailbox."""
        mailbox = cls(connection, bus)
        connection.state[_STATE] = mailbox
        return mailbox

    def _put(self, event: ServerEvent) -> None:
        if isinstance(event, ResourcesListChanged) or (isinstance(event, ResourceUpdated) and event.uri in self.uris):
            try:
                self._send.send_nowait(event)
            except anyio.WouldBlock:  # a client that does not read misses news, and may read anew
                return

    async def deliver(self) -> None:
        """Send what comes until the connection closes."""
        with self._received:
            async for event in self._received:
                if isinstance(event, ResourceUpdated):
                    await self._connection.send_resource_updated(event.uri)
                else:
                    await self._connection.send_resource_list_changed()
