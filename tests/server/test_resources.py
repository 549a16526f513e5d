"""The record as resources, in both protocol eras."""

import json
from hashlib import sha256
from typing import Any

import pytest
from mcp import MCPError

from forum_mcp.configs.settings import Settings
from forum_mcp.resources import listing


async def test_each_entry_of_a_run_is_a_resource_of_its_exact_bytes(connect: Any, scripted_settings: Settings) -> None:
    async with connect(scripted_settings) as forum:
        run = await forum.call("submit", request="write a poem")
        for seq in range(run["entries"][1] + 1):
            content = (await forum.client.read_resource(f"forum://ledger/entries/{seq}")).contents[0]
            assert content.mime_type == "application/json"
            shown = (await forum.call("ledger_show", seq=seq))["entries"][0]
            assert sha256(b"\x00" + content.text.encode()).hexdigest() == shown["leaf"]
            for body in shown["bodies"].values():
                plain = (await forum.client.read_resource(f"forum://ledger/bodies/{body['commit']}")).contents[0]
                assert plain.mime_type == body["type"]
                assert len(plain.text.encode()) == body["size"]


async def test_a_run_is_a_resource_equal_to_what_the_tool_says(connect: Any, scripted_settings: Settings) -> None:
    async with connect(scripted_settings) as forum:
        run = await forum.call("submit", request="write a poem")
        content = (await forum.client.read_resource(f"forum://runs/{run['run_id']}")).contents[0]
        told = await forum.call("run", run_id=run["run_id"])
        assert json.loads(content.text) == told
        listed = json.loads((await forum.client.read_resource("forum://runs")).contents[0].text)
        assert [line["run_id"] for line in listed["runs"]] == [run["run_id"]]


async def test_roster_and_checkpoint_are_resources(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        roster = json.loads((await forum.client.read_resource("forum://roster")).contents[0].text)
        assert {"backend", "general"} <= {lane["name"] for lane in roster}
        note = (await forum.client.read_resource("forum://ledger/checkpoint")).contents[0]
        assert note.mime_type == "text/plain"
        assert (await forum.call("ledger_verify", checkpoint=note.text))["clean"] is True


async def test_the_list_has_pages_sizes_and_dates(
    connect: Any, scripted_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PAGE", 6)
    async with connect(scripted_settings) as forum:
        runs = [(await forum.call("submit", request=f"poem {i}"))["run_id"] for i in range(3)]
        size = (await forum.call("ledger_verify"))["size"]
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = await forum.client.list_resources(cursor=cursor)
            assert len(page.resources) <= 6
            found += page.resources
            cursor = page.next_cursor
            if cursor is None:
                break
        uris = [str(resource.uri) for resource in found]
        assert uris[:6] == [
            "forum://status", "forum://roster", "forum://advice", "forum://runs", "forum://ledger/checkpoint",
            "forum://ledger/recent",
        ]  # fmt: skip
        assert uris[6:9] == [f"forum://runs/{run}" for run in reversed(runs)]
        assert uris[9:] == [f"forum://ledger/entries/{seq}" for seq in reversed(range(size))]
        entry = found[-1]
        content = (await forum.client.read_resource(uris[-1])).contents[0]
        assert entry.size == len(content.text.encode())
        assert entry.annotations.last_modified.startswith("20")


@pytest.mark.parametrize("cursor", ["", "zz", "WyJydW5zIl0", "eyJhIjoxfQ", "\u00e9", "WyJ4IixudWxsLDFd", "W" * 5_000])
async def test_a_cursor_that_is_not_ours_is_invalid_params(connect: Any, host_settings: Settings, cursor: str) -> None:
    async with connect(host_settings) as forum:
        with pytest.raises(MCPError, match="cursor") as refusal:
            await forum.client.list_resources(cursor=cursor)
        assert refusal.value.code == -32602


@pytest.mark.parametrize(
    "uri",
    [
        "forum://nope",
        "forum://ledger/entries/999999",
        "forum://ledger/entries/-1",
        "forum://ledger/entries/01",
        "forum://ledger/entries/one",
        "forum://ledger/entries/1/../2",
        "forum://ledger/entries/%31",
        f"forum://ledger/bodies/{'0' * 64}",
        f"forum://ledger/bodies/{'0' * 63}",
        f"forum://runs/{'0' * 32}",
        "forum://runs/",
        "file:///etc/passwd",
        "forum://roster?x=1",
    ],
)
async def test_a_resource_that_does_not_exist_is_not_found_as_its_era_says(
    connect: Any, era: str, host_settings: Settings, uri: str
) -> None:
    async with connect(host_settings) as forum:
        with pytest.raises(MCPError) as refusal:
            await forum.client.read_resource(uri)
        assert refusal.value.code == (-32602 if era == "auto" else -32002)
        assert refusal.value.data == {"uri": uri}


async def test_bytes_that_are_not_text_are_a_blob(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        from forum_mcp.engine.ledger import Ledger

        await forum.call("run")
        with Ledger.open(host_settings.ledger) as ledger:
            view = ledger.append("note.made", actor="person:local", bodies={"raw": b"\xff\x00"})
        commit = view.bodies["raw"]["commit"]
        content = (await forum.client.read_resource(f"forum://ledger/bodies/{commit}")).contents[0]
        assert content.blob == "/wA="
        assert content.mime_type == "application/octet-stream"


async def test_the_advice_is_what_the_record_tells_of_lanes_and_models(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        await forum.client.call_tool("submit", {"request": "say hello", "single": True})
        item = (await forum.client.call_tool("work", {"action": "next"})).structured_content["items"][0]["item"]
        await forum.client.call_tool("work", {"action": "complete", "item": item, "result": "hello"})
        read = await forum.client.read_resource("forum://advice")
        told = json.loads(read.contents[0].text)
        assert [(row["model"], row["passed"], row["failed"]) for row in told["rows"]] == [("host", 1, 0)]
