"""The executor ``sampling``: the model of the connected client does the work, on record and not taken for granted."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
import pytest
from mcp import Client, StdioServerParameters
from mcp.client import ClientRequestContext
from mcp.client.stdio import stdio_client

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.principal import ADMIN
from forum_mcp.server.app import build_server
from tests.server.conftest import SERVE
from tests.server.http_peer import Shared, sharing
from tests.server.test_tasks import TaskClient, client_of

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

TWO = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "do a"},
        {"id": "b", "lane": "backend", "instruction": "do b"},
    ]
}
PICTURE = types.ImageContent(type="image", data="AA==", mime_type="image/png")
Said = str | types.CreateMessageResult | types.ErrorData


def said(text: str, *, stop: str | None = "endTurn") -> types.CreateMessageResult:
    content = types.TextContent(type="text", text=text)
    return types.CreateMessageResult(role="assistant", content=content, model="the-client-9", stop_reason=stop)


class ClientModel:
    """The client's model: answers by a function, and keeps what it was asked."""

    def __init__(self, answer: Callable[[types.CreateMessageRequestParams], Said]) -> None:
        self.answer = answer
        self.asked: list[types.CreateMessageRequestParams] = []
        self.at_once = 0
        self.most_at_once = 0

    async def __call__(
        self, context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult | types.ErrorData:
        self.asked.append(params)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        self.at_once -= 1
        answer = self.answer(params)
        return said(answer) if isinstance(answer, str) else answer


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return sampling_settings(tmp_path)


def sampling_settings(tmp_path: Path, **members: Any) -> Settings:
    return Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"client": ExecutorSettings(type="sampling", **members)},
        roles=RoleSettings(coordinator=["rules"], worker=["client"], validator=["rules"], synthesizer=["rules"]),
    )


def served(settings: Settings, model: ClientModel | None, era: str) -> Client:
    return Client(build_server(lambda: Orchestrator.open(settings)), mode=era, sampling_callback=model)


async def called(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    assert result.structured_content is not None
    return cast("dict[str, Any]", result.structured_content)


async def calls(client: Client, run_id: str, kind: str = "call.finished") -> list[dict[str, Any]]:
    """Return the entries of a kind, oldest first, after a clean verification."""
    assert (await called(client, "ledger_verify", level=4))["findings"] == []
    shown = await called(client, "ledger_show", run_id=run_id, kind=kind, bodies=True)
    return sorted(shown["entries"], key=lambda entry: entry["seq"])


async def test_the_clients_model_does_the_work_and_is_on_record(era: str, tmp_path: Path) -> None:
    model = ClientModel(lambda asked: "roses are red")
    settings = sampling_settings(tmp_path, model="wished-for", temperature=0.5, max_tokens=77)
    async with served(settings, model, era) as client:
        run = await called(client, "submit", request="write a poem", single=True)
        assert (run["state"], "roses" in run["answer"]) == ("succeeded", True)
        assert run["tasks"][0]["served"] == "the-client-9"
        (started,) = await calls(client, run["run_id"], "call.started")
        assert (started["data"]["type"], started["data"]["egress"]) == ("sampling", "internet")
        (finished,) = await calls(client, run["run_id"])
        assert (finished["data"]["served_model"], finished["data"]["finish_reason"]) == ("the-client-9", "endTurn")
        assert (finished["data"]["cost_microusd"], finished["data"]["price_source"]) == (0, "borne by the client")
    [asked] = model.asked
    assert asked.max_tokens == 77
    assert asked.temperature == 0.5
    assert asked.model_preferences is not None
    assert asked.model_preferences.hints is not None
    assert [hint.name for hint in asked.model_preferences.hints] == ["wished-for"]
    assert asked.include_context in (None, "none")
    assert "write a poem" in cast("types.TextContent", asked.messages[0].content).text


async def test_independent_tasks_ask_the_client_at_once(era: str, settings: Settings) -> None:
    model = ClientModel(lambda asked: "done")
    async with served(settings, model, era) as client:
        run = await called(client, "submit", request="both", plan=TWO)
        assert run["state"] == "succeeded"
        await calls(client, run["run_id"])
    assert (len(model.asked), model.most_at_once) == (2, 2)


async def test_a_client_without_sampling_is_told_so_and_nobody_waits(era: str, settings: Settings) -> None:
    async with served(settings, None, era) as client:
        for wait_s in (45, 0):
            with anyio.fail_after(20):
                run = await called(client, "submit", request="write a poem", single=True, wait_s=wait_s)
                run = await called(client, "run", run_id=run["run_id"], wait_s=45)
            assert run["state"] == "failed"
            assert run["tasks"][0]["error"] == "sampling-missing"
            (finished,) = await calls(client, run["run_id"])
            detail = finished["bodies"]["detail"]["text"]
            assert "declares no sampling" in detail
            assert "bind the role to another executor" in detail


async def test_outside_of_mcp_there_is_no_client_to_ask(settings: Settings) -> None:
    async with Orchestrator.open(settings) as forum:
        with anyio.fail_after(20):
            run = await forum.submit("write a poem", single=True)
        assert (run.state, run.tasks[0].error) == ("failed", "sampling-missing")
        shown = forum.ledger.show(run_id=run.run_id, kind="call.finished", bodies=True)
        assert "only a client over MCP lends its model" in str(shown.entries[0].bodies["detail"]["text"])
        assert forum.ledger.verify(level=4).findings == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (types.ErrorData(code=-1, message="User rejected sampling request"), "refused"),
        (types.ErrorData(code=-32603, message="the model \x1b[2J is away"), "server-error"),
        (types.ErrorData(code=-32602, message="no such parameter"), "bad-request"),
        (types.ErrorData(code=-32601, message="Method not found"), "sampling-missing"),
        (said("half of", stop="maxTokens"), "length"),
        (said("  \n"), "empty-reply"),
        (said("\N{SNOWMAN}" * 3_000_000), "output-limit"),
        (
            types.CreateMessageResult(
                role="assistant",
                content=types.ImageContent(type="image", data="AA==", mime_type="image/png"),
                model="m",
            ),
            "bad-response",
        ),
    ],
    ids=["rejected", "error", "arguments", "method", "cut", "nothing", "flood", "picture"],
)
async def test_what_a_client_answers_instead_of_a_reply_has_its_class(
    tmp_path: Path, answer: types.CreateMessageResult | types.ErrorData, error: str
) -> None:
    model = ClientModel(lambda asked: answer)
    async with served(sampling_settings(tmp_path, attempts=1), model, "legacy") as client:
        run = await called(client, "submit", request="write a poem", single=True)
        assert run["state"] == "failed"
        (finished,) = await calls(client, run["run_id"])
        assert finished["data"]["error"] == error
        if "detail" in finished["bodies"]:
            assert finished["bodies"]["detail"]["text"].isprintable()
    assert len(model.asked) == 1


