"""One function behind three surfaces: MCP, the CLI's ``--json`` and Python return the same facts of one ledger."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
from mcp import Client

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.descent import descent
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.app import build_server
from tests.cli.commands import process as cli

Facts = dict[str, object]

SCRIPT = {"replies": [{"task": "b", "error": "exit-code"}], "default": {"reply": "written beforehand"}}
PLAN: Facts = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "first"},
        {"id": "b", "lane": "frontend", "instruction": "second", "depends_on": ["a"]},
    ]
}
REQUEST = "build the database schema and the auth endpoint"
FLAG_OF = {"run_id": "run", "since": "from", "until": "to"}
PER_RUN = {"run_id", "entries", "checkpoint", "next"}
TIMES = {"started_us", "seconds"}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(SCRIPT))
    return path


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return str(tmp_path / "ledger.db")


@pytest.fixture
def settings(script: Path, ledger: str) -> Settings:
    return Settings(
        ledger=ledger,
        executors={"scripted": ExecutorSettings(type="scripted", script=str(script))},
        roles=RoleSettings(worker=["scripted"]),
    )


async def over_mcp(settings: Settings, tool: str, **arguments: object) -> Facts:
    async with Client(build_server(lambda: Orchestrator.open(settings))) as client:
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return cast(Facts, result.structured_content)


def over_cli(*words: str) -> Facts:
    done = cli(*words, "--json")
    return done.json()


def model(script: Path, ledger: str) -> tuple[str, ...]:
    return ("--scripted", str(script), "--roles", "rules", "--ledger", ledger)


def but(value: object, left_out: set[str]) -> object:
    """Return the value without members of these names, at any depth."""
    if isinstance(value, Mapping):
        members = cast(Mapping[str, object], value)
        return {name: but(each, left_out) for name, each in members.items() if name not in left_out}
    if isinstance(value, list):
        return [but(each, left_out) for each in cast(list[object], value)]
    return value


async def test_route(settings: Settings, script: Path, ledger: str) -> None:
    async with Orchestrator.open(settings) as forum:
        python = forum.route(REQUEST).to_dict()
    assert python == await over_mcp(settings, "route", request=REQUEST)
    assert python == over_cli("route", REQUEST)


@pytest.mark.parametrize("plan", [None, PLAN])
async def test_submit(settings: Settings, script: Path, ledger: str, plan: Facts | None, tmp_path: Path) -> None:
    async with Orchestrator.open(settings) as forum:
        python = (await forum.submit(REQUEST, plan=plan)).to_dict()
    given = {} if plan is None else {"plan": plan}
    mcp = await over_mcp(settings, "submit", request=REQUEST, **given)
    words: tuple[str, ...] = ()
    if plan is not None:
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        words = ("--plan", str(tmp_path / "plan.json"))
    terminal = over_cli("submit", REQUEST, *words, *model(script, ledger))
    left_out = PER_RUN | TIMES
    assert but(python, left_out) == but(mcp, left_out) == but(terminal, left_out)
    assert python["state"] == ("succeeded" if plan is None else "failed")


async def test_plan(settings: Settings, script: Path, ledger: str) -> None:
    async with Orchestrator.open(settings) as forum:
        python = (await forum.plan(REQUEST)).to_dict()
    mcp = await over_mcp(settings, "plan", request=REQUEST)
    terminal = over_cli("plan", REQUEST, *model(script, ledger))
    left_out = PER_RUN | TIMES
    assert but(python, left_out) == but(mcp, left_out) == but(terminal, left_out)


async def test_run_and_the_list_of_runs(settings: Settings, script: Path, ledger: str) -> None:
    async with Orchestrator.open(settings) as forum:
        run = (await forum.submit(REQUEST, plan=PLAN)).run_id
        one, several = (await forum.run(run)).to_dict(), forum.runs().to_dict()
    assert one == await over_mcp(settings, "run", run_id=run)
    assert one == over_cli("run", "show", run, "--ledger", ledger)
    assert several == await over_mcp(settings, "run")
    assert several == over_cli("run", "list", "--ledger", ledger)


async def test_cancel_and_resume(settings: Settings, script: Path, ledger: str) -> None:
    async with Orchestrator.open(settings) as forum:
        runs = [(await forum.plan(REQUEST)).run_id for _ in range(3)]
        python = (await forum.cancel(runs[0])).to_dict()
        resumed = (await forum.resume(runs[0])).to_dict()
    mcp = await over_mcp(settings, "run_control", action="cancel", run_id=runs[1])
    terminal = over_cli("run", "cancel", runs[2], *model(script, ledger)[4:])
    left_out = PER_RUN | TIMES
    assert but(python, left_out) == but(mcp, left_out) == but(terminal, left_out)
    assert python["state"] == "cancelled"
    again = await over_mcp(settings, "run_control", action="resume", run_id=runs[0])
    assert but(resumed, {"checkpoint"}) == but(again, {"checkpoint"})
    assert again == over_cli("run", "resume", runs[0], *model(script, ledger))


async def test_work(ledger: str) -> None:
    host = Settings(ledger=ledger)
    async with Orchestrator.open(host) as forum:
        run = (await forum.submit(REQUEST)).run_id
        python = (await forum.work_next(run)).to_dict()
    other = cast(str, (await over_mcp(host, "submit", request=REQUEST))["run_id"])
    mcp = await over_mcp(host, "work", action="next", run_id=other)
    left_out = {"item", "run_id", "runs", "checkpoint", "prompt"}
    assert but(python, left_out) == but(mcp, left_out)


@pytest.mark.promise("same-facts")
async def test_the_ledger_s_operations(settings: Settings, script: Path, ledger: str) -> None:
    async with Orchestrator.open(settings) as forum:
        run = (await forum.submit(REQUEST, plan=PLAN)).run_id
        record = forum.ledger
        kept = record.checkpoint()
        verified = record.verify(level=4, checkpoint=kept).to_dict()
        shown, traced = record.show(limit=50).to_dict(), record.trace(9).to_dict()
        replayed = forum.replay(9, run).to_dict()
        led = descent(record.store, 3).to_dict()
        wanted = {"run_id": run, "kind": "task", "actor": "engine", "since": "2020-01-01", "text": "SECOND"}
        found = record.show(run_id=run, kind="task", actor="engine", since="2020-01-01", text="SECOND").to_dict()
    assert verified["clean"] is True
    assert verified == await over_mcp(settings, "ledger_verify", level=4, checkpoint=kept)
    assert verified == over_cli("ledger", "verify", "--level", "4", "--since", kept, "--ledger", ledger)
    assert shown == await over_mcp(settings, "ledger_show", limit=50)
    assert shown == over_cli("ledger", "show", "--limit", "50", "--ledger", ledger)
    assert traced == await over_mcp(settings, "ledger_trace", seq=9)
    assert traced == over_cli("ledger", "trace", "9", "--ledger", ledger)
    assert led == await over_mcp(settings, "ledger_trace", seq=3, down=True)
    assert led == over_cli("ledger", "trace", "3", "--down", "--ledger", ledger)
    assert len(cast("list[object]", found["entries"])) == 1
    assert found == await over_mcp(settings, "ledger_show", **wanted)
    flags = [word for name, value in wanted.items() for word in (f"--{FLAG_OF.get(name, name)}", value)]
    assert found == over_cli("ledger", "show", *flags, "--ledger", ledger)
    assert replayed == await over_mcp(settings, "ledger_replay", until="9", run_id=run)
    assert replayed == over_cli("ledger", "replay", "--until", "9", "--run", run, "--ledger", ledger)
