"""``forum://advice``: which lanes and models earned passing verdicts, at what cost; advice that changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from forum_mcp.resources.base import JSON, Content, Family

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["FAMILIES"]


async def _read(forum: Forum, variable: str) -> Content:
    return Content(json.dumps((await forum.learned()).to_dict(), ensure_ascii=False), JSON)


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
