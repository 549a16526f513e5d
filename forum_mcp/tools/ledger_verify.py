"""The tool ``ledger_verify``: recompute the record and list its faults."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from forum_mcp.engine.worker_thread import in_worker_thread
from forum_mcp.engine.views import VerifyView
from forum_mcp.tools.base import Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> VerifyView:
    level, checkpoint = arguments.whole("level") or 3, arguments.text("checkpoint")
    work = partial(forum.ledger.verify, level, checkpoint, witnesses=forum.witnesses)
    return await caller.meanwhile(
        f"verifying {forum.ledger.size} entries", partial(in_worker_thread, forum.ledger, work)
    )


TOOL = Tool(
    name="ledger_verify",
    title="Verify the ledger",
    description=(
        "Recompute the whole record from disk and list faults. With a checkpoint kept earlier: prove that nothing "
        "before it changed."
    ),
    input_schema=input_schema(
        {
            "level": {
                "type": "integer",
                "default": 3,
                "minimum": 1,
                "maximum": 4,
                "description": "1 chain 2 bodies 3 checkpoints 4 decisions",
            },
            "checkpoint": {"type": "string", "description": "Signed note of an earlier result, verbatim"},
        }
    ),
    output_schema=output_schema(VerifyView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="'forum-mcp ledger verify --json' lists every finding",
)
