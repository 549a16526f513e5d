"""``forum://roster``: the lanes a request can go to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from forum_mcp.resources.base import JSON, Content, Family

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["FAMILIES"]


async def _read(forum: Forum, variable: str) -> Content:
    return Content(json.dumps(forum.roster(), ensure_ascii=False), JSON)


FAMILIES = (
    Family(
        uri="forum://roster",
        name="roster",
        title="Roster",
        description="The lanes: name, category, description, keywords, tier",
        media_type=JSON,
        read=_read,
        fresh_s=60,
    ),
)
