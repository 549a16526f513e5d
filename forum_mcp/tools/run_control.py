"""The tool ``run_control``: cancel a run, take it up again, fork it, or resolve what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forum_mcp.engine.views import RunView
from forum_mcp.errors import RequestRefused
from forum_mcp.tools.base import REST_OF_A_RUN, WAIT_S, Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> RunView:
    run_id = arguments.required("run_id")
    action = arguments.required("action")
    if action == "cancel":
        return await forum.cancel(run_id, reason=arguments.text("reason") or "", by=caller.actor)
    if action in ("approve", "reject"):
        return await _resolve(forum, arguments, caller, run_id, approved=action == "approve")
    if action == "fork":
        view = await forum.fork(
            run_id,
            seq=arguments.whole("seq"),
            request=arguments.text("request"),
            workers=_workers(arguments),
            by=caller.actor,
            wait_s=0.0,
            detach=arguments.flag("detach"),
        )
    else:
        view = await forum.resume(run_id, wait_s=0.0, detach=arguments.flag("detach"))
    return await caller.follow(forum, view, arguments.number("wait_s") or 0.0)


async def _resolve(
    forum: Forum, arguments: Arguments, caller: Caller, run_id: str, *, approved: bool
) -> RunView:
    gate = arguments.whole("gate")
    if not forum.takes_approvals:
        raise RequestRefused(
            f"this server takes no approvals from a tool, which a model could call; ask the person to run: "
            f"forum-mcp gate {'approve' if approved else 'reject'} {gate if gate is not None else 'SEQ'}"
        )
    if gate is None:
        raise RequestRefused("argument 'gate' is missing; the run's open gates are in 'gates' of run(run_id)")
    if gate not in (await forum.run(run_id)).gates:
        raise RequestRefused(f"gate {gate} is not open in run {run_id[:80]}; read its open gates with run(run_id)")
    view = await forum.resolve(
        gate, approved=approved, by=caller.actor, how="tool", reason=arguments.text("reason") or ""
    )
    return await caller.follow(forum, view, arguments.number("wait_s") or 0.0)


def _workers(arguments: Arguments) -> dict[str, str]:
    worker = arguments.text("worker")
    return {} if worker is None else {arguments.text("lane") or "*": worker}


TOOL = Tool(
    name="run_control",
    title="Cancel, resume, fork or approve a run",
    description="Cancel, resume or fork a run (work is reused); resolve a gate where allowed.",
    input_schema=input_schema(
        {
            "run_id": {"type": "string"},
            "action": {"type": "string", "enum": ["cancel", "resume", "fork", "approve", "reject"]},
            "gate": {"type": "integer"},
            "seq": {"type": "integer"},
            "request": {"type": "string"},
            "lane": {"type": "string"},
            "worker": {"type": "string"},
            "reason": {"type": "string"},
            "detach": {"type": "boolean"},
            "wait_s": WAIT_S,
        },
        required=("run_id", "action"),
    ),
    output_schema=output_schema(RunView),
    read_only=False,
    destructive=True,
    idempotent=False,
    open_world=True,
    handler=_handle,
    rest=REST_OF_A_RUN,
)
