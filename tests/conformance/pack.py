"""The product's own server with the fixtures of the conformance suite added: same class, same middleware, same errors.

What the suite asks for by name is found among the fixtures first; everything else goes where it goes in the product.
"""

from typing import Any

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.connection import Connection
from starlette.applications import Starlette

from forum_mcp.server.http import HttpServer
from forum_mcp.server.lifespan import OpenForum
from forum_mcp.server.sdk import AnyContext
from forum_mcp.server.tasks import Desk
from tests.conformance import asking, content, jobs, schemas
from tests.conformance.events import Events
from tests.conformance.jobs import JobDesk

__all__ = ["FixtureServer"]


class FixtureServer(HttpServer):
    """``HttpServer`` plus fixtures, which the SDK's own registries hold."""

    def __init__(self, open_forum: OpenForum, *, tools: str = "all", read_only: bool = False) -> None:
        super().__init__(open_forum, tools=tools, read_only=read_only)
        for fixtures in (content, asking, jobs, schemas):
            fixtures.register(self)

        async def accepted(ctx: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
            return types.EmptyResult()

        self.serve_method("logging/setLevel", types.SetLevelRequestParams, accepted)

    def streamable_http_app(self, **settings: Any) -> Starlette:
        return super().streamable_http_app(event_store=Events(), retry_interval=100, **settings)

    def task_desk(self) -> Desk:
        return JobDesk(self._forum_of, self.bus)

    async def list_tools(self) -> list[types.Tool]:
        return [*await super().list_tools(), *await MCPServer.list_tools(self)]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: AnyContext | None = None
    ) -> types.CallToolResult | types.InputRequiredResult:
        if any(tool.name == name for tool in await MCPServer.list_tools(self)):
            return await MCPServer.call_tool(self, name, arguments, context)
        return await super().call_tool(name, arguments, context)

    async def list_resources_page(self, cursor: str | None, context: AnyContext) -> types.ListResourcesResult:
        page = await super().list_resources_page(cursor, context)
        page.resources.extend(await MCPServer.list_resources(self))
        return page

    async def list_resource_templates(self) -> list[types.ResourceTemplate]:
        return [*await super().list_resource_templates(), *await MCPServer.list_resource_templates(self)]

    async def read_contents(self, uri: str, context: AnyContext) -> types.ReadResourceResult:
        if not uri.startswith("test://"):
            return await super().read_contents(uri, context)
        request = context.request_context
        params = types.ReadResourceRequestParams(uri=uri)
        result = await MCPServer._handle_read_resource(self, request, params)  # pyright: ignore[reportPrivateUsage]
        assert isinstance(result, types.ReadResourceResult)
        return result

    async def subscribe(self, uri: str, connection: Connection, context: AnyContext) -> None:
        if not uri.startswith("test://"):
            await super().subscribe(uri, connection, context)

    async def list_prompts(self) -> list[types.Prompt]:
        return [*await super().list_prompts(), *await MCPServer.list_prompts(self)]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: AnyContext | None = None
    ) -> types.GetPromptResult | types.InputRequiredResult:
        if any(prompt.name == name for prompt in await MCPServer.list_prompts(self)):
            return await MCPServer.get_prompt(self, name, arguments, context)
        return await super().get_prompt(name, arguments, context)
