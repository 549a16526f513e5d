"""Every use of a private part of the SDK, so that a new version of it breaks one module and one test.

The SDK's high-level server cannot page or size ``resources/list``, tell how long one resource stays fresh, complete
with the request's context, serve ``resources/subscribe`` and ``listChanged`` of the handshake revisions, carry
``notifications/tasks``, serve over streams of ours, or name its client; ``tests/server/test_sdk_contract.py`` holds
it to what is used here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.lowlevel import NotificationOptions
from mcp.server.mcpserver import Context

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream, ObjectSendStream
    from mcp.server import ServerRequestContext
    from mcp.server.connection import Connection
    from mcp.server.session import ServerSession
    from mcp.shared.message import SessionMessage

__all__ = ["AnyContext", "OpenServer", "client_of", "connection_of", "declares", "notify", "serve_streams"]

_CLIENT_NAME_MAX = 60

AnyContext = Context[Any, Any]
"""The context of a request, whatever it is a request for."""


class OpenServer(MCPServer[Any]):
    """An ``MCPServer`` that leaves resources, completions and subscriptions to methods that may be overridden."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        low = self._lowlevel_server
        low.add_request_handler("completion/complete", types.CompleteRequestParams, self._handle_complete)
        low.add_request_handler("resources/subscribe", types.SubscribeRequestParams, self._handle_subscribe)
        low.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, self._handle_unsubscribe)
        low.add_notification_handler("notifications/initialized", types.NotificationParams, self._handle_initialized)
        options = partial(low.create_initialization_options, NotificationOptions(resources_changed=True))
        low.create_initialization_options = options  # type: ignore[method-assign]

    async def list_resources_page(self, cursor: str | None, context: AnyContext) -> types.ListResourcesResult:
        """Return one page of resources; ``cursor`` is None for the first."""
        raise NotImplementedError

    async def read_contents(self, uri: str, context: AnyContext) -> types.ReadResourceResult:
        """Return what a URI holds, and how long that stays fresh."""
        raise NotImplementedError

    async def complete(self, params: types.CompleteRequestParams, context: AnyContext) -> types.Completion:
        """Return how an argument that was begun may go on."""
        raise NotImplementedError

    async def connected(self, connection: Connection, context: AnyContext) -> None:
        """Note a client of the handshake era that is ready for notifications."""

    async def subscribe(self, uri: str, connection: Connection, context: AnyContext) -> None:
        """Send a client of the handshake era a notification whenever what ``uri`` holds has changed."""
        raise NotImplementedError

    async def unsubscribe(self, uri: str, connection: Connection) -> None:
        """End what ``subscribe`` began."""
        raise NotImplementedError

    def serve_method(self, method: str, params: type[Any], handler: Callable[..., Awaitable[Any]]) -> None:
        """Serve a request method with a handler of ours, in place of the SDK's where it has one."""
        self._lowlevel_server.add_request_handler(method, params, handler)

    def context_of(self, ctx: ServerRequestContext[Any, Any]) -> AnyContext:
        """Return the context that methods take, of a request's own."""
        return Context[Any, Any](request_context=ctx, mcp_server=self)

    async def _handle_list_resources(
        self, ctx: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        return await self.list_resources_page(params.cursor if params else None, self.context_of(ctx))

    async def _handle_read_resource(
        self, ctx: ServerRequestContext[Any, Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        return await self.read_contents(str(params.uri), self.context_of(ctx))

    async def _handle_complete(
        self, ctx: ServerRequestContext[Any, Any], params: types.CompleteRequestParams
    ) -> types.CompleteResult:
        return types.CompleteResult(completion=await self.complete(params, self.context_of(ctx)))

    async def _handle_subscribe(
        self, ctx: ServerRequestContext[Any, Any], params: types.SubscribeRequestParams
    ) -> types.EmptyResult:
        await self.subscribe(str(params.uri), connection_of(ctx.session), self.context_of(ctx))
        return types.EmptyResult()

    async def _handle_unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], params: types.UnsubscribeRequestParams
    ) -> types.EmptyResult:
        await self.unsubscribe(str(params.uri), connection_of(ctx.session))
        return types.EmptyResult()

    async def _handle_initialized(self, ctx: ServerRequestContext[Any, Any], params: types.NotificationParams) -> None:
        await self.connected(connection_of(ctx.session), self.context_of(ctx))


async def serve_streams(
    server: MCPServer[Any],
    read: ObjectReceiveStream[SessionMessage | Exception],
    write: ObjectSendStream[SessionMessage],
) -> None:
    """Serve one connection, of either protocol era, over streams of messages until ``read`` ends."""
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    await lowlevel.run(read, write, lowlevel.create_initialization_options())


def connection_of(session: ServerSession) -> Connection:
    """Return the connection that a request's session belongs to; it outlives the request."""
    return session._connection  # pyright: ignore[reportPrivateUsage]


async def notify(session: ServerSession, method: str, params: dict[str, Any]) -> None:
    """Send a notification the SDK has no type for on the stream of the session's request."""
    await session._request_outbound.notify(method, params)  # pyright: ignore[reportPrivateUsage]


def client_of(session: ServerSession) -> str:
    """Return the name the client gives itself, fit for an entry's actor; ``client`` when it gives none."""
    params = session.client_params
    name = params.client_info.name if params is not None else ""
    return "".join(c for c in name if c.isprintable()).strip()[:_CLIENT_NAME_MAX] or "client"


def declares(session: ServerSession, extension: str) -> bool:
    """Tell whether the client declared an extension: in the handshake, or with this request."""
    capabilities = session.client_capabilities
    return extension in ((capabilities and capabilities.extensions) or {})
