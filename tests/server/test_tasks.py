"""Runs as tasks of the Tasks extension: for clients that declare it, and only for them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import anyio
import mcp_types as types
import pytest
from mcp import Client, MCPError
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.ledger.entry import RunId
from forum_mcp.server.app import build_server
from forum_mcp.server.tasks import EXTENSION

DECLARED: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {EXTENSION: {}}},
    "io.modelcontextprotocol/clientInfo": {"name": "probe", "version": "1"},
}


class Params(types.RequestParams):
    task_id: str
    input_responses: dict[str, Any] | None = None


class Ask(types.Request[Params, str]):
    method: str
    params: Params


class Made(types.Result):
    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    ttl_ms: int | None = None
    poll_interval_ms: int | None = None


class State(types.Result):
    task_id: str
    status: str
    status_message: str
    created_at: str
    last_updated_at: str
    result: dict[str, Any] | None = None
    input_requests: dict[str, dict[str, Any]] | None = None


class Declaring(ClientExtension):
    """A client that takes tasks and leaves them to the test."""

    identifier = EXTENSION

    def claims(self) -> Any:
        return [ResultClaim(result_type="task", model=Made, resolve=self._resolve)]

    async def _resolve(self, made: Made, ctx: ClaimContext) -> types.CallToolResult:
        raise AssertionError("the test resolves its tasks itself")


class TaskClient:
    """The extension's methods."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, /, **arguments: object) -> Any:
        """Call a tool; return its result or the task."""
        return await self.client.session.call_tool(tool, dict(arguments), allow_claimed=True)

    async def ask(self, method: str, task_id: str, expect: Any = types.EmptyResult, **more: Any) -> Any:
        """Send ``tasks/<method>``."""
        request = Ask(method=f"tasks/{method}", params=Params(task_id=task_id, **more))
        return await self.client.session.send_request(request, expect)

    async def state(self, task_id: str) -> State:
        """Return a task."""
        state = await self.ask("get", task_id, State)
        assert isinstance(state, State)
        return state

    async def until(self, task_id: str, status: str) -> State:
        """Return a task once it has a status."""
        with anyio.fail_after(20):
            while (state := await self.state(task_id)).status != status:
                await self.call("run", run_id=task_id, wait_s=5)
        return state


def slow(tmp_path: Path, *, delay_ms: int = 1_500) -> Settings:
    script = tmp_path / "slow.json"
    script.write_text(json.dumps({"replies": [], "default": {"reply": "late but here", "delay_ms": delay_ms}}))
    return Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"team": ExecutorSettings(type="scripted", script=str(script))},
        roles=RoleSettings(worker=["team"]),
    )


def client_of(settings: Settings, **options: Any) -> Client:
    server = build_server(lambda: Orchestrator.open(settings))
    return Client(server, extensions=[Declaring()], **options)


async def test_a_run_that_takes_long_is_a_task_whose_id_is_the_runs(tmp_path: Path) -> None:
    async with client_of(slow(tmp_path)) as client:
        tasks = TaskClient(client)
        made = await tasks.call("submit", request="write a poem", single=True)
        assert isinstance(made, Made)
        assert (made.status, made.ttl_ms, made.poll_interval_ms) == ("working", None, 2_000)
        assert (await tasks.state(made.task_id)).status_message == "0 of 1 task done, running t1"
        state = await tasks.until(made.task_id, "completed")
        assert state.result is not None
        assert state.result["structuredContent"]["run_id"] == made.task_id
        assert "late but here" in state.result["structuredContent"]["answer"]
        assert "late but here" in state.result["content"][0]["text"]
        assert state.created_at < state.last_updated_at
        await tasks.ask("cancel", made.task_id)
        assert (await tasks.state(made.task_id)).status == "completed", "what is over stays as it was"
        with pytest.raises(MCPError, match="no task"):
            await tasks.state(made.task_id[:8])


async def test_a_run_that_is_done_at_once_needs_no_task(scripted_settings: Settings) -> None:
    async with client_of(scripted_settings) as client:
        result = await TaskClient(client).call("submit", request="write a poem", single=True)
        assert isinstance(result, types.CallToolResult)
        assert result.structured_content is not None
        assert result.structured_content["state"] == "succeeded"


async def test_a_refused_call_is_a_refusal_and_no_task(host_settings: Settings) -> None:
    async with client_of(host_settings) as client:
        for arguments in ({}, {"request": "x", "wait_s": "long"}, {"request": "x", "wait_s": 301}):
            result = await TaskClient(client).call("submit", **arguments)
            assert isinstance(result, types.CallToolResult)
            assert result.is_error


