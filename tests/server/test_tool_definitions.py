"""What ``tools/list`` and the handshake say, in both protocol eras."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from forum_mcp import __version__
from forum_mcp.configs.settings import Settings
from forum_mcp.errors import ConfigRefused
from forum_mcp.resources import FAMILIES
from forum_mcp.tools import TOOLS, TOOLSETS, select
from tests.server.tokens import tokens

SNAPSHOTS = Path(__file__).parent / "snapshots"
KEYWORDS = {
    "type", "properties", "required", "enum", "default", "minimum", "maximum", "description", "items",
    "additionalProperties",
}  # fmt: skip
RUNS = ["route", "plan", "submit", "run", "run_control", "work"]
TEN = [*RUNS, "ledger_verify", "ledger_show", "ledger_trace", "ledger_replay"]


def matches_snapshot(name: str, served: object) -> bool:
    path = SNAPSHOTS / f"{name}.json"
    text = json.dumps(served, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8") == text


def wire(model: Any) -> Any:
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


async def test_each_tool_is_served_as_its_snapshot_in_the_same_order(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        tools = (await forum.client.list_tools()).tools
        assert [tool.name for tool in tools] == TEN
        for tool in tools:
            assert matches_snapshot(f"tool_{tool.name}", wire(tool)), f"{tool.name}: UPDATE_SNAPSHOTS=1 regenerates"


async def test_the_resource_templates_are_served_as_their_snapshot(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        templates = (await forum.client.list_resource_templates()).resource_templates
        assert matches_snapshot("resource_templates", [wire(template) for template in templates])
        assert len(templates) == sum(family.variable is not None for family in FAMILIES)


async def test_the_handshake_names_the_server_and_says_how_to_use_it(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        info = forum.client.server_info
        assert (info.name, info.title, info.version) == ("forum-mcp", "Forum", __version__)
        instructions = forum.client.instructions
        assert instructions is not None
        assert len(instructions) <= 2_000
        assert {"submit", "work", "run", "run_control", "ledger_verify"} <= set(
            instructions.replace(".", " ").replace(",", " ").replace(";", " ").replace(":", " ").split()
        )


async def test_listing_tools_opens_no_ledger(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        await forum.client.list_tools()
        await forum.client.list_resource_templates()
        assert host_settings.ledger is not None
        assert not Path(host_settings.ledger).exists()


def parts_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a schema and every schema inside it."""
    inner: list[dict[str, Any]] = [*schema.get("properties", {}).values()]
    if "items" in schema:
        inner.append(schema["items"])
    return [schema, *(part for item in inner for part in parts_of(item))]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_input_schemas_are_flat_enough_for_strict_clients(tool: Any) -> None:
    assert tool.input_schema["type"] == "object"
    assert tool.input_schema["additionalProperties"] is False
    for part in parts_of(tool.input_schema):
        assert set(part) <= KEYWORDS
        assert isinstance(part["type"], str), "one type each"
        assert part.get("default", 0) is not None
        if part["type"] == "array":
            assert "items" in part
        if part["type"] == "object":
            assert part["properties"], "an object without members is refused by some clients"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_output_schemas_are_flat(tool: Any) -> None:
    assert set(tool.output_schema) <= KEYWORDS
    assert all(set(part) == {"type"} for part in tool.output_schema["properties"].values())


def inputs(names: tuple[str, ...]) -> int:
    return sum(tokens(tool.name, tool.description, tool.input_schema) for tool in TOOLS if tool.name in names)


def test_definitions_cost_little_of_a_conversation() -> None:
    assert inputs(TOOLSETS["all"]) <= 1_500
    assert inputs(TOOLSETS["core"]) <= 1_050
    assert inputs(TOOLSETS["read-only"]) <= 950


async def test_the_whole_list_of_tools_costs_at_most_3500_tokens(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        listed = (await forum.client.list_tools()).tools
        assert sum(tokens(wire(tool)) for tool in listed) <= 3_500


def test_no_tool_name_is_too_long_beside_a_server_name() -> None:
    assert all(len("forum-mcp") + len(tool.name) <= 60 for tool in TOOLS)


def test_annotations_say_what_a_tool_may_do() -> None:
    read_only = {tool.name for tool in TOOLS if tool.read_only}
    assert read_only == {"route", "run", "ledger_verify", "ledger_show", "ledger_trace", "ledger_replay"}
    assert {tool.name for tool in TOOLS if tool.destructive} == {"submit", "run_control"}
    assert all(tool.idempotent and not tool.open_world for tool in TOOLS if tool.read_only)


def test_toolsets_choose_and_read_only_wins() -> None:
    assert [tool.name for tool in select("core")] == ["route", "plan", "submit", "run", "work", "ledger_verify"]
    assert [tool.name for tool in select("work, route")] == ["route", "work"]
    assert all(tool.read_only for tool in select("all", read_only=True))
    with pytest.raises(ConfigRefused, match="did you mean 'submit'"):
        select("submitt")
    with pytest.raises(ConfigRefused, match="no tool that is read-only"):
        select("submit", read_only=True)


async def test_a_tool_outside_the_toolset_is_not_served(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings, read_only=True) as forum:
        names = [tool.name for tool in (await forum.client.list_tools()).tools]
        assert "submit" not in names
        with pytest.raises(Exception, match="unknown tool"):
            await forum.client.call_tool("submit", {"request": "x"})
