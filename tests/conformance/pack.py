"""The product's own server with the fixtures of the conformance suite added: same class, same middleware, same errors.

What the suite asks for by name is found among the fixtures first; everything else goes where it goes in the product.
"""

from typing import Any

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.connection import Connection

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.app import ForumServer, configure_logging
from forum_mcp.server.sdk import AnyContext
from forum_mcp.server.tasks import Desk
from forum_mcp.tools import select
from tests.conformance import asking, content, jobs, schemas
from tests.conformance.jobs import JobDesk

__all__ = ["FixtureServer", "fixture_server"]


class FixtureServer(ForumServer):
    """``ForumServer`` plus fixtures, which the SDK's own registries hold."""

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


def fixture_server(settings: Settings) -> FixtureServer:
    """Return the server that the suite is pointed at."""
    configure_logging()
    server = FixtureServer(lambda: Orchestrator.open(settings), select())
    content.register(server)
    asking.register(server)
    jobs.register(server)
    schemas.register(server)

    async def accepted(ctx: Any, params: types.SetLevelRequestParams) -> types.EmptyResult:
        return types.EmptyResult()

    server.serve_method("logging/setLevel", types.SetLevelRequestParams, accepted)
    return server
