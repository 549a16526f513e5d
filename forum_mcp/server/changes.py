"""Telling clients what has changed: one bus for both protocol eras.

Entries are appended by this process and by others on the same ledger, so the ledger itself is watched, while somebody
listens: its size is read a few times a second, and what the new entries changed is told once for each burst. Every
listener tells its client what that client may read, and no more.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio
from mcp.server.subscriptions import InMemorySubscriptionBus, ServerEvent

from forum_mcp.errors import ForumError
from forum_mcp.resources.changes import Changes, changes_between

if TYPE_CHECKING:
    from mcp.server.connection import Connection

    from forum_mcp.engine.forum import Forum

__all__ = ["Bus", "Mailbox", "Reader", "told_of", "watch"]

Reader = Callable[[], Awaitable["Forum"]]
"""Gives the forum as whoever listens may read it."""

_log = logging.getLogger(__name__)

_LOOK_S: Final = 0.25
_KEPT: Final = 1_024
_STATE: Final = "forum-mcp"


class Bus(InMemorySubscriptionBus):
    """The SDK's bus, which also knows whether anybody listens, and carries what new entries have changed."""

    def __init__(self) -> None:
        super().__init__()
        self._listening = 0
        self._wanted = anyio.Event()
        self._followers: dict[object, Callable[[Changes], None]] = {}

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Register a listener; return what ends that, however often it is called."""
        return self._counted(super().subscribe(listener))

    def follow(self, listener: Callable[[Changes], None]) -> Callable[[], None]:
        """Call ``listener`` with what new entries have changed; return what ends that."""
        token = object()
        self._followers[token] = listener
        return self._counted(lambda: self._followers.pop(token, None) and None)

    async def wanted(self) -> None:
        """Wait until somebody listens."""
        while not self._listening:
            self._wanted = anyio.Event()
            await self._wanted.wait()

    def tell(self, changes: Changes) -> None:
        """Tell those who follow."""
        for listener in list(self._followers.values()):
            listener(changes)

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


async def watch(forum: Forum, bus: Bus, seen: int) -> None:
    """Tell what entries from seq ``seen`` on change, until cancelled."""
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
            bus.tell(changes)
        await anyio.sleep(_LOOK_S)


class Mailbox:
    """Notifications for one client of the handshake era: bounded, and sent by a task that outlives requests."""

    def __init__(self, connection: Connection, bus: Bus, reader: Reader) -> None:
        self.uris: set[str] = set()
        self._connection = connection
        self._reader = reader
        self._send, self._received = anyio.create_memory_object_stream[Changes](_KEPT)
        connection.exit_stack.callback(self._send.close)
        connection.exit_stack.callback(bus.follow(self._put))

    @classmethod
    def of(cls, connection: Connection) -> Mailbox | None:
        """Return the mailbox of a connection, if it has one."""
        mailbox = connection.state.get(_STATE)
        return mailbox if isinstance(mailbox, cls) else None

    @classmethod
    def open(cls, connection: Connection, bus: Bus, reader: Reader) -> Mailbox:
        """Give a connection its mailbox."""
        mailbox = cls(connection, bus, reader)
        connection.state[_STATE] = mailbox
        return mailbox

    def _put(self, changes: Changes) -> None:
        try:
            self._send.send_nowait(changes)
        except anyio.WouldBlock:  # a client that does not read misses news, and may read anew
            return

    async def deliver(self) -> None:
        """Send what comes until the connection closes."""
        with self._received:
            async for changes in self._received:
                told = await told_of(changes, self._reader)
                for uri in told.uris():
                    if uri in self.uris:
                        await self._connection.send_resource_updated(uri)
                if told.listed:
                    await self._connection.send_resource_list_changed()


async def told_of(changes: Changes, reader: Reader) -> Changes:
    """Return what of the changes a reader is told; nothing about runs once the forum is closing."""
    try:
        forum = await reader()
    except ForumError:
        return Changes(())
    return changes.seen(forum.sees)
