"""Calls that wait: progress, cancelled waits, long verifications, repeated calls."""

from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine import worker_thread
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.views import RunView, Spent, TaskView
from forum_mcp.server.app import build_server
from forum_mcp.tools import caller

SLOW = '{"replies": [], "default": {"reply": "late but here", "delay_ms": 800}}'


@pytest.fixture
def slow_settings(tmp_path: Path) -> Settings:
    """A team that takes its time."""
    script = tmp_path / "slow.json"
    script.write_text(SLOW)
    return Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"team": ExecutorSettings(type="scripted", script=str(script))},
        roles=RoleSettings(worker=["team"]),
    )


async def test_a_caller_that_asks_for_progress_reads_how_the_run_goes(
    connect: Any, slow_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "TICK_S", 0.1)
    told: list[tuple[float, str | None]] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, message))

    async with connect(slow_settings) as forum:
        result = await forum.client.call_tool(
            "submit", {"request": "write a poem", "single": True}, progress_callback=listen
        )
        assert result.structured_content["state"] == "succeeded"
        assert any(line and line.startswith("0 of 1 task done, running") for _, line in told), told
        numbers = [number for number, _ in told]
        assert numbers == sorted(set(numbers)), "progress only grows"


async def test_a_caller_that_does_not_ask_gets_no_progress(connect: Any, slow_settings: Settings) -> None:
    async with connect(slow_settings) as forum:
        assert (await forum.call("submit", request="write a poem", single=True))["state"] == "succeeded"


async def test_a_verification_tells_that_it_goes_on(
    connect: Any, host_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "TICK_S", 0.01)
    told: list[str | None] = []
    heard = anyio.Event()

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)
        heard.set()

    verify = Ledger.verify

    def slowly(self: Ledger, *args: Any, **kwargs: Any) -> Any:
        anyio.from_thread.run(heard.wait)
        return verify(self, *args, **kwargs)

    async with connect(host_settings) as forum:
        with monkeypatch.context() as patched, anyio.fail_after(20):
            patched.setattr(Ledger, "verify", slowly)
            result = await forum.client.call_tool("ledger_verify", {}, progress_callback=listen)
        assert not result.is_error
        assert told[0] is not None
        assert told[0].startswith("verifying 1 entries")


async def test_other_calls_are_answered_while_a_verification_runs(
    connect: Any, host_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    routed = anyio.Event()
    verify = Ledger.verify

    def until_routed(self: Ledger, *args: Any, **kwargs: Any) -> Any:
        anyio.from_thread.run(routed.wait)
        return verify(self, *args, **kwargs)

    async with connect(host_settings) as forum:
        with monkeypatch.context() as patched, anyio.fail_after(20):
            patched.setattr(Ledger, "verify", until_routed)
            async with anyio.create_task_group() as group:
                for _ in range(worker_thread.AT_ONCE + 1):
                    group.start_soon(partial(forum.call, "ledger_verify"))
                await forum.call("route", request="write a poem")
                routed.set()


async def test_a_verification_of_a_ledger_in_memory_is_served_too(era: str) -> None:
    server = build_server(lambda: Orchestrator.open(Settings(ledger=":memory:")))
    async with Client(server, mode=era) as client:
        assert not (await client.call_tool("ledger_verify", {"level": 4})).is_error


async def test_each_call_repeated_after_a_lost_answer_changes_nothing_more(
    connect: Any, host_settings: Settings
) -> None:
    async with connect(host_settings) as forum:
        run, joined = [
            await forum.call("submit", request="write a poem", single=True, idempotency_key="once") for _ in range(2)
        ]
        assert joined["run_id"] == run["run_id"]
        item = (await forum.call("work", action="next"))["items"][0]["item"]
        await forum.call("work", action="complete", item=item, result="roses")
        again = await forum.refused("work", action="complete", item=item, result="violets")
        assert "attempt-closed" in again
        for _ in range(2):
            cancelled = await forum.call("run_control", run_id=run["run_id"], action="cancel")
            assert cancelled["state"] == "succeeded", "what is over stays as it was"
        assert "roses" in (await forum.call("submit", request="write a poem", idempotency_key="once"))["answer"]
        assert len((await forum.call("run"))["runs"]) == 1


def view(*states: str, calls: int = 0) -> RunView:
    tasks = [
        TaskView(id=f"t{i}", lane="x", state=state, instruction="", depends_on=[], wave=0, attempts=1)
        for i, state in enumerate(states)
    ]
    spent = Spent(calls=calls, seconds=4.4, tokens=None, cost_usd=None)
    return RunView(
        run_id="ab" * 16, state="running", mode="submit", lane=None, plan_by=None, tasks=tasks, waves=[], answer=None,
        unvalidated=[], failed=[], skipped=[], spent=spent, error=None, entries=[0, 1], next=None, checkpoint=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("states", "line"),
    [
        ((), "planning: 2 calls, 4 s"),
        (("running", "pending"), "0 of 2 tasks done, running t0: 2 calls, 4 s"),
        (("running",) * 6, "0 of 6 tasks done, running t0, t1, t2, t3 and 2 more: 2 calls, 4 s"),
        (("succeeded", "pending"), "1 of 2 tasks done, between tasks: 2 calls, 4 s"),
        (("succeeded", "skipped"), "2 of 2 tasks done, writing the answer: 2 calls, 4 s"),
    ],
)
def test_a_line_of_progress_says_what_goes_on(states: tuple[str, ...], line: str) -> None:
    assert caller.line_of(view(*states, calls=2)) == line
