"""Every use of a private part of the SDK, so that a new version of it breaks one module and one test.

The SDK's high-level server cannot page or size ``resources/list``, serve over streams of ours, or name its client;
``tests/server/test_sdk_contract.py`` holds it to what is used here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

if TYPE_CHECKING:
    from anyio.abc import ObjectReceiveStream, ObjectSendStream
    from mcp.server import ServerRequestContext
    from mcp.shared.message import SessionMessage

__all__ = ["PagingServer", "client_name", "serve_streams"]

_CLIENT_NAME_MAX = 60


class PagingServer(MCPServer[Any]):
    """An ``MCPServer`` whose ``resources/list`` has pages."""

    async def list_resources_page(self, cursor: str | None, context: Context[Any, Any]) -> types.ListResourcesResult:
        """Return one page of resources; ``cursor`` is None for the first."""
        raise NotImplementedError

    async def _handle_list_resources(
        self, ctx: ServerRequestContext[Any, Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        context = Context[Any, Any](request_context=ctx, mcp_server=self)
        return await self.list_resources_page(params.cursor if params else None, context)


async def serve_streams(
    server: MCPServer[Any],
    read: ObjectReceiveStream[SessionMessage | Exception],
    write: ObjectSendStream[SessionMessage],
) -> None:
    """Serve one connection, of either protocol era, over streams of messages until ``read`` ends."""
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    await lowlevel.run(read, write, lowlevel.create_initialization_options())


def client_name(context: Context[Any, Any]) -> str:
    """Return the name the client gives itself, fit for an entry's actor; ``client`` when it gives none."""
    params = context.request_context.session.client_params
    name = params.client_info.name if params is not None else ""
    return "".join(c for c in name if c.isprintable()).strip()[:_CLIENT_NAME_MAX] or "client"
