"""The tool ``ledger_trace``: what caused an entry, back to its request, or what it led to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import DescentView, TraceView
from forum_mcp.tools.base import Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> TraceView | DescentView:
    seq = arguments.whole("seq") or 0
    if not arguments.flag("down"):
        return forum.ledger.trace(seq)
    from forum_mcp.engine.descent import descent

    return descent(forum.ledger.store, seq)


TOOL = Tool(
    name="ledger_trace",
    title="Trace an entry",
    description="The causal chain of an entry, back to the request of its run; down: what it led to.",
    input_schema=input_schema(
        {"seq": {"type": "integer", "minimum": 0}, "down": {"type": "boolean"}}, required=("seq",)
    ),
    output_schema=output_schema(TraceView, DescentView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="trace one of the entries shown",
)
