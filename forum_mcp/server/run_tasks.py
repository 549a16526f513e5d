"""Runs as tasks: the task's id is the run's id, and its state is read from the record each time.

So a task survives whatever the run survives: a lost connection, another client window, a restarted server. A run whose
process died is taken up by the first question for its task, because nothing else would ever go on with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import mcp_types as types

from forum_mcp.errors import ForumError, NotFound
from forum_mcp.server import rendering
from forum_mcp.server.errors import protocol_error
from forum_mcp.server.inputs import INPUTS
from forum_mcp.server.sdk import client_of
from forum_mcp.server.tasks import Desk, Status, TaskState, unknown_task
from forum_mcp.tools import submit
from forum_mcp.tools.caller import doing

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from forum_mcp.engine.forum import Forum
    from forum_mcp.engine.views import RunView

__all__ = ["QUICK_S", "RunDesk"]

QUICK_S: Final = 0.5
"""How long a call waits before it is answered by a task, seconds: what is done by then needs none."""

_TERMINAL: Final[dict[str, Status]] = {"succeeded": "completed", "failed": "completed", "cancelled": "cancelled"}


class RunDesk(Desk):
    """Tasks that are submitted runs."""

    def __init__(self, forum_of: Callable[[ServerRequestContext[Any, Any]], Awaitable[Forum]]) -> None:
        self._forum_of = forum_of

    async def begin(
        self, params: types.CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult | TaskState:
        """Let ``submit`` wait only a moment; a run that still goes on then is a task."""
        if params.name != submit.TOOL.name:
            return await call_next(ctx)
        _shorten(params)
        result = await call_next(ctx)
        view = _members(result.structured_content) if isinstance(result, types.CallToolResult) else {}
        return result if view.get("state") != "running" else await self.state(str(view["run_id"]), ctx)

    async def plain(
        self, params: types.CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Do the call as it is: no tool of ours needs a task."""
        return await call_next(ctx)

    async def state(self, task_id: str, ctx: ServerRequestContext[Any, Any]) -> TaskState:
        """Return the task of a submitted run."""
        forum = await self._forum_of(ctx)
        view = await self._view(forum, task_id)
        why = ""
        if view.state == "interrupted":
            try:
                view = await forum.resume(task_id, wait_s=0.0)
            except ForumError as error:  # to read a run takes nothing of what it takes to go on with it
                view = await self._view(forum, task_id)
                why = str(error)
        return self._state(forum, view, ctx, why)

    async def answer(self, task_id: str, responses: Mapping[str, Any], ctx: ServerRequestContext[Any, Any]) -> None:
        """Hand each answer to what asked."""
        forum = await self._forum_of(ctx)
        await self._view(forum, task_id)
        for inputs in INPUTS:
            for key in inputs.open(forum, task_id, ctx.session.client_capabilities):
                if key in responses:
                    try:
                        await inputs.answer(forum, key, responses[key], client_of(ctx.session))
                    except ForumError as error:
                        raise protocol_error(error, "tasks/update") from error

    async def cancel(self, task_id: str, ctx: ServerRequestContext[Any, Any]) -> None:
        """Cancel the run."""
        forum = await self._forum_of(ctx)
        view = await self._view(forum, task_id)
        if view.state in _TERMINAL:
            return
        try:
            await forum.cancel(task_id, reason="tasks/cancel", by=f"host:{client_of(ctx.session)}")
        except ForumError as error:
            raise protocol_error(error, "tasks/cancel") from error

    async def _view(self, forum: Forum, task_id: str) -> RunView:
        try:
            view = await forum.run(task_id)
        except NotFound as error:
            raise unknown_task(task_id) from error
        if view.mode != "submit" or view.run_id != task_id:  # a task has its id, and not the beginning of one
            raise unknown_task(task_id)
        return view

    def _state(self, forum: Forum, view: RunView, ctx: ServerRequestContext[Any, Any], why: str = "") -> TaskState:
        """Return the task of a run; ``why`` nobody here goes on with it, where that is so."""
        status: Status = _TERMINAL.get(view.state, "working")
        detail: dict[str, object] = {}
        message = view.state if view.state in _TERMINAL else doing(view)
        if status == "completed":
            detail["result"] = _dumped(rendering.result(view, submit.TOOL))
        elif view.state in ("running", "waiting"):
            asked = {
                key: _dumped(request)
                for inputs in INPUTS
                for key, request in inputs.open(forum, view.run_id, ctx.session.client_capabilities).items()
            }
            if asked:
                status, detail["inputRequests"] = "input_required", asked
            elif view.state == "waiting" and view.next is not None:
                message = f"waits for its caller: call {view.next.tool} with {view.next.arguments}"
        elif view.state == "interrupted":
            message = f"interrupted: {why}" if why else "interrupted"
        first, last = (forum.ledger.store.entry(seq).entry.at for seq in view.entries)
        return TaskState(
            task_id=view.run_id, status=status, message=message, created_us=first, updated_us=last, detail=detail
        )


def _shorten(params: types.CallToolRequestParams) -> None:
    """Let the call wait at most ``QUICK_S``; a value that is refused anyway stays, so that the refusal names it."""
    arguments = dict(params.arguments or {})
    given = arguments.get("wait_s")
    if given is None or (isinstance(given, int | float) and not isinstance(given, bool) and QUICK_S < given <= 300):
        params.arguments = {**arguments, "wait_s": QUICK_S}


def _members(content: object) -> dict[str, object]:
    """Return structured content, which is an object in every result of ours; an error has none."""
    return cast("dict[str, object]", content) if isinstance(content, dict) else {}


def _dumped(model: Any) -> dict[str, object]:
    dumped: dict[str, object] = model.model_dump(by_alias=True, mode="json", exclude_none=True)
    return dumped
