"""The tool ``ledger_show``: entries of the record as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import ShowView
from forum_mcp.tools.base import Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator
    from forum_mcp.tools.arguments import Arguments

__all__ = ["TOOL"]


async def _handle(forum: Orchestrator, arguments: Arguments, client: str) -> ShowView:
    arguments.refuse_beside("seq", ("run_id", "kind", "before"), "seq names one entry: leave the others out")
    return forum.ledger.show(
        seq=arguments.whole("seq"),
        run_id=arguments.text("run_id"),
        kind=arguments.text("kind"),
        limit=arguments.whole("limit") or 20,
        before=arguments.whole("before"),
        bodies=arguments.flag("bodies"),
    )


TOOL = Tool(
    name="ledger_show",
    title="Show ledger entries",
    description="Entries of the record, newest last: one seq, a run's, a kind's, or the newest.",
    input_schema=input_schema(
        {
            "seq": {"type": "integer", "minimum": 0},
            "run_id": {"type": "string"},
            "kind": {"type": "string", "description": "e.g. task.judged"},
            "limit": {"type": "integer", "default": 20, "minimum": 1, "maximum": 200},
            "before": {"type": "integer", "minimum": 0, "description": "Page cursor"},
            "bodies": {"type": "boolean", "description": "Texts of bodies too"},
        }
    ),
    output_schema=output_schema(ShowView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="a smaller limit and before; a long body: the resource forum://ledger/bodies/{commit}",
)
