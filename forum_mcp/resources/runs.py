"""``forum://runs`` and ``forum://runs/{run_id}``: what the tool ``run`` answers, as resources."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from forum_mcp.resources.base import JSON, Content, Family

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["FAMILIES"]

_NEWEST = 100


async def _read_list(forum: Orchestrator, variable: str) -> Content:
    return Content(json.dumps(forum.runs(limit=_NEWEST).to_dict(), ensure_ascii=False), JSON)


async def _read_run(forum: Orchestrator, run_id: str) -> Content:
    view = await forum.run(run_id)
    return Content(json.dumps(view.to_dict(), ensure_ascii=False), JSON)


FAMILIES = (
    Family(
        uri="forum://runs",
        name="runs",
        title="Runs",
        description="The newest runs: state, request, entries",
        media_type=JSON,
        read=_read_list,
    ),
    Family(
        uri="forum://runs/{run_id}",
        name="run",
        title="Run",
        description="One run: state, tasks, verdicts, spend, answer",
        media_type=JSON,
        read=_read_run,
        variable="[0-9a-f]{32}",
    ),
)
