"""The tool ``work``: the calling assistant takes work of a run and hands the result back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import WorkView
from forum_mcp.errors import RequestRefused
from forum_mcp.tools.base import Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> WorkView:
    action = arguments.required("action")
    item = arguments.whole("item")
    if action == "next":
        return await forum.work_next(
            arguments.text("run_id"), limit=arguments.whole("limit") or 1, item=item, client=caller.name
        )
    if item is None:
        raise RequestRefused(
            f"argument 'item' is missing, action '{action}' needs the number that 'next' gave; add it and call again"
        )
    if action == "progress":
        return await forum.work_progress(item, arguments.text("result") or "", client=caller.name)
    if action == "complete":
        result = arguments.required("result", ", action 'complete' needs the text of the result")
        return await forum.work_complete(item, result, client=caller.name)
    return await forum.work_fail(item, arguments.required("reason", ", action 'fail' needs it"), client=caller.name)


TOOL = Tool(
    name="work",
    title="Do work of a run",
    description=(
        "Work a run waits for. next: get items (instructions, prompt). complete: hand it back. "
        "fail: say why not. progress: keep an item. Repeat until none is left."
    ),
    input_schema=input_schema(
        {
            "action": {"type": "string", "enum": ["next", "progress", "complete", "fail"]},
            "run_id": {"type": "string", "description": "next: of this run only"},
            "item": {"type": "integer", "minimum": 0, "description": "next: this one again"},
            "result": {"type": "string", "description": "Text, or JSON if the item has a schema"},
            "reason": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 20},
        },
        required=("action",),
    ),
    output_schema=output_schema(WorkView),
    read_only=False,
    destructive=False,
    idempotent=False,
    open_world=True,
    handler=_handle,
    rest="one item at a time; a long prompt: ledger_show with seq = item, bodies and offset",
)
