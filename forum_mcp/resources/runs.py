"""``forum://runs...``: what the tool ``run`` answers, as resources, and each run as a report for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from forum_mcp.resources.base import JSON, RUN_ID, Content, Family
from forum_mcp.resources.report import report_of

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["FAMILIES"]

_NEWEST = 100


async def _read_list(forum: Forum, variable: str) -> Content:
    return Content(json.dumps(forum.runs(limit=_NEWEST).to_dict(), ensure_ascii=False), JSON)


async def _read_run(forum: Forum, run_id: str) -> Content:
    view = await forum.run(run_id)
    return Content(json.dumps(view.to_dict(), ensure_ascii=False), JSON)


async def _read_report(forum: Forum, run_id: str) -> Content:
    return Content(report_of(await forum.run(run_id)), "text/markdown")


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
        variable=RUN_ID,
    ),
    Family(
        uri="forum://runs/{run_id}/report",
        name="report",
        title="Report of a run",
        description="One run for people: answer, tasks and verdicts, spend, how to verify it",
        media_type="text/markdown",
        read=_read_report,
        variable=RUN_ID,
    ),
)
