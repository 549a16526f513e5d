"""The tool ``ledger_replay``: the state as it was, rebuilt from the record; runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import ReplayView
from forum_mcp.tools.base import Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]

_DIGITS_MAX = 16


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> ReplayView:
    until = arguments.text("until")
    at: int | str | None = until
    if until is not None and until.isascii() and until.isdigit() and len(until) < _DIGITS_MAX:
        at = int(until)
    return forum.ledger.replay(until=at, run_id=arguments.text("run_id"))


TOOL = Tool(
    name="ledger_replay",
    title="Replay the ledger",
    description="Rebuild the state of runs as it was at an entry or a time. Runs nothing.",
    input_schema=input_schema(
        {
            "until": {"type": "string", "description": "Seq or ISO 8601 time; default now"},
            "run_id": {"type": "string"},
        }
    ),
    output_schema=output_schema(ReplayView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="name one run_id",
    whole_as_text=frozenset({"until"}),
)