async def test_a_model_whose_name_is_no_name_is_not_recorded_as_one(era: str, settings: Settings) -> None:
    content = types.TextContent(type="text", text="done")
    odd = types.CreateMessageResult(role="assistant", content=content, model="\x1b[31m" + "m" * 5_000)
    async with served(settings, ClientModel(lambda asked: odd), era) as client:
        run = await called(client, "submit", request="write a poem", single=True)
        assert run["state"] == "succeeded"
        (finished,) = await calls(client, run["run_id"])
        assert "served_model" not in finished["data"]


async def test_a_client_that_never_answers_costs_the_attempt_its_time_and_no_more(tmp_path: Path) -> None:
    ended = anyio.Event()

    async def stalls(context: ClientRequestContext, params: types.CreateMessageRequestParams) -> types.ErrorData:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError("nothing wakes it")

    settings = sampling_settings(tmp_path, attempts=1, timeout_s=0.3)
    server = build_server(lambda: Orchestrator.open(settings))
    async with Client(server, mode="legacy", sampling_callback=stalls) as client:
        with anyio.fail_after(20):
            run = await called(client, "submit", request="write a poem", single=True)
            await ended.wait()
        (finished,) = await calls(client, run["run_id"])
        assert (run["state"], finished["data"]["error"]) == ("failed", "timeout")


async def test_a_question_waits_for_a_call_that_waits(era: str, settings: Settings) -> None:
    model = ClientModel(lambda asked: "done")
    async with served(settings, model, era) as client:
        run = await called(client, "submit", request="write a poem", single=True, wait_s=0)
        assert run["next"]["tool"] == "run"
        assert (await called(client, "run", run_id=run["run_id"], wait_s=45))["state"] == "succeeded"
    assert len(model.asked) == 1


async def test_a_question_that_no_client_takes_ends_by_itself(tmp_path: Path) -> None:
    model = ClientModel(lambda asked: "done")
    async with served(sampling_settings(tmp_path, attempts=1, timeout_s=0.2), model, "auto") as client:
        run = await called(client, "submit", request="write a poem", single=True, wait_s=0)
        with anyio.fail_after(20):
            while run["state"] == "running":
                run = await called(client, "run", run_id=run["run_id"])
        assert (run["tasks"][0]["error"], model.asked) == ("sampling-missing", [])
        await calls(client, run["run_id"])


async def test_the_budget_holds_for_the_clients_model(era: str, settings: Settings) -> None:
    model = ClientModel(lambda asked: "done")
    async with served(settings, model, era) as client:
        run = await called(client, "submit", request="both", plan=TWO, max_calls=1)
        assert run["state"] == "failed"
        assert run["spent"]["calls"] == 1
        await calls(client, run["run_id"])
    assert len(model.asked) == 1


async def test_a_run_that_is_local_only_asks_no_client(era: str, settings: Settings) -> None:
    model = ClientModel(lambda asked: "done")
    settings = settings.model_copy(update={"local_only": True})
    async with served(settings, model, era) as client:
        run = await called(client, "submit", request="write a poem", single=True)
        assert run["tasks"][0]["error"] == "egress-refused"
        await calls(client, run["run_id"])
    assert model.asked == []


