"""The Tasks extension (``io.modelcontextprotocol/tasks``, SEP-2663) on the SDK's extension API: its wire only.

A call that takes long may be answered by a task, for clients that declare the extension with that very request; the
client then asks for its state, answers its questions, cancels it, or listens for its changes. What a task *is* is
told by a ``Desk``; here are the methods, the shapes and the refusals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import mcp_types as types
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from pydantic import Field

from forum_mcp.server.sdk import declares

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

__all__ = ["EXTENSION", "POLL_MS", "Desk", "RequestContext", "Status", "TaskState", "Tasks", "unknown_task"]

EXTENSION: Final = "io.modelcontextprotocol/tasks"

POLL_MS: Final = 2_000
"""How often a client had better ask, milliseconds."""

_VERSIONS: Final = frozenset({"2026-07-28"})
_NAME_HEADER: Final = "mcp-name"

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]
RequestContext = Any
"""The SDK's ``ServerRequestContext`` of whatever lifespan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskState:
    """A task at one moment.

    Attributes:
        task_id: unguessable.
        status: see the extension.
        message: a line for a person.
        created_us: wall clock, microseconds since the epoch.
        updated_us: the same, of the last change.
        detail: what the status brings along: ``result``, ``error`` or ``inputRequests``.
    """

    task_id: str
    status: Status
    message: str
    created_us: int
    updated_us: int
    detail: Mapping[str, object] = field(default_factory=dict[str, object])

    def created(self) -> dict[str, object]:
        """Return the answer to the call that the task stands for."""
        return {"resultType": "task", **self._base()}

    def detailed(self) -> dict[str, object]:
        """Return the task with what its status brings along."""
        return {**self._base(), **self.detail}

    def _base(self) -> dict[str, object]:
        return {
            "taskId": self.task_id,
            "status": self.status,
            "statusMessage": self.message,
            "createdAt": _iso(self.created_us),
            "lastUpdatedAt": _iso(self.updated_us),
            "ttlMs": None,
            "pollIntervalMs": POLL_MS,
        }


class Desk(Protocol):
    """Where tasks are begun, looked up, answered and cancelled."""

    async def begin(
        self, params: types.CallToolRequestParams, ctx: RequestContext, call_next: CallNext
    ) -> HandlerResult | TaskState:
        """Do a tool call of a client that takes tasks: return its result, or the task that goes on with it."""
        ...

    async def plain(
        self, params: types.CallToolRequestParams, ctx: RequestContext, call_next: CallNext
    ) -> HandlerResult:
        """Do a tool call of a client that takes no tasks."""
        ...

    async def state(self, task_id: str, ctx: RequestContext) -> TaskState:
        """Return a task.

        Raises:
            MCPError: there is none; see ``unknown_task``.
        """
        ...

    async def answer(self, task_id: str, responses: Mapping[str, Any], ctx: RequestContext) -> None:
        """Take the answers to what a task asks; a key that it does not ask for is ignored.

        Raises:
            MCPError: there is no such task, or an answer to what it does ask is not one.
        """
        ...

    async def cancel(self, task_id: str, ctx: RequestContext) -> None:
        """Cancel a task; one that is over stays as it is.

        Raises:
            MCPError: there is no such task.
        """
        ...


class _TaskParams(types.RequestParams):
    task_id: str


class _UpdateParams(_TaskParams):
    input_responses: dict[str, Any] = Field(default_factory=dict[str, Any])


class Tasks(Extension):
    """The methods of the extension, and task results of tool calls."""

    identifier = EXTENSION

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def methods(self) -> Sequence[MethodBinding]:
        """Return the three methods; handshake revisions do not have them."""
        return (
            MethodBinding("tasks/get", _TaskParams, self._get, _VERSIONS),
            MethodBinding("tasks/update", _UpdateParams, self._update, _VERSIONS),
            MethodBinding("tasks/cancel", _TaskParams, self._cancel, _VERSIONS),
        )

    async def intercept_tool_call(
        self, params: types.CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Answer with a task where the client takes one and the desk gives one."""
        if ctx.protocol_version not in _VERSIONS or not declares(ctx.session, EXTENSION):
            return await self._desk.plain(params, ctx, call_next)
        result = await self._desk.begin(params, ctx, call_next)
        return result.created() if isinstance(result, TaskState) else result

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: _TaskParams) -> dict[str, Any]:
        _check(ctx, params)
        return (await self._desk.state(params.task_id, ctx)).detailed()

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: _UpdateParams) -> dict[str, Any]:
        _check(ctx, params)
        await self._desk.answer(params.task_id, params.input_responses, ctx)
        return {}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: _TaskParams) -> dict[str, Any]:
        _check(ctx, params)
        await self._desk.cancel(params.task_id, ctx)
        return {}


def unknown_task(task_id: str) -> MCPError:
    """Return the error of a task that does not exist."""
    return MCPError(
        code=types.INVALID_PARAMS,
        message=f"no task {task_id[:80]!r}; a task's id is the run_id of a submitted run: list runs with run",
    )


def _check(ctx: ServerRequestContext[Any, Any], params: _TaskParams) -> None:
    """Refuse a client that did not declare the extension, and over HTTP a header that names another task.

    Raises:
        MCPError: -32021, or -32020 (SEP-2243); the SDK checks the header of its own methods only.
    """
    require_client_extension(ctx, EXTENSION)
    if ctx.request is not None and (named := ctx.request.headers.get(_NAME_HEADER)) != params.task_id:
        what = "is missing" if named is None else f"is {named[:80]!r}"
        raise MCPError(
            code=types.HEADER_MISMATCH,
            message=f"the header Mcp-Name {what}; send params.taskId there, {params.task_id[:80]!r}",
        )


def _iso(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
