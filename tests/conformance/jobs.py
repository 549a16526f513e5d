"""Fixtures of the Tasks extension: jobs that go on after their call, ask, fail or are cancelled.

Names and texts are the ones the scenarios of the conformance suite ask for.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from secrets import token_hex
from typing import Any, Final, cast

import anyio
import mcp_types as types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context, require_client_extension
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from forum_mcp.resources.changes import Changes
from forum_mcp.server.changes import Bus
from forum_mcp.server.run_tasks import RunDesk
from forum_mcp.server.tasks import EXTENSION, Status, TaskState
from tests.conformance.asking import NAME, done, elicit

__all__ = ["JobDesk", "register"]

AnyContext = Context[Any, Any]
CONFIRM: Final = {"confirm": {"type": "boolean"}}


def dumped(model: BaseModel) -> dict[str, object]:
    """Return a model as it goes over the wire."""
    return cast("dict[str, object]", model.model_dump(by_alias=True, mode="json", exclude_none=True))


class Job:
    """One task in memory."""

    def __init__(self, moved: Callable[[str], None]) -> None:
        self.task_id = token_hex(16)
        self.scope = anyio.CancelScope()
        self.status: Status = "working"
        self.detail: dict[str, object] = {}
        self.asked: dict[str, types.ElicitRequest] = {}
        self.created_us = self.updated_us = time.time_ns() // 1_000
        self._answers: dict[str, Any] = {}
        self._answered = anyio.Event()
        self._moved = moved

    def state(self) -> TaskState:
        """Return the task as it is now."""
        questions = {
            key: asked.model_dump(by_alias=True, mode="json", exclude_none=True) for key, asked in self.asked.items()
        }
        return TaskState(
            task_id=self.task_id,
            status="input_required" if questions and self.status == "working" else self.status,
            message=self.status,
            created_us=self.created_us,
            updated_us=self.updated_us,
            detail={"inputRequests": questions} if questions and self.status == "working" else self.detail,
        )

    async def ask(self, **questions: types.ElicitRequest) -> Mapping[str, Any]:
        """Ask several things at once; return what was answered."""
        keys = {name: f"{name}-{token_hex(4)}" for name in questions}
        self.asked = {keys[name]: question for name, question in questions.items()}
        self._move()
        while self.asked:
            self._answered = anyio.Event()
            await self._answered.wait()
        return {name: self._answers[key] for name, key in keys.items()}

    def answer(self, responses: Mapping[str, Any]) -> None:
        """Take answers to what is asked."""
        for key in [key for key in self.asked if key in responses]:
            self._answers[key] = responses[key]
            del self.asked[key]
        self._move()
        self._answered.set()

    async def run(self, work: Callable[["Job"], Awaitable[types.CallToolResult]]) -> None:
        """Do the work and keep what came of it."""
        with self.scope:
            try:
                result = await work(self)
                self.detail = {"result": dumped(result)}
                self.status = "completed"
            except MCPError as error:
                self.detail = {"error": error.error.model_dump(mode="json", exclude_none=True)}
                self.status = "failed"
        if self.scope.cancelled_caught:
            self.status = "cancelled"
        self.asked = {}
        self._move()

    def _move(self) -> None:
        self.updated_us = time.time_ns() // 1_000
        self._moved(self.task_id)


async def _slow(job: Job | None, arguments: Mapping[str, Any]) -> types.CallToolResult:
    await anyio.sleep(float(arguments.get("seconds", 0)))
    return done("computed")


async def _failing(job: Job | None, arguments: Mapping[str, Any]) -> types.CallToolResult:
    failed = done("this job always fails")
    failed.is_error = True
    return failed


async def _broken(job: Job | None, arguments: Mapping[str, Any]) -> types.CallToolResult:
    raise MCPError(types.INTERNAL_ERROR, "this job breaks the protocol")


async def _confirm(job: Job | None, arguments: Mapping[str, Any]) -> types.CallToolResult:
    if job is not None:
        await job.ask(confirm=elicit(f"Delete {arguments.get('filename')}?", CONFIRM))
    return done("deleted")


async def _several(job: Job | None, arguments: Mapping[str, Any]) -> types.CallToolResult:
    if job is not None:
        await job.ask(name=elicit("What is your name?", NAME), confirm=elicit("Sure?", CONFIRM))
    return done("all answered")


JOBS: Final = {
    "slow_compute": _slow,
    "failing_job": _failing,
    "protocol_error_job": _broken,
    "confirm_delete": _confirm,
    "multi_input": _several,
}
ASKS_FIRST: Final = "test_tool_with_task"
NEED_TASKS: Final = (ASKS_FIRST, "failing_job")
"""Jobs that a client without the extension is refused."""


class JobDesk(RunDesk):
    """The product's desk, and jobs in memory besides."""

    def __init__(self, forum_of: Callable[[Any], Awaitable[Any]], bus: Bus) -> None:
        super().__init__(forum_of)
        self._bus = bus
        self._jobs: dict[str, Job] = {}

    async def begin(self, params: types.CallToolRequestParams, ctx: Any, call_next: Any) -> Any:
        arguments = params.arguments or {}
        if params.name == ASKS_FIRST and (answer := (params.input_responses or {}).get("user_name")) is not None:
            content = answer.content if isinstance(answer, types.ElicitResult) else {}

            async def greet(job: Job) -> types.CallToolResult:
                return done(f"Hello, {(content or {}).get('name')}!")

            return self._start(ctx, greet)
        work = JOBS.get(params.name)
        if work is None:
            return await super().begin(params, ctx, call_next)

        async def working(job: Job) -> types.CallToolResult:
            return await work(job, arguments)

        return self._start(ctx, working)

    async def plain(self, params: types.CallToolRequestParams, ctx: Any, call_next: Any) -> Any:
        if params.name in NEED_TASKS:
            require_client_extension(ctx, EXTENSION)
        return await super().plain(params, ctx, call_next)

    async def state(self, task_id: str, ctx: Any) -> TaskState:
        job = self._jobs.get(task_id)
        return await super().state(task_id, ctx) if job is None else job.state()

    async def answer(self, task_id: str, responses: Mapping[str, Any], ctx: Any) -> None:
        if (job := self._jobs.get(task_id)) is None:
            return await super().answer(task_id, responses, ctx)
        return job.answer(responses)

    async def cancel(self, task_id: str, ctx: Any) -> None:
        if (job := self._jobs.get(task_id)) is None:
            return await super().cancel(task_id, ctx)
        return job.scope.cancel() if job.status == "working" else None

    def _start(self, ctx: Any, work: Callable[[Job], Awaitable[types.CallToolResult]]) -> TaskState:
        job = Job(lambda task_id: self._bus.tell(Changes((task_id,))))
        self._jobs[job.task_id] = job

        async def running() -> None:
            await job.run(work)

        ctx.lifespan_context.start(running)
        return job.state()


