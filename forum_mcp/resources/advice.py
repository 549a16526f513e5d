"""``forum://advice``: which lanes and models earned passing verdicts, at what cost; advice that changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio.to_thread

from forum_mcp.resources.base import JSON, Content, Family

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["FAMILIES"]


async def _read(forum: Orchestrator, variable: str) -> Content:
    return Content(await anyio.to_thread.run_sync(_learned, forum), JSON)


def _learned(forum: Orchestrator) -> str:
    """Read beside the forum's own connection: it may take long, and other calls go on meanwhile."""
    from forum_mcp.engine.learning import learned

    with forum.ledger.store.anew() as store:
        return json.dumps(learned(store).to_dict(), ensure_ascii=False)


FAMILIES = (
    Family(
        uri="forum://advice",
        name="advice",
        title="What the record tells of models",
        description="Passing verdicts and cost by lane and model, over the newest runs",
        media_type=JSON,
        read=_read,
    ),
)
