"""The page that says how to connect a client, against the table of clients."""

import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client as Assistant

from forum_mcp import Orchestrator, Settings
from forum_mcp.cli.clients.table import CLIENTS, Client
from forum_mcp.server.app import build_server
from tests.cli.commands import forum
from tests.docs.typist import ROOT, Typist

PAGE = "docs/how-to/connect-a-client.md"


def row(client: Client) -> str:
    """Return the line of the page's table that tells of a client."""
    file = f"~/{client.user().relative_to(Path.home())}"
    project = f"; project: `{client.project}`" if client.project else ""
    return f"| `{client.name}` | `{file}`{project} | {client.afterwards} |"


@pytest.mark.skipif(sys.platform != "linux", reason="the page gives the places on Linux")
def test_the_table_is_the_table_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    lines = (ROOT / PAGE).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == [row(client) for client in CLIENTS]


def test_its_lines_do_what_it_says(tmp_path: Path) -> None:
    reader = Typist(PAGE, tmp_path)
    assert "Claude Code: installed" in reader.types("forum-mcp install").out
    assert reader.is_through()
    assert "unchanged" in forum("install", "claude-code", cwd=tmp_path).out
    assert "Claude Code: " in forum("uninstall", "claude-code", cwd=tmp_path).out


async def test_an_assistant_calls_what_the_page_shows() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    seen: list[str] = []

    def note(call: str, what: str) -> None:
        seen.append(f"{call:<20}{what}")

    async with Assistant(build_server(lambda: Orchestrator.open(Settings(ledger=":memory:")))) as client:

        async def told(tool: str, **arguments: object) -> dict[str, Any]:
            return (await client.call_tool(tool, arguments)).structured_content or {}

        run = await told("submit", request="1. build the login page 2. write its docs")
        note("submit", f"{run['state']}, next: {run['next']['tool']}")
        while run["state"] == "waiting":
            work = await told("work", **run["next"]["arguments"])
            (item,) = work["items"]
            note("work next", f"item {item['item']}: task {item['task']}, lane {item['lane']}")
            back = await told("work", **{**work["next"]["arguments"], "result": "done"})
            run = {"state": back["runs"][run.get("run_id", item["run_id"])], "next": back["next"]}
            note(f"work complete {item['item']}", f"{run['state']}, next: {run['next']['tool']}")
        ended = await told("run", **run["next"]["arguments"])
        assert ended["answer"]
        assert ended["checkpoint"]
        note("run", f"{ended['state']}, with the answer and a signed checkpoint")
        assert (await told("ledger_verify", checkpoint=ended["checkpoint"]))["clean"]
        note("ledger_verify", "clean")
    assert page.partition("```text\n")[2].partition("```")[0].splitlines() == seen