async def test_a_cancelled_task_ends_its_run_and_the_record_says_who(tmp_path: Path) -> None:
    async with client_of(slow(tmp_path, delay_ms=60_000)) as client:
        tasks = TaskClient(client)
        made = await tasks.call("submit", request="write a poem", single=True)
        with anyio.fail_after(20):
            await tasks.ask("cancel", made.task_id)
        assert (await tasks.until(made.task_id, "cancelled")).result is None
        shown = await tasks.call("ledger_show", run_id=made.task_id, kind="run.cancelled", bodies=True)
        entry = shown.structured_content["entries"][0]
        assert (entry["actor"], entry["bodies"]["reason"]["text"]) == ("host:mcp", "tasks/cancel")
        assert not (await tasks.call("ledger_verify", level=4)).is_error


async def test_a_task_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    settings = slow(tmp_path)
    async with client_of(settings) as client:
        made = await TaskClient(client).call("submit", request="write a poem", single=True)
    async with client_of(settings) as client:
        tasks = TaskClient(client)
        assert (await tasks.state(made.task_id)).status == "working", "asking for it takes the run up again"
        assert (await tasks.until(made.task_id, "completed")).result is not None
        assert (await tasks.call("ledger_verify", level=4)).structured_content["findings"] == []


async def test_a_task_is_told_by_its_record_where_its_run_cannot_go_on(tmp_path: Path) -> None:
    settings = slow(tmp_path, delay_ms=60_000)
    async with client_of(settings) as client:
        made = await TaskClient(client).call("submit", request="write a poem", single=True)
    elsewhere = Settings(ledger=settings.ledger)
    async with client_of(elsewhere) as client:
        tasks = TaskClient(client)
        size = (await tasks.call("ledger_verify", level=1)).structured_content["size"]
        state = await tasks.state(made.task_id)
        assert state.status == "working"
        assert state.status_message.startswith(f"interrupted: run {made.task_id} cannot go on here")
        assert "has no executor 'team'" in state.status_message
        assert (await tasks.call("ledger_verify", level=1)).structured_content["size"] == size
        await tasks.ask("cancel", made.task_id)
        assert (await tasks.until(made.task_id, "cancelled")).result is None


@pytest.mark.parametrize("task_id", ["", "nope", "0" * 32, "x" * 10_000, "\u0000", "../runs"])
async def test_a_task_that_does_not_exist_is_invalid_params(host_settings: Settings, task_id: str) -> None:
    async with client_of(host_settings) as client:
        for method in ("get", "cancel", "update"):
            with pytest.raises(MCPError, match="no task") as refusal:
                await TaskClient(client).ask(method, task_id, State)
            assert refusal.value.code == -32602
            assert len(refusal.value.message) < 300


async def test_a_plan_that_rests_is_no_task(scripted_settings: Settings) -> None:
    async with client_of(scripted_settings) as client:
        tasks = TaskClient(client)
        planned = await tasks.call("plan", request="write a poem")
        with pytest.raises(MCPError, match="no task"):
            await tasks.state(planned.structured_content["run_id"])


async def test_a_client_that_does_not_declare_tasks_gets_none(era: str, tmp_path: Path) -> None:
    server = build_server(lambda: Orchestrator.open(slow(tmp_path)))
    async with Client(server, mode=era) as client:
        run = await client.call_tool("submit", {"request": "write a poem", "single": True})
        assert run.structured_content is not None
        assert run.structured_content["state"] == "succeeded"
        with pytest.raises(MCPError) as refusal:
            await TaskClient(client).state(run.structured_content["run_id"])
        assert refusal.value.code == (-32021 if era == "auto" else -32601)


async def test_a_server_that_submits_nothing_has_no_tasks(host_settings: Settings) -> None:
    server = build_server(lambda: Orchestrator.open(host_settings), read_only=True)
    async with Client(server) as client:
        assert EXTENSION not in (client.server_capabilities.extensions or {})
    server = build_server(lambda: Orchestrator.open(host_settings))
    async with Client(server) as client:
        assert EXTENSION in (client.server_capabilities.extensions or {})


class Waiting:
    """A task whose run waits for work of the host."""

    def __init__(self, tasks: TaskClient, task_id: str) -> None:
        self.tasks = tasks
        self.task_id = task_id

    async def answer(self, **response: object) -> None:
        """Answer the one thing the task asks, and something that it does not ask."""
        state = await self.tasks.until(self.task_id, "input_required")
        assert state.input_requests is not None
        (key,) = state.input_requests
        await self.tasks.ask("update", self.task_id, input_responses={key: response, "nobody-asked": {}})


