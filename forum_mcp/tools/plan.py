"""The tool ``plan``: open a run that rests once its plan is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import RunView
from forum_mcp.tools.base import REST_OF_A_RUN, WAIT_S, Schema, Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["CONTEXT", "LANE", "PLAN", "SINGLE", "TOOL"]

PLAN: Schema = {
    "type": "object",
    "description": "Your own DAG",
    "properties": {
        "tasks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "lane": {"type": "string"},
                    "instruction": {"type": "string"},
                    "depends_on": {"type": "array", "items": {"type": "string"}},
                    "done_when": {"type": "array", "items": {"type": "string"}},
                    "context": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["id", "lane", "instruction"],
            },
        }
    },
    "required": ["tasks"],
}
SINGLE: Schema = {"type": "boolean", "description": "One task, no plan"}
CONTEXT: Schema = {"type": "array", "items": {"type": "string"}, "description": "What to read"}
LANE: Schema = {"type": "string", "description": "Instead of routing"}


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> RunView:
    view = await forum.plan(
        arguments.required("request"),
        plan=arguments.mapping("plan"),
        wait_s=0.0,
        by=caller.actor,
        **arguments.options(("single", "lane", "context")),
    )
    return await forum.quoted(await caller.follow(forum, view, arguments.number("wait_s") or 0.0))


TOOL = Tool(
    name="plan",
    title="Plan a request",
    description="Plan a request without running it. Returns run_id and tasks; submit with that run_id runs them.",
    input_schema=input_schema(
        {
            "request": {"type": "string"},
            "plan": PLAN,
            "single": SINGLE,
            "lane": LANE,
            "context": CONTEXT,
            "wait_s": WAIT_S,
        },
        required=("request",),
    ),
    output_schema=output_schema(RunView),
    read_only=False,
    destructive=False,
    idempotent=False,
    open_world=True,
    handler=_handle,
    rest=REST_OF_A_RUN,
)
