"""One open forum per server, opened when first needed and closed in order.

A client that only lists tools must not make a ledger, so the forum opens on the first call that needs it. It is held by
a task of its own: the requests that use it come and go, its runs do not. Closing is shielded from cancellation, since
runs have to be recorded as interrupted and children ended, and bounded, since the process has to end.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.abc

from forum_mcp.errors import ForumError

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["CLOSE_S", "Beside", "ForumClosing", "LazyForum", "OpenForum", "lazily"]

OpenForum = Callable[[], AbstractAsyncContextManager["Orchestrator"]]
Beside = Callable[["Orchestrator", int], Coroutine[Any, Any, None]]

CLOSE_S: Final = 1.0
"""Seconds that closing may take before it is cancelled; the process has to end within 2 s."""

_log = logging.getLogger(__name__)


class ForumClosing(ForumError):
    """The server is shutting down and takes no more calls."""

    code = "forum-closing"


class _Attempt:
    """One try to open the forum, which any number of requests may wait for."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.forum: Orchestrator | None = None
        self.error: Exception | None = None


class LazyForum:
    """Holds the forum open between the first use and the end of the server.

    ``beside`` is run beside the open forum and cancelled before it is closed; it is given the forum and the number of
    entries at the moment it opened.
    """

    def __init__(self, open_forum: OpenForum, beside: Beside | None = None) -> None:
        self._open_forum = open_forum
        self._beside = beside
        self._group: anyio.abc.TaskGroup | None = None
        self._attempt = _Attempt()
        self._wanted = anyio.Event()
        self._stop = anyio.Event()
        self._closed = anyio.Event()
        self._scope = anyio.CancelScope(shield=True)

    async def forum(self) -> Orchestrator:
        """Return the open forum, opening it if need be.

        Raises:
            ForumClosing: the server is shutting down.
            ForumError: the forum cannot be opened (the next call tries again).
        """
        attempt = self._attempt
        self._wanted.set()
        await attempt.done.wait()
        if attempt.error is not None:
            raise attempt.error
        if attempt.forum is None or self._stop.is_set():
            raise ForumClosing("the server is shutting down; nothing was done")
        return attempt.forum

    async def hold(self) -> None:
        """Open the forum whenever it is wanted and not open, until ``close``; the body of the task that holds it."""
        with self._scope:
            try:
                while not self._stop.is_set():
                    await self._wanted.wait()
                    if not self._stop.is_set():
                        await self._hold_once()
            finally:
                self._attempt.done.set()
                self._closed.set()

    async def _hold_once(self) -> None:
        attempt = self._attempt
        try:
            async with self._open_forum() as forum, anyio.create_task_group() as group:
                if self._beside is not None:
                    group.start_soon(self._beside, forum, forum.ledger.size)
                attempt.forum = forum
                attempt.done.set()
                await self._stop.wait()
                group.cancel_scope.cancel()
        except Exception as exc:
            if attempt.done.is_set():
                _log.exception("the open forum failed; the next call opens it again")
            attempt.error = exc
        if not self._stop.is_set():
            self._attempt = _Attempt()
            self._wanted = anyio.Event()
        attempt.done.set()

    def gather(self, group: anyio.abc.TaskGroup) -> None:
        """Let ``start`` use the group."""
        self._group = group

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``work`` for as long as the server lives, or until it ends by itself."""
        if self._group is not None and not self._stop.is_set():
            self._group.start_soon(work)

    async def close(self) -> None:
        """Close the forum in order within ``CLOSE_S`` seconds, whatever cancels the caller."""
        self._stop.set()
        self._wanted.set()
        with anyio.move_on_after(CLOSE_S, shield=True):
            await self._closed.wait()
        self._scope.cancel()


@asynccontextmanager
async def lazily(open_forum: OpenForum, beside: Beside | None = None) -> AsyncGenerator[LazyForum]:
    """Keep a forum for the length of the block."""
    lazy = LazyForum(open_forum, beside)
    async with anyio.create_task_group() as tasks:
        lazy.gather(tasks)
        tasks.start_soon(lazy.hold)
        try:
            yield lazy
        finally:
            await lazy.close()
            tasks.cancel_scope.cancel()