async def waiting(client: Client) -> Waiting:
    run = await TaskClient(client).call("submit", request="write a poem", single=True)
    assert run.structured_content["state"] == "waiting", "a run that needs its caller is told at once"
    return Waiting(TaskClient(client), str(run.structured_content["run_id"]))


async def never_asked(*_: Any) -> Any:
    raise AssertionError("what a task asks comes with its state")


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_work_of_the_host_is_a_question_to_its_model(host_settings: Settings) -> None:
    async with client_of(host_settings, sampling_callback=never_asked) as client:
        task = await waiting(client)
        state = await task.tasks.state(task.task_id)
        assert state.input_requests is not None
        (request,) = state.input_requests.values()
        assert request["method"] == "sampling/createMessage"
        assert "write a poem" in request["params"]["messages"][0]["content"]["text"]
        await task.answer(role="assistant", model="m", content={"type": "text", "text": "roses"})
        done = await task.tasks.until(task.task_id, "completed")
        assert done.result is not None
        assert "roses" in done.result["structuredContent"]["answer"]


async def test_work_of_the_host_is_a_question_to_the_person_where_no_model_answers(host_settings: Settings) -> None:
    async with client_of(host_settings, elicitation_callback=never_asked) as client:
        task = await waiting(client)
        with pytest.raises(MCPError, match="has no text") as refusal:
            await task.answer(action="accept", content={"wrong": 1})
        assert refusal.value.code == -32602
        await task.answer(action="accept", content={"result": "violets"})
        assert (await task.tasks.until(task.task_id, "completed")).result is not None
        other = await waiting(client)
        await other.answer(action="decline")
        done = await other.tasks.until(other.task_id, "completed")
        assert done.result is not None
        assert done.result["structuredContent"]["state"] == "failed"


async def test_an_open_gate_is_a_question_of_its_task(scripted_settings: Settings) -> None:
    async with client_of(scripted_settings, elicitation_callback=never_asked) as client:
        tasks = TaskClient(client)
        run = await tasks.call("submit", request="write a poem", single=True, approve="run", wait_s=0)
        task = Waiting(tasks, str(run.structured_content["run_id"]))
        state = await task.tasks.state(task.task_id)
        assert state.input_requests is not None
        (request,) = state.input_requests.values()
        assert request["method"] == "elicitation/create"
        assert "write a poem" in request["params"]["message"]
        with pytest.raises(MCPError, match="decides nothing"):
            await task.answer(action="accept", content={"decision": "yes"})
        await task.answer(action="decline")
        assert (await task.tasks.state(task.task_id)).status == "input_required", "nothing was decided"
        await task.answer(action="accept", content={"decision": "approve"})
        assert (await task.tasks.until(task.task_id, "completed")).result is not None
        shown = await tasks.call("ledger_show", run_id=task.task_id, kind="gate.resolved")
        assert shown.structured_content["entries"][0]["data"]["how"] == "elicitation"


async def test_a_client_that_can_be_asked_nothing_is_told_what_to_call(host_settings: Settings) -> None:
    async with client_of(host_settings) as client:
        task = await waiting(client)
        state = await task.tasks.state(task.task_id)
        assert (state.status, state.input_requests) == ("working", None)
        assert "call work" in state.status_message


def test_a_listener_hears_of_its_task_until_it_is_over(start: Callable[[Settings], Any], tmp_path: Path) -> None:
    server = start(slow(tmp_path))

    def send(number: int, method: str, **params: object) -> None:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": DECLARED}}
        server.send(json.dumps(message).encode())

    send(1, "tools/call", name="submit", arguments={"request": "write a poem", "single": True})
    task_id = server.answer()["result"]["taskId"]
    send(2, "subscriptions/listen", notifications={"taskIds": [task_id, "f" * 32]})
    acknowledged = server.answer()
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"]["notifications"] == {"taskIds": [task_id]}
    told = server.answer()
    assert told["method"] == "notifications/tasks"
    while told["params"]["status"] == "working":
        told = server.answer()
    assert told["params"]["status"] == "completed"
    assert told["params"]["result"]["structuredContent"]["run_id"] == task_id
    assert told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 2
    server.ask(3, "tools/list")
    refused = server.ask(4, "subscriptions/listen", notifications={"taskIds": [RunId(task_id)]})
    assert refused["error"]["code"] == -32021
    send(5, "subscriptions/listen", notifications={"taskIds": "all"})
    assert server.answer()["error"]["code"] == -32602
