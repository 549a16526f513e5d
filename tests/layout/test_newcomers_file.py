"""CONTRIBUTING's "where do I add": rows tried on a copy of the package, by the new file and the one line each names."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, cast

import pytest

import forum_mcp

PACKAGE: Final = Path(forum_mcp.__file__).parent

EXECUTOR: Final = '''
"""Answers with its prompt in capitals."""

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors.base import Call, Outcome


class Loud:
    type = "loud"
    model = None
    egress = "none"

    def identity(self):
        return {"type": "loud"}

    async def perform(self, call: Call) -> Outcome:
        return Outcome(reply=call.prompt.upper())

    async def aclose(self):
        pass


def build(name: str, settings: ExecutorSettings) -> Loud:
    return Loud()
'''
TOOL: Final = '''
"""The tool ``size``: how many entries there are."""

from __future__ import annotations

from forum_mcp.engine.views import View
from forum_mcp.tools.base import Tool, input_schema, output_schema


class SizeView(View, frozen=True, kw_only=True):
    """How many entries."""

    entries: int


async def _handle(forum, arguments, caller):
    return SizeView(entries=forum.ledger.size)


TOOL = Tool(
    name="size",
    title="Size",
    description="Tell how many entries there are.",
    input_schema=input_schema({}),
    output_schema=output_schema(SizeView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="it is short",
)
'''
RESOURCE: Final = '''
"""One resource: how many entries there are."""

from forum_mcp.resources.base import Content, Family


async def _read(forum, variable):
    return Content(str(forum.ledger.size), "text/plain")


FAMILIES = (
    Family(uri="forum://size", name="size", title="Size", description="Entries.", media_type="text/plain", read=_read),
)
'''
KIND: Final = '''
"""Entries of the weather."""

from forum_mcp.ledger.kinds.base import Kind, Payload


class WeatherSeen(Payload, frozen=True, kw_only=True):
    """What it was like."""

    sky: str


KINDS = (Kind("weather.seen", "event", WeatherSeen, (), "whatever it bears on"),)
'''
LANE: Final = """
[lanes.gardening]
category = "hobby"
tier = "small"
description = "Plants in beds and pots: sowing, pruning, watering, compost."
strong = ["gardening", "prune the roses", "compost heap"]
keywords = ["roses", "tomatoes", "soil"]
examples = ["When do I prune the roses?", "Plan a compost heap."]
"""
"""A lane as the shipped roster holds them."""

LOOK: Final = """
import json, sys
import anyio
from mcp import Client
import forum_mcp
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.server.app import build_server

async def look():
    settings = Settings(
        ledger=sys.argv[1], executors={"loud": ExecutorSettings(type="loud")}, roles=RoleSettings(worker=["loud"])
    )
    async with Client(build_server(lambda: Orchestrator.open(settings))) as client:
        run = (await client.call_tool("submit", {"request": "When do I prune the roses?"})).structured_content
        return {
            "package": forum_mcp.__file__,
            "size": (await client.call_tool("size", {})).structured_content,
            "tools": [tool.name for tool in (await client.list_tools()).tools],
            "resource": (await client.read_resource("forum://size")).contents[0].text,
            "routed": (await client.call_tool("route", {"request": "prune the roses"})).structured_content,
            "run": run,
            "verified": (await client.call_tool("ledger_verify", {"level": 4})).structured_content,
        }

found = anyio.run(look)
with Ledger.open(sys.argv[1]) as ledger:
    ledger.append("weather.seen", actor="me", data={"sky": "grey"})
    found["kind"] = [KINDS["weather.seen"].role, ledger.show(kind="weather").entries[0].data]
    found["clean"] = ledger.verify(4).clean
print(json.dumps(found))
"""


def add(file: Path, text: str) -> None:
    file.write_text(text.lstrip(), encoding="utf-8")


def line(file: Path, before: str, new: str) -> None:
    """Put one more line before another, which stands there once."""
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{before!r} in {file.name}"
    file.write_text(text.replace(before, new + before), encoding="utf-8")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a copy of the package serves once each of five things was added to it."""
    place = tmp_path_factory.mktemp("newcomer")
    copy = place / "forum_mcp"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    add(copy / "executors" / "loud.py", EXECUTOR)
    line(copy / "executors" / "__init__.py", '        "host": "', '        "loud": "forum_mcp.executors.loud",\n')
    line(copy / "configs" / "executor.py", '"host"]\n    argv', '"loud", ')
    line(copy / "configs" / "executor.py", '    "host": (),', '    "loud": (),\n')
    add(copy / "tools" / "size.py", TOOL)
    line(copy / "tools" / "__init__.py", "    route.TOOL,", "    size.TOOL,\n")
    line(copy / "tools" / "__init__.py", "    submit,\n", "    size,\n")
    add(copy / "resources" / "size.py", RESOURCE)
    line(copy / "resources" / "__init__.py", "    *status.FAMILIES,", "    *size.FAMILIES,\n")
    line(copy / "resources" / "__init__.py", "status\n", "size, ")
    add(copy / "ledger" / "kinds" / "weather.py", KIND)
    line(copy / "ledger" / "kinds" / "__init__.py", "        *answer.KINDS,", "        *weather.KINDS,\n")
    line(copy / "ledger" / "kinds" / "__init__.py", "task\n", "weather, ")
    line(copy / "configs" / "roster.toml", "[lanes.backend]\n", LANE.lstrip() + "\n")
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(place / "l.db")],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = cast("dict[str, Any]", json.loads(done.stdout))
    assert Path(found["package"]).parent == copy, "the copy was looked at, not the package"
    return found


def test_a_new_executor_works_for_a_run(served: dict[str, Any]) -> None:
    assert served["run"]["state"] == "succeeded"
    assert "PRUNE THE ROSES" in json.dumps(served["run"])


def test_a_new_tool_is_listed_and_answers(served: dict[str, Any]) -> None:
    assert "size" in served["tools"]
    assert served["size"]["entries"] > 1


def test_a_new_resource_is_read(served: dict[str, Any]) -> None:
    assert int(served["resource"]) == served["size"]["entries"]


def test_a_new_kind_is_in_the_table_recorded_and_verified(served: dict[str, Any]) -> None:
    assert served["kind"] == ["event", {"sky": "grey"}]
    assert served["verified"]["findings"] == []
    assert served["clean"] is True


def test_a_new_lane_is_routed_to(served: dict[str, Any]) -> None:
    assert served["routed"]["lane"] == "gardening"


def test_the_table_names_the_places_that_were_used() -> None:
    page = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = {row.split("|")[1].strip(): row for row in page.splitlines() if row.startswith("| ")}
    for what, place in {
        "an executor": "`BUILDERS` in `executors/__init__.py`; its `type` and members in `configs/executor.py`",
        "a tool": "`tools/__init__.py`",
        "a resource": "`resources/__init__.py`",
        "an entry kind": "`ledger/kinds/__init__.py`",
        "a lane": "`configs/roster.toml`",
    }.items():
        assert place in rows[what]
