"""The tool ``run_control``: cancel a run, or take it up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import RunView
from forum_mcp.tools.base import WAIT_S, Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


async def _handle(forum: Orchestrator, arguments: Arguments, caller: Caller) -> RunView:
    run_id = arguments.required("run_id")
    if arguments.required("action") == "cancel":
        return await forum.cancel(run_id, reason=arguments.text("reason") or "", by=caller.actor)
    view = await forum.resume(run_id, wait_s=0.0)
    return await caller.follow(forum, view, arguments.number("wait_s") or 0.0)


TOOL = Tool(
    name="run_control",
    title="Cancel or resume a run",
    description="Cancel a run, or resume an interrupted one from its record.",
    input_schema=input_schema(
        {
            "run_id": {"type": "string"},
            "action": {"type": "string", "enum": ["cancel", "resume"]},
            "reason": {"type": "string"},
            "wait_s": WAIT_S,
        },
        required=("run_id", "action"),
    ),
    output_schema=output_schema(RunView),
    read_only=False,
    destructive=True,
    idempotent=False,
    open_world=True,
    handler=_handle,
    rest="ledger_show with run_id, then with one seq and bodies, or the resource forum://runs/{run_id}",
)
