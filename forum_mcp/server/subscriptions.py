"""``subscriptions/listen`` of 2026-07-28: the changes the SDK knows, and those of tasks, on one stream.

The acknowledgement is the first frame; every frame carries the subscription's id; nothing is sent that was not asked
for. A client that stops reading ends its own stream: it listens again and reads anew. So does one whose token ends, or
whose place another client needs (``server/seats.py``): its stream has its result, as if the client had ended it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import anyio
import mcp_types as types
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    event_matches,
    event_to_notification,
)

from forum_mcp.resources.changes import Changes
from forum_mcp.server.changes import told_of
from forum_mcp.server.sdk import notify
from forum_mcp.server.seats import Seats
from forum_mcp.server.tasks import EXTENSION
from forum_mcp.server.wire import BUSY

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream
    from mcp.server.context import ServerRequestContext

    from forum_mcp.engine.forum import Forum
    from forum_mcp.server.changes import Bus
    from forum_mcp.server.tasks import Desk, TaskState

__all__ = ["STREAMS_MAX", "Holder", "Listening"]

STREAMS_MAX: Final = 64
"""Most streams of one process."""

_KEPT: Final = 1_024
_TASKS_MAX: Final = 1_000


class Holder(NamedTuple):
    """Whoever listens: its name, and until when it may (seconds, monotonic; None for ever)."""

    name: str = ""
    until: float | None = None


class Listening:
    """Serves ``subscriptions/listen``.

    ``desk`` is None where no tasks are served; ``forum_of`` gives the forum as whoever made a request may read it, and
    ``holder_of`` who that is.
    """

    def __init__(
        self,
        bus: Bus,
        desk: Desk | None,
        forum_of: Callable[[ServerRequestContext[Any, Any]], Awaitable[Forum]],
        holder_of: Callable[[ServerRequestContext[Any, Any]], Holder],
    ) -> None:
        self._bus = bus
        self._desk = desk
        self._forum_of = forum_of
        self._holder_of = holder_of
        self._seats = Seats(STREAMS_MAX)

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream until its client goes away or may not listen any more.

        Raises:
            MCPError: the client wants tasks and did not declare them, or there are too many streams.
        """
        if ctx.request_id is None:
            raise MCPError(types.INVALID_REQUEST, "subscriptions/listen needs a request id")
        tasks = await self._tasks(ctx, params.notifications)
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: ctx.request_id}
        name, until = self._holder_of(ctx)
        with self._seats.seat(name) as seated:
            if not seated:
                raise MCPError(
                    BUSY,
                    f"{STREAMS_MAX} streams are open, {self._seats.held(name)} of them yours; end one of yours, or "
                    "follow all you want on one: a stream takes any number of resources and tasks",
                )
            with anyio.CancelScope(deadline=math.inf if until is None else until):
                await self._stream(ctx, _honored(params.notifications, list(tasks)), tasks, meta)
        return types.SubscriptionsListenResult(_meta=meta)

    async def _stream(
        self,
        ctx: ServerRequestContext[Any, Any],
        honored: types.SubscriptionFilter,
        tasks: dict[str, TaskState],
        meta: dict[str, Any],
    ) -> None:
        """Acknowledge, and tell what changes."""
        uris = frozenset(honored.resource_subscriptions or ())
        send, received = anyio.create_memory_object_stream[ServerEvent | Changes](_KEPT)
        # Before the acknowledgement: what happens while it is being written must not be lost.
        ends = [self._bus.subscribe(partial(_put, send)), self._bus.follow(partial(_put, send))]
        try:
            await ctx.session.send_notification(
                types.SubscriptionsAcknowledgedNotification(
                    params=types.SubscriptionsAcknowledgedNotificationParams(notifications=honored, _meta=meta)
                ),
                related_request_id=ctx.request_id,
            )
            async for news in received:
                for event in await self._events(ctx, news):
                    if event_matches(honored, uris, event):
                        notification = event_to_notification(event, meta)
                        await ctx.session.send_notification(notification, related_request_id=ctx.request_id)
                for task_id in tasks.keys() & set(news.runs if isinstance(news, Changes) else ()):
                    await self._tell(ctx, task_id, tasks, meta)
        finally:
            for end in ends:
                end()
            send.close()
            received.close()

    async def _events(self, ctx: ServerRequestContext[Any, Any], news: ServerEvent | Changes) -> list[ServerEvent]:
        """Return what of the news concerns what the client may read."""
        if not isinstance(news, Changes):
            return [news]
        told = await told_of(news, partial(self._forum_of, ctx))
        updated: list[ServerEvent] = [ResourceUpdated(uri=uri) for uri in told.uris()]
        return [*updated, ResourcesListChanged()] if told.listed else updated

    async def _tasks(
        self, ctx: ServerRequestContext[Any, Any], wanted: types.SubscriptionFilter
    ) -> dict[str, TaskState]:
        """Return the tasks that are asked about and exist, as they are now."""
        given: object = (wanted.model_extra or {}).get("taskIds")
        if self._desk is None or not given:
            return {}
        require_client_extension(ctx, EXTENSION)
        ids = cast("list[object]", given) if isinstance(given, list) else []
        if len(ids) > _TASKS_MAX or not ids or not all(isinstance(task_id, str) for task_id in ids):
            raise MCPError(types.INVALID_PARAMS, f"taskIds must be a list of at most {_TASKS_MAX} strings")
        found: dict[str, TaskState] = {}
        for task_id in dict.fromkeys(map(str, ids)):
            try:
                found[task_id] = await self._desk.state(task_id, ctx)
            except MCPError:
                continue  # one that does not exist is not acknowledged, and that is all that is said of it
        return found

    async def _tell(
        self, ctx: ServerRequestContext[Any, Any], task_id: str, known: dict[str, TaskState], meta: dict[str, Any]
    ) -> None:
        """Send a task that is another than the client knows."""
        assert self._desk is not None
        state = await self._desk.state(task_id, ctx)
        before, known[task_id] = known[task_id], state
        if (state.status, state.message, state.detail.keys()) != (before.status, before.message, before.detail.keys()):
            await notify(ctx.session, "notifications/tasks", {**state.detailed(), "_meta": meta})


def _put(send: MemoryObjectSendStream[ServerEvent | Changes], news: ServerEvent | Changes) -> None:
    try:
        send.send_nowait(news)
    except anyio.WouldBlock:
        send.close()
    except anyio.ClosedResourceError:
        return


def _honored(wanted: types.SubscriptionFilter, task_ids: list[str]) -> types.SubscriptionFilter:
    """Return what will be delivered of what was asked for; what was not is left out."""
    honored = types.SubscriptionFilter(
        tools_list_changed=True if wanted.tools_list_changed else None,
        prompts_list_changed=True if wanted.prompts_list_changed else None,
        resources_list_changed=True if wanted.resources_list_changed else None,
        resource_subscriptions=list(wanted.resource_subscriptions) if wanted.resource_subscriptions else None,
    )
    if task_ids and honored.model_extra is not None:
        honored.model_extra["taskIds"] = task_ids
    return honored
