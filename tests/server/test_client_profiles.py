"""Clients as they are: each kind completes a run of three tasks and verifies it.

The assistant is the worker, so every profile has to find its way by what results say. What differs is what a client
shows its model, what it sends, and what it survives.
"""

import json
import random
import re
import select
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import anyio
import pytest
from mcp import Client

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.app import build_server
from forum_mcp.tools import TOOLS
from tests.server.conftest import Process

PLAN: Final = {
    "tasks": [
        {"id": "schema", "lane": "database", "instruction": "design the tables"},
        {"id": "api", "lane": "backend", "instruction": "write the endpoint", "depends_on": ["schema"]},
        {"id": "docs", "lane": "technical-writing", "instruction": "write the guide", "depends_on": ["schema"]},
    ]
}
SUBMIT: Final[dict[str, Any]] = {"request": "a small service", "plan": PLAN, "idempotency_key": "profile"}

Seen = dict[str, Any]
Call = Callable[..., Awaitable[Seen]]


async def complete(call: Call) -> Seen:
    """Do what each result says until nothing is left to do; return the last view of the run."""
    view = await call("submit", **SUBMIT)
    run_id = view["run_id"]
    with anyio.fail_after(60):
        while view["next"] is not None:
            following = view["next"]
            if following["arguments"].get("action") == "complete":
                for item in view["items"]:
                    view = await call("work", action="complete", item=item["item"], result=f"did {item['item']}")
            else:
                view = await call(following["tool"], **following["arguments"])
    view = await call("run", run_id=run_id)
    assert view["state"] == "succeeded"
    assert view["answer"].count("did ") == 3
    verified = await call("ledger_verify", checkpoint=view["checkpoint"], level=4)
    assert verified["clean"] is True
    return view


def of_structure(result: Any) -> Seen:
    """What a client sees that shows structured content only."""
    assert not result.is_error, result
    seen: Any = result.structured_content
    assert seen is not None
    return cast("Seen", seen)


async def test_a_client_that_shows_structured_content_only(era: str, host_settings: Settings) -> None:
    async with Client(build_server(lambda: Orchestrator.open(host_settings)), mode=era) as client:

        async def call(tool: str, /, **arguments: object) -> Seen:
            return of_structure(await client.call_tool(tool, arguments))

        await complete(call)


def of_text(text: str) -> Seen:
    """What a model reads out of the text of a result."""
    seen: Seen = {"next": None, "items": [{"item": int(item)} for item in re.findall(r"^- item (\d+)", text, re.M)]}
    if following := re.search(r"^next: call (\w+) with (\{.*\})$", text, re.M):
        seen["next"] = {"tool": following[1], "arguments": json.loads(following[2])}
    if run_id := re.search(r"^run_id: ([0-9a-f]{32})$", text, re.M):
        seen["run_id"] = run_id[1]
    if state := re.search(r"^run (\w+): \d", text):
        seen["state"] = state[1]
    if answer := re.search(r"^<<<answer (\w+)\n(.*)\nanswer \1>>>$", text, re.M | re.S):
        seen["answer"] = answer[2]
    if checkpoint := re.search(r"^checkpoint .*:\n(.*)", text, re.M | re.S):
        seen["checkpoint"] = checkpoint[1] + "\n"
    seen["clean"] = text.startswith("clean: ")
    return seen


async def test_a_client_that_shows_text_only(era: str, host_settings: Settings) -> None:
    async with Client(build_server(lambda: Orchestrator.open(host_settings)), mode=era) as client:

        async def call(tool: str, /, **arguments: object) -> Seen:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error
            assert [item.type for item in result.content] == ["text"]
            return of_text(result.content[0].text)  # type: ignore[union-attr]

        await complete(call)


async def test_a_client_that_knows_tools_only_and_is_blind_to_resources(era: str, host_settings: Settings) -> None:
    async with Client(build_server(lambda: Orchestrator.open(host_settings)), mode=era) as client:
        asked: list[str] = []

        async def call(tool: str, /, **arguments: object) -> Seen:
            asked.append(tool)
            result = await client.call_tool(tool, arguments)
            assert all(item.type == "text" for item in result.content), "no links that it could not follow"
            return of_structure(result)

        view = await complete(call)
        entry = await call("ledger_show", seq=view["entries"][1])
        assert (await call("ledger_trace", seq=entry["entries"][0]["seq"]))["reaches_request"] is True
        assert set(asked) <= {tool.name for tool in TOOLS}


async def test_a_client_that_sends_every_member_of_a_schema_and_null_for_what_it_leaves_out(
    era: str, host_settings: Settings
) -> None:
    async with Client(build_server(lambda: Orchestrator.open(host_settings)), mode=era) as client:
        schemas = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}

        async def call(tool: str, /, **arguments: object) -> Seen:
            schema = schemas[tool]
            assert set(schema) <= {"type", "properties", "required", "additionalProperties"}
            full = {name: arguments.get(name) for name in schema["properties"]}
            return of_structure(await client.call_tool(tool, full))

        await complete(call)


