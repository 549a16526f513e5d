"""The MCP server: our tools and resources on the SDK's session, in both protocol eras.

The SDK's schema derivation and argument coercion are left aside on purpose: definitions are served as written in
``tools/`` and arguments are checked there. A request only looks at the forum; runs live outside requests, so a client
that goes away ends its call and not its run.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import mcp_types as types
import msgspec
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError

from forum_mcp import __version__
from forum_mcp.errors import ForumError, NotFound
from forum_mcp.resources import FAMILIES, FIXED, find
from forum_mcp.resources.base import Listed
from forum_mcp.resources.listing import page
from forum_mcp.server.errors import not_found, protocol_error, tool_error
from forum_mcp.server.instructions import INSTRUCTIONS, NAME, TITLE
from forum_mcp.server.lifespan import LazyForum, OpenForum, lazily
from forum_mcp.server.sdk import PagingServer, client_name
from forum_mcp.tools import select
from forum_mcp.tools.arguments import check, preview
from forum_mcp.tools.base import Tool
from forum_mcp.tools.bounds import RESULT_CHARS, bounded
from forum_mcp.tools.text import text_of

if TYPE_CHECKING:
    from mcp.server import MCPServer
    from pydantic import AnyUrl

    from forum_mcp.engine.views import View

__all__ = ["ForumServer", "build_server", "configure_logging"]


class ForumServer(PagingServer):
    """The forum as an MCP server."""

    def __init__(self, open_forum: OpenForum, tools: Iterable[Tool]) -> None:
        self._open_forum = open_forum
        self._forum_tools = {tool.name: tool for tool in tools}
        super().__init__(
            NAME,
            title=TITLE,
            version=__version__,
            description="A team you can hold to account: every step is an entry of a ledger a stranger can verify",
            instructions=INSTRUCTIONS,
            log_level="WARNING",
            lifespan=self._lifespan,
        )

    def _lifespan(self, _: MCPServer[Any]) -> AbstractAsyncContextManager[LazyForum]:
        return lazily(self._open_forum)

    async def list_tools(self) -> list[types.Tool]:
        """Return the definitions as written, always in the same order."""
        return [_definition(tool) for tool in self._forum_tools.values()]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> types.CallToolResult:
        """Check the arguments, call the forum, and answer with text and structured content, each complete.

        Raises:
            MCPError: there is no such tool.
            ToolError: the call was refused or failed; the text is for the model.
        """
        tool = self._forum_tools.get(name)
        if tool is None:
            close = get_close_matches(name[:80], self._forum_tools, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            served = ", ".join(self._forum_tools)
            raise MCPError(code=types.INVALID_PARAMS, message=f"unknown tool {preview(name)}{hint} (tools: {served})")
        try:
            checked = check(tool, arguments)
            if context is None:
                raise RuntimeError("a tool was called outside a connection")
            view = await tool.handler(await _lazy(context).forum(), checked, client_name(context))
            return _result(view, tool)
        except MCPError:
            raise
        except Exception as exc:
            raise tool_error(exc, name) from exc

    async def list_resources_page(self, cursor: str | None, context: Context[Any, Any]) -> types.ListResourcesResult:
        """Return the fixed resources, then the newest runs and entries, in pages."""
        try:
            found = await page(await _lazy(context).forum(), cursor, FIXED)
        except Exception as exc:
            raise protocol_error(exc, "resources/list") from exc
        return types.ListResourcesResult(
            resources=[_resource(listed) for listed in found.resources], next_cursor=found.next_cursor
        )

    async def list_resource_templates(self) -> list[types.ResourceTemplate]:
        """Return the template of each family that has a variable part."""
        return [
            types.ResourceTemplate(
                uri_template=f.uri, name=f.name, title=f.title, description=f.description, mime_type=f.media_type
            )
            for f in FAMILIES
            if f.variable is not None
        ]

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents]:
        """Return what a URI holds.

        Raises:
            MCPError: there is no such resource, or reading it failed.
        """
        address = str(uri)
        version = None if context is None else context.protocol_version
        found = find(address)
        if found is None:
            raise not_found(address, "no family of resources has this URI; see resources/templates/list", version)
        family, variable = found
        try:
            if context is None:
                raise RuntimeError("a resource was read outside a connection")
            content = await family.read(await _lazy(context).forum(), variable)
        except NotFound as exc:
            raise not_found(address, str(exc), version) from exc
        except Exception as exc:
            raise protocol_error(exc, f"reading a resource of family '{family.name}'") from exc
        return [ReadResourceContents(content=content.body, mime_type=content.media_type)]


def build_server(open_forum: OpenForum, *, tools: str = "all", read_only: bool = False) -> ForumServer:
    """Return a server over the forum that ``open_forum`` opens.

    Args:
        open_forum: opens a forum; called when the first request needs it, never before.
        tools: toolset, see ``tools.select``.
        read_only: serve no tool that changes the record.

    Raises:
        ConfigRefused: the toolset names something that does not exist.
    """
    configure_logging()
    return ForumServer(open_forum, select(tools, read_only=read_only))


def configure_logging() -> None:
    """Send diagnostics to stderr, plainly; the SDK would otherwise set up the root logger its own way."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def _lazy(context: Context[Any, Any]) -> LazyForum:
    lazy = context.request_context.lifespan_context
    if not isinstance(lazy, LazyForum):
        raise ForumError("the server was started without its lifespan")
    return lazy


def _definition(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=tool.open_world,
        ),
    )


def _result(view: View, tool: Tool) -> types.CallToolResult:
    """Return both forms of a view from the same, possibly cut, facts."""
    limit = RESULT_CHARS
    while True:
        cut = bounded(view.to_dict(), limit)
        text = text_of(view if not cut.notes else msgspec.convert(cut.value, type(view)))
        structured = cut.value
        if cut.notes:
            notes = [*cut.notes, f"the whole: {tool.rest}"]
            text = "\n".join([text, *(f"cut: {note}" for note in notes)])
            structured = {**structured, "cut": notes}
        if len(text) <= RESULT_CHARS or limit < RESULT_CHARS // 4:
            return types.CallToolResult(
                content=[types.TextContent(type="text", text=text)], structured_content=structured
            )
        limit = limit * 2 // 3


def _resource(listed: Listed) -> types.Resource:
    modified = listed.modified_us
    return types.Resource(
        uri=listed.uri,
        name=listed.name,
        title=listed.title,
        description=listed.description,
        mime_type=listed.media_type,
        size=listed.size,
        annotations=None
        if modified is None
        else types.Annotations(last_modified=datetime.fromtimestamp(modified / 1e6, UTC).isoformat()),
    )