def register(server: MCPServer[Any]) -> None:
    """Add the fixtures, as clients without the extension call them, to a server."""

    @server.tool(structured_output=False)
    def greet(name: str) -> str:
        """Greet at once."""
        return f"Hello, {name}!"

    @server.tool(structured_output=False)
    async def slow_compute(seconds: float = 0, label: str = "") -> types.CallToolResult:
        """Take some seconds."""
        return await _slow(None, {"seconds": seconds})

    @server.tool(structured_output=False)
    async def failing_job() -> types.CallToolResult:
        """Fail as a tool does."""
        return await _failing(None, {})

    @server.tool(structured_output=False)
    async def protocol_error_job() -> types.CallToolResult:
        """Fail as the protocol does."""
        return await _broken(None, {})

    @server.tool(structured_output=False)
    async def confirm_delete(filename: str) -> types.CallToolResult:
        """Ask one thing."""
        return await _confirm(None, {})

    @server.tool(structured_output=False)
    async def multi_input() -> types.CallToolResult:
        """Ask two things."""
        return await _several(None, {})

    @server.tool(structured_output=False)
    async def test_tool_with_task(ctx: AnyContext) -> types.InputRequiredResult:
        """Ask first, then go on as a task."""
        return types.InputRequiredResult(input_requests={"user_name": elicit("What is your name?", NAME)})