async def test_a_client_that_puts_its_own_name_before_ours_in_sixty_characters(
    era: str, host_settings: Settings
) -> None:
    async with Client(build_server(lambda: Orchestrator.open(host_settings)), mode=era) as client:
        names = {f"mcp__forum-mcp__{tool.name}": tool.name for tool in TOOLS}
        assert all(len(name) <= 60 for name in names)
        by_tool = {tool: name for name, tool in names.items()}

        async def call(tool: str, /, **arguments: object) -> Seen:
            return of_structure(await client.call_tool(names[by_tool[tool]], arguments))

        await complete(call)


async def test_a_client_that_drops_every_call_that_takes_long(era: str, tmp_path: Path) -> None:
    script = tmp_path / "slow.json"
    script.write_text(json.dumps({"replies": [], "default": {"reply": "did it", "delay_ms": 400}}))
    settings = Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"team": ExecutorSettings(type="scripted", script=str(script))},
        roles=RoleSettings(worker=["team"]),
    )
    dropped = 0
    async with Client(build_server(lambda: Orchestrator.open(settings)), mode=era) as client:

        async def call(tool: str, /, **arguments: object) -> Seen:
            nonlocal dropped
            while True:
                with anyio.move_on_after(0.25):
                    return of_structure(await client.call_tool(tool, arguments))
                dropped += 1

        await complete(call)
    assert dropped > 0


async def test_a_client_that_sends_every_call_twice(era: str, host_settings: Settings) -> None:
    async with Client(build_server(lambda: Orchestrator.open(host_settings)), mode=era) as client:

        async def call(tool: str, /, **arguments: object) -> Seen:
            first = await client.call_tool(tool, arguments)
            second = await client.call_tool(tool, arguments)
            if arguments.get("action") != "complete":
                return of_structure(second)  # the first answer was lost
            assert second.is_error, "a result is taken once"
            assert "attempt-closed" in second.content[0].text  # type: ignore[union-attr]
            return of_structure(first)

        view = await complete(call)
        assert len((await call("run"))["runs"]) == 1
        shown = await call("ledger_show", run_id=view["run_id"], kind="call.finished")
        assert len(shown["entries"]) == 3


def test_a_client_whose_server_is_killed_after_every_call(
    start: Callable[[Settings], Process], host_settings: Settings
) -> None:
    async def call(tool: str, /, **arguments: object) -> Seen:
        server = start(host_settings)
        if "wait_s" in arguments:
            arguments["wait_s"] = 1
        answer = server.ask(1, "tools/call", name=tool, arguments=arguments)["result"]
        server.popen.kill()
        server.popen.wait()
        assert not answer["isError"], answer
        return cast("Seen", answer["structuredContent"])

    anyio.run(partial(complete, call))


def test_a_client_whose_server_is_killed_at_any_moment(
    start: Callable[[Settings], Process], host_settings: Settings
) -> None:
    moments = random.Random(6)
    killed = 0

    async def call(tool: str, /, **arguments: object) -> Seen:
        nonlocal killed
        arguments |= {"wait_s": 1} if "wait_s" in arguments else {}
        for patience_s in (0.0, moments.uniform(0.2, 2.0), 60.0):
            server = start(host_settings)
            server.send(server.request(1, "tools/call", name=tool, arguments=arguments))
            answered, _, _ = select.select([server.stdout], [], [], patience_s)
            answer = server.answer()["result"] if answered else None
            server.popen.kill()
            server.popen.wait()
            if answer is None:
                killed += 1
            elif answer["isError"]:
                assert "attempt-closed" in answer["content"][0]["text"], "the answer that was lost was to this"
                return await call("work", action="next")
            else:
                return cast("Seen", answer["structuredContent"])
        raise AssertionError("a server that nobody kills answers")

    anyio.run(partial(complete, call))
    assert killed > 7, "each call once at least"


@pytest.mark.parametrize("name", ["claude-code", "codex \u202e\x00", "x" * 500, ""])
async def test_a_client_of_whatever_name_is_named_in_the_record(era: str, host_settings: Settings, name: str) -> None:
    import mcp_types as types

    server = build_server(lambda: Orchestrator.open(host_settings))
    info = types.Implementation(name=name, version="1")
    async with Client(server, mode=era, client_info=info) as client:
        run = of_structure(await client.call_tool("submit", {"request": "poem", "single": True}))
        shown = of_structure(await client.call_tool("ledger_show", {"run_id": run["run_id"], "kind": "run.started"}))
        actor = shown["entries"][0]["actor"]
        assert actor.startswith("host:")
        assert 5 < len(actor) <= 65
        assert actor.isprintable()
        assert of_structure(await client.call_tool("ledger_verify", {"level": 4}))["clean"] is True
