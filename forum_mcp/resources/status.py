"""``forum://status``: what this forum is and what goes on in it, in one small page."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

from forum_mcp import __version__
from forum_mcp.resources.base import JSON, Content, Family

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["FAMILIES"]

_LOOKED_AT: Final = 100
_NAMED: Final = 20
_UNDER_WAY: Final = ("running", "waiting", "interrupted")


async def _read(forum: Forum, variable: str) -> Content:
    view = forum.runs(limit=_LOOKED_AT)
    status = {
        "version": __version__,
        "ledger": forum.ledger.ledger_id,
        "entries": forum.ledger.size,
        "root": forum.ledger.root().hex(),
        "read_only": forum.ledger.store.read_only,
        "lanes": len(forum.roster()),
        "newest_runs": dict(Counter(run.state for run in view.runs)),
        "older_runs": view.before is not None,
        "under_way": [
            {"run_id": run.run_id, "state": run.state} for run in view.runs if run.state in _UNDER_WAY
        ][:_NAMED],
        "checkpoint": forum.ledger.newest_checkpoint(),
    }
    return Content(json.dumps(status, ensure_ascii=False), JSON)


FAMILIES = (
    Family(
        uri="forum://status",
        name="status",
        title="Status",
        description="Version, ledger, size and root, runs under way, newest checkpoint",
        media_type=JSON,
        read=_read,
    ),
)
