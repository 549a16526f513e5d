"""Nothing configured and a client that has only tools: its own workers do the work, and the record names them."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp_types import Implementation

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.app import build_server
from tests.server.conftest import Connection

FOUR = "1. write the readme\n2. test the endpoint\n3. style the page\n4. design the tables"
OWN = {
    "tasks": [
        {"id": "tables", "lane": "database", "instruction": "design the tables"},
        {"id": "api", "lane": "backend", "instruction": "write the endpoint", "depends_on": ["tables"]},
        {"id": "page", "lane": "frontend", "instruction": "style the page", "depends_on": ["tables"]},
        {"id": "guide", "lane": "technical-writing", "instruction": "write the guide", "depends_on": ["api"]},
    ]
}
LEASE_US = 901_000_000


@pytest.mark.parametrize("plan", [None, OWN], ids=["its plan", "a plan of the caller's"])
async def test_two_workers_finish_what_a_third_died_with_and_rubbish_is_judged(
    tmp_path: Path, era: str, plan: dict[str, object] | None
) -> None:
    wall_us = 1_900_000_000_000_000
    clock = Clock(now_us=lambda: wall_us)
    settings = Settings(ledger=str(tmp_path / "ledger.db"))
    server = build_server(lambda: Orchestrator.open(settings, clock=clock))
    info = Implementation(name="scripted-assistant", version="1")
    async with Client(server, mode=era, client_info=info) as client:
        forum = Connection(client, server)
        run = await forum.call("submit", request=FOUR, **({} if plan is None else {"plan": plan}))
        assert (run["state"], run["next"]["tool"]) == ("waiting", "work")

        lost = (await forum.call("work", action="next"))["items"][0]  # whoever took it dies
        wall_us += LEASE_US
        again: list[int] = []
        rubbish: list[str] = []

        async def worker(name: str) -> None:
            while True:
                items = (await forum.call("work", action="next", run_id=run["run_id"]))["items"]
                if not items:
                    if (await forum.call("run", run_id=run["run_id"]))["state"] != "waiting":
                        return
                    await anyio.lowlevel.checkpoint()
                for item in items:
                    again.extend([item["item"]] if item["item"] == lost["item"] else [])
                    assert item["prompt"]
                    if name == "second" and not rubbish and item["item"] != lost["item"]:
                        rubbish.append(item["task"])
                        await forum.call("work", action="complete", item=item["item"], result=" \n ")
                        continue
                    await forum.call("work", action="progress", item=item["item"], result="half of it")
                    await forum.call("work", action="complete", item=item["item"], result=f"{name} did {item['task']}")

        with anyio.fail_after(60):
            async with anyio.create_task_group() as workers:
                workers.start_soon(worker, "first")
                workers.start_soon(worker, "second")
        assert again == [lost["item"]], "it was offered again, to one of them"
        done = await forum.call("run", run_id=run["run_id"])
        assert done["state"] == "failed"
        assert done["failed"] == rubbish
        assert len(done["tasks"]) == 4
        ok = [task["id"] for task in done["tasks"] if task["state"] == "succeeded"]
        assert all(f"did {name}" in done["answer"] for name in ok)
        assert set(ok) | set(rubbish) | set(done["skipped"]) == {task["id"] for task in done["tasks"]}
        await check_record(forum, run["run_id"])


async def check_record(forum: Connection, run_id: str) -> None:
    """Check that the ledger is clean and names the client as who did the work."""
    assert (await forum.call("ledger_verify", level=4))["findings"] == []
    entries: list[Any] = (await forum.call("ledger_show", run_id=run_id, kind="call.finished"))["entries"]
    assert entries
    assert {entry["actor"] for entry in entries} == {"host:scripted-assistant"}
    assert len((await forum.call("ledger_show", run_id=run_id, kind="work.expired"))["entries"]) == 1
    assert (await forum.call("ledger_show", run_id=run_id, kind="work.progressed"))["entries"]
