"""The tool ``run``: the state and answer of one run, or the list of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import RunsView, RunView
from forum_mcp.errors import RequestRefused
from forum_mcp.tools.base import WAIT_S, Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> RunView | RunsView:
    run_id = arguments.text("run_id")
    if run_id is None:
        if "wait_s" in arguments:
            raise RequestRefused(
                "argument 'wait_s' is given without 'run_id'; only one run can be waited for; add run_id"
            )
        return forum.runs(limit=arguments.whole("limit") or 20, before=arguments.whole("before"))
    arguments.refuse_beside("run_id", ("limit", "before"), "they page the list of runs: leave them or run_id out")
    return await caller.follow(forum, await forum.run(run_id), arguments.number("wait_s") or 0.0)


TOOL = Tool(
    name="run",
    title="Look at runs",
    description="State, tasks and answer of a run, waiting for it if asked. Without run_id: list runs, newest first.",
    input_schema=input_schema(
        {
            "run_id": {"type": "string"},
            "wait_s": {name: value for name, value in WAIT_S.items() if name != "default"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
            "before": {"type": "integer", "minimum": 0, "description": "Page cursor"},
        }
    ),
    output_schema=output_schema(RunView, RunsView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="a run: ledger_show with run_id, then with one seq and bodies; a list of runs: a smaller limit",
)
