"""The tool ``route``: where a request would go; records nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import RouteView
from forum_mcp.tools.base import Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> RouteView:
    return forum.route(arguments.required("request"))


TOOL = Tool(
    name="route",
    title="Route a request",
    description="Tell which lane (specialism) a request belongs to, with scores and reasons. Free, records nothing.",
    input_schema=input_schema({"request": {"type": "string"}}, required=("request",)),
    output_schema=output_schema(RouteView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="ask about a shorter request",
)