async def test_a_task_of_the_tasks_extension_asks_the_model_in_its_state(settings: Settings) -> None:
    async def never(*_: Any) -> Any:
        raise AssertionError("what a task asks comes with its state")

    async with client_of(settings, sampling_callback=never) as client:
        tasks = TaskClient(client)
        run = await tasks.call("submit", request="write a poem", single=True, wait_s=0)
        task_id = str(getattr(run, "task_id", None) or run.structured_content["run_id"])
        state = await tasks.until(task_id, "input_required")
        assert state.input_requests is not None
        ((key, request),) = state.input_requests.items()
        assert request["method"] == "sampling/createMessage"
        answer = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "roses"}}
        await tasks.ask("update", task_id, input_responses={key: answer, "sampling-0": answer})
        done = await tasks.until(task_id, "completed")
        assert done.result is not None
        assert "roses" in done.result["structuredContent"]["answer"]


async def test_over_a_real_pipe_the_clients_model_plans_works_and_writes_the_answer(era: str, tmp_path: Path) -> None:
    def answer(asked: types.CreateMessageRequestParams) -> str:
        if "coordinator" in (asked.system_prompt or "").lower() or '"tasks"' in (asked.system_prompt or ""):
            return json.dumps(TWO)
        return "a finished piece"

    model = ClientModel(answer)
    settings = Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"client": ExecutorSettings(type="sampling")},
        roles=RoleSettings(coordinator=["client"], worker=["client"], validator=["rules"], synthesizer=["client"]),
    )
    pipe = stdio_client(
        StdioServerParameters(
            command=sys.executable, args=["-c", SERVE, settings.model_dump_json(exclude_unset=True)], cwd=Path.cwd()
        )
    )
    with anyio.fail_after(60):
        async with Client(pipe, mode=era, sampling_callback=model) as client:
            run = await called(client, "submit", request="both of them")
            assert run["state"] == "succeeded"
            assert [task["served"] for task in run["tasks"]] == ["the-client-9"] * 2
            assert {each["data"]["served_model"] for each in await calls(client, run["run_id"])} == {"the-client-9"}
    assert len(model.asked) == 4


async def test_a_run_of_many_steps_asks_in_several_calls(era: str, settings: Settings) -> None:
    model = ClientModel(lambda asked: f"piece number {len(model.asked)}")
    chain = [
        {"id": f"t{n}", "lane": "backend", "instruction": f"do {n}", "depends_on": [f"t{n - 1}"] if n else []}
        for n in range(12)
    ]
    async with served(settings, model, era) as client:
        run = await called(client, "submit", request="all", plan={"tasks": chain})
        while run["state"] == "running":
            assert run["next"]["tool"] == "run"
            run = await called(client, "run", **run["next"]["arguments"])
        assert run["state"] == "succeeded"
        await calls(client, run["run_id"])
    assert len(model.asked) == 12


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Shared]:
    """A server for several principals whose runs are done by their clients' models."""
    config = tmp_path / "config.toml"
    roles = 'coordinator = ["rules"]\nworker = ["client"]\nvalidator = ["rules"]\nsynthesizer = ["rules"]\n'
    config.write_text(f'[executors.client]\ntype = "sampling"\n[roles]\n{roles}')
    with sharing(tmp_path, "--config", str(config)) as found:
        yield found


def signing(name: str) -> Callable[[types.CreateMessageRequestParams], Said]:
    """Return a model that signs what it writes."""
    return lambda asked: f"by {name}"


async def test_over_http_each_principal_s_runs_ask_its_own_model(era: str, shared: Shared) -> None:
    models = {name: ClientModel(signing(name)) for name in ("alice", "bob")}

    async def poem(name: str) -> None:
        async with shared.client(name, era, sampling_callback=models[name]) as client:
            run = await called(client, "submit", request=f"a poem for {name}", single=True)
            assert (run["state"], run["answer"]) == ("succeeded", f"by {name}")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(poem, "alice")
            group.start_soon(poem, "bob")
        for name in ("alice", "bob"):
            [asked] = models[name].asked
            assert f"a poem for {name}" in cast("types.TextContent", asked.messages[0].content).text


async def test_who_only_looks_at_a_run_lends_it_no_model_and_ends_none_of_its_questions(
    era: str, shared: Shared
) -> None:
    owner, onlooker = ClientModel(lambda asked: "by the owner"), ClientModel(lambda asked: "by the onlooker")
    with anyio.fail_after(60):
        async with (
            shared.client("alice", era, sampling_callback=owner) as alice,
            shared.client("alice", era) as window,
            shared.client("root", era, ADMIN, sampling_callback=onlooker) as root,
        ):
            run = await called(alice, "submit", request="a poem", single=True, wait_s=0)
            await called(root, "run", run_id=run["run_id"], wait_s=1)
            await called(window, "run", run_id=run["run_id"], wait_s=1)
            run = await called(alice, "run", run_id=run["run_id"], wait_s=30)
            assert (run["answer"], onlooker.asked) == ("by the owner", [])
