"""The tool ``ledger_trace``: what caused an entry, back to its request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import TraceView
from forum_mcp.tools.base import Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


async def _handle(forum: Orchestrator, arguments: Arguments, caller: Caller) -> TraceView:
    return forum.ledger.trace(arguments.whole("seq") or 0)


TOOL = Tool(
    name="ledger_trace",
    title="Trace an entry",
    description="The causal chain of an entry, back to the request of its run.",
    input_schema=input_schema({"seq": {"type": "integer", "minimum": 0}}, required=("seq",)),
    output_schema=output_schema(TraceView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="trace one of the entries shown",
)
