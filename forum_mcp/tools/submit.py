"""The tool ``submit``: start a run, or go on with a planned one, and wait a little for its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.configs.names import STEPS
from forum_mcp.engine.views import RunView
from forum_mcp.errors import RequestRefused
from forum_mcp.tools.base import REST_OF_A_RUN, WAIT_S, Schema, Tool, input_schema, output_schema
from forum_mcp.tools.plan import CONTEXT, LANE, PLAN, SINGLE

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


_OPTIONS: dict[str, Schema] = {
    "single": SINGLE,
    "lane": LANE,
    "context": CONTEXT,
    "max_calls": {"type": "integer", "minimum": 1},
    "max_seconds": {"type": "number", "minimum": 1},
    "max_total_tokens": {"type": "integer", "minimum": 1},
    "max_usd": {"type": "number", "minimum": 0},
    "max_parallel": {"type": "integer", "minimum": 1},
    "approve": {"type": "string", "enum": ["run", "wave"]},
    "approve_above_usd": {"type": "number", "minimum": 0},
    **{step: {"type": "boolean"} for step in STEPS},
}


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> RunView:
    request, run_id = arguments.text("request"), arguments.text("run_id")
    if request is None and run_id is None:
        raise RequestRefused(
            "neither 'request' nor 'run_id' is given; pass the request to start a run, or a planned run's id"
        )
    arguments.refuse_beside(
        "run_id",
        ("request", "plan", "single", "lane", "context"),
        "a planned run already has them: pass run_id without them",
    )
    view = await forum.submit(
        request,
        plan=run_id if run_id is not None else arguments.mapping("plan"),
        idempotency_key=arguments.text("idempotency_key"),
        wait_s=0.0,
        by=caller.actor,
        detach=arguments.flag("detach"),
        **arguments.options(_OPTIONS),
    )
    return await caller.follow(forum, view, arguments.number("wait_s") or 0.0)


TOOL = Tool(
    name="submit",
    title="Run a request",
    description=(
        "Route, plan, run and judge a request with the team; every step is recorded. Returns the answer, "
        "or run_id and next (the call to make now)."
    ),
    input_schema=input_schema(
        {
            "request": {"type": "string"},
            "run_id": {"type": "string", "description": "A planned run, not a request"},
            "plan": PLAN,
            **_OPTIONS,
            "idempotency_key": {"type": "string", "description": "Same key, same run"},
            "detach": {"type": "boolean"},
            "wait_s": WAIT_S,
        }
    ),
    output_schema=output_schema(RunView),
    read_only=False,
    destructive=True,
    idempotent=False,
    open_world=True,
    handler=_handle,
    rest=REST_OF_A_RUN,
)
