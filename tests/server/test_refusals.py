"""What a model reads when a call is refused, and what a client gets for a request that cannot be served."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError

from forum_mcp import errors
from forum_mcp.configs.settings import Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import (
    AccessRefused,
    ForumError,
    GateClosed,
    LedgerUnreadable,
    NestedRefused,
    PlanRefused,
    StaleAppend,
)
from forum_mcp.server.app import build_server
from forum_mcp.server.errors import ERROR_CHARS, refusal_text, tool_error

CYCLE = {"tasks": [{"id": i, "lane": "backend", "instruction": "x", "depends_on": [j]} for i, j in ("ab", "ba")]}


@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("submit", {}, "request-refused"),
        ("submit", {"request": "   "}, "request-refused"),
        ("submit", {"request": "x", "run_id": "ab" * 16}, "request-refused"),
        ("submit", {"request": "x", "plan": CYCLE}, "plan-refused"),
        ("submit", {"request": "x", "plan": {"tasks": []}}, "plan-refused"),
        ("submit", {"request": "x", "plan": CYCLE, "single": True}, "request-refused"),
        ("submit", {"request": "x", "lane": "no-such-lane"}, "-refused"),
        ("submit", {"run_id": "ab" * 16}, "not-found"),
        ("plan", {"request": ""}, "request-refused"),
        ("run", {"run_id": "zz"}, "not-found"),
        ("run", {"run_id": "ab" * 16, "limit": 3}, "request-refused"),
        ("run", {"wait_s": 3}, "request-refused"),
        ("run_control", {"run_id": "ab" * 16, "action": "cancel"}, "not-found"),
        ("run_control", {"run_id": "ab" * 16, "action": "approve"}, "request-refused"),
        ("work", {"action": "complete"}, "request-refused"),
        ("work", {"action": "complete", "item": 1}, "request-refused"),
        ("work", {"action": "fail", "item": 1}, "request-refused"),
        ("work", {"action": "complete", "item": 99_999, "result": "x"}, "not-found"),
        ("work", {"action": "next", "run_id": "ab" * 16}, "not-found"),
        ("ledger_show", {"seq": 99_999}, "not-found"),
        ("ledger_show", {"seq": 0, "kind": "x"}, "request-refused"),
        ("ledger_show", {"offset": 5}, "request-refused"),
        ("ledger_trace", {"seq": 99_999}, "not-found"),
        ("ledger_replay", {"until": "yesterday"}, "-refused"),
        ("ledger_replay", {"until": "99999"}, "not-found"),
    ],
)
async def test_a_refusal_is_complete_in_its_text(
    connect: Any, host_settings: Settings, tool: str, arguments: dict[str, object], code: str
) -> None:
    async with connect(host_settings) as forum:
        text = await forum.refused(tool, **arguments)
        assert f"{code}]; " in text
        assert 40 < len(text) <= ERROR_CHARS
        assert "Traceback" not in text
        assert (await forum.call("run"))["runs"] == [], "nothing was recorded"


ECHOED = "Zq" * 500
TASK = {"id": "t1", "lane": "backend", "instruction": "x"}
STRANGE: list[dict[str, object]] = [
    {ECHOED: 1},
    {"effects": ECHOED},
    {"depends_on": [{"id": "t0", "type": ECHOED}]},
    {"depends_on": [ECHOED]},
    {"lane": ECHOED},
    {"context": [ECHOED]},
    {"schema": {"type": ECHOED}},
    {"schema": {"$ref": ECHOED}},
    {"done_when": [f"matches: ({ECHOED}"]},
]


def submit_of(members: dict[str, object]) -> tuple[str, dict[str, object]]:
    return "submit", {"request": "x", "plan": {"tasks": [{**TASK, **members}]}}


async def test_no_refusal_repeats_more_than_80_characters_of_a_value(connect: Any, host_settings: Settings) -> None:
    calls: list[tuple[str, dict[str, object]]] = [
        *map(submit_of, STRANGE),
        ("submit", {"request": "x", "plan": {ECHOED: 1}}),
        ("submit", {"request": "x", "lane": ECHOED}),
        ("submit", {"run_id": ECHOED}),
        ("run", {"run_id": ECHOED}),
        ("run_control", {"run_id": ECHOED, "action": "cancel"}),
        ("work", {"action": "next", "run_id": ECHOED}),
        ("ledger_show", {"since": ECHOED}),
        ("ledger_replay", {"until": ECHOED}),
        ("ledger_replay", {"run_id": ECHOED}),
    ]
    async with connect(host_settings) as connection:
        for tool, arguments in calls:
            text = await connection.refused(tool, **arguments)
            assert ECHOED[:81] not in text, (tool, text)


async def test_an_unknown_tool_is_a_protocol_error_that_names_the_near_one(
    connect: Any, host_settings: Settings
) -> None:
    async with connect(host_settings) as forum:
        with pytest.raises(MCPError, match="did you mean 'submit'") as refusal:
            await forum.client.call_tool("submitt", {})
        assert refusal.value.code == -32602


async def test_a_bug_is_named_by_its_class_and_the_server_goes_on(
    era: str, host_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Orchestrator):
        def runs(self, *, limit: int = 20, before: int | None = None) -> Any:
            raise ZeroDivisionError("/a/path/with/secrets")

    server = build_server(lambda: Broken.open(host_settings))
    async with Client(server, mode=era) as client:
        with caplog.at_level(logging.ERROR):
            result = await client.call_tool("run", {})
        assert result.is_error
        text = result.content[0].text  # type: ignore[union-attr]
        assert "ZeroDivisionError" in text
        assert "secrets" not in text
        assert "secrets" in caplog.text, "the log has the traceback"
        assert not (await client.call_tool("ledger_verify", {"level": 4})).is_error
        with pytest.raises(MCPError, match="ZeroDivisionError"):
            await client.read_resource("forum://runs")


async def test_a_ledger_that_cannot_be_opened_is_said_by_each_call_and_may_be_mended(
    era: str, host_settings: Settings
) -> None:
    assert host_settings.ledger is not None
    path = Path(host_settings.ledger)
    path.write_bytes(b"this is not a ledger" * 100)
    server = build_server(lambda: Orchestrator.open(host_settings))
    async with Client(server, mode=era) as client:
        for _ in range(2):
            result = await client.call_tool("ledger_verify", {})
            assert result.is_error
            assert "ledger-unreadable" in result.content[0].text  # type: ignore[union-attr]
        path.unlink()
        assert not (await client.call_tool("ledger_verify", {"level": 4})).is_error


async def test_the_forum_is_opened_once_for_calls_that_come_together(era: str, host_settings: Settings) -> None:
    opened: list[str] = []

    @asynccontextmanager
    async def counting() -> AsyncGenerator[Orchestrator]:
        opened.append("open")
        async with Orchestrator.open(host_settings) as forum:
            yield forum
        opened.append("closed")

    server = build_server(counting)
    async with Client(server, mode=era) as client:
        assert opened == []
        async with anyio.create_task_group() as calls:
            for _ in range(5):
                calls.start_soon(partial(client.call_tool, "run", {}))
        assert not (await client.call_tool("ledger_verify", {"level": 4})).is_error
        assert opened == ["open"]
    assert opened == ["open", "closed"]


def test_a_long_message_is_cut_before_the_advice() -> None:
    text = refusal_text(PlanRefused("x" * 5_000))
    assert len(text) == ERROR_CHARS
    assert text.endswith("[plan-refused]; nothing was recorded; correct it and call again")


def test_a_group_with_one_refusal_is_that_refusal() -> None:
    grouped = ExceptionGroup("g", [ExceptionGroup("h", [LedgerUnreadable("torn")])])
    assert str(tool_error(grouped, "run")).startswith("torn [ledger-unreadable]; ")


def test_an_error_without_advice_of_its_own_still_says_what_to_do() -> None:
    assert "[stale-append]; read the run" in refusal_text(StaleAppend("newer entries"))


def test_every_refusal_has_a_code_of_its_own() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__]
    assert len({kind.code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (GateClosed("gate 7 is not open any more"), "[gate-closed]; read the run with run: it has gone on"),
        (AccessRefused("your token has no scope"), "[access-refused]; nothing was done"),
        (NestedRefused("a forum below a forum"), "[nested-refused]; nothing was recorded"),
    ],
)
def test_what_cannot_be_done_now_or_by_this_caller_says_what_to_do_instead(refusal: ForumError, words: str) -> None:
    assert words in refusal_text(refusal)
