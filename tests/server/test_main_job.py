"""The main job through MCP, in both eras: a request in, a judged answer out, a ledger that verifies."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings

PLAN = {
    "tasks": [
        {"id": "schema", "lane": "database", "instruction": "design the tables"},
        {"id": "api", "lane": "backend", "instruction": "write the endpoint", "depends_on": ["schema"]},
        {"id": "docs", "lane": "technical-writing", "instruction": "write the guide", "depends_on": ["schema"]},
    ]
}


INSTRUCTIONS = {"schema": "design the tables", "api": "write the endpoint", "docs": "write the guide"}


async def test_a_team_answers_a_submitted_plan(connect: Any, scripted_settings: Settings) -> None:
    async with connect(scripted_settings) as forum:
        run = await forum.call("submit", request="a small service", plan=PLAN)
        assert run["state"] == "succeeded"
        assert "as written beforehand" in run["answer"]
        assert run["waves"] == [["schema"], ["api", "docs"]]
        assert run["next"] is None
        assert (await forum.call("run", run_id=run["run_id"]))["answer"] == run["answer"]
        assert (await forum.call("ledger_verify", checkpoint=run["checkpoint"], level=4))["clean"] is True


@pytest.mark.promise("zero-config")
async def test_the_calling_assistant_does_the_work_where_there_is_no_model(
    connect: Any, host_settings: Settings
) -> None:
    async with connect(host_settings) as forum:
        view: dict[str, Any] = await forum.call("submit", request="a small service", plan=PLAN)
        assert view["state"] == "waiting"
        done: list[str] = []
        with anyio.fail_after(30):
            while view["next"] is not None:
                call = view["next"]
                if call["arguments"].get("action") == "complete":
                    for item in view["items"]:
                        assert item["instructions"]
                        assert INSTRUCTIONS[item["task"]] in item["prompt"]
                        done.append(item["task"])
                        view = await forum.call(
                            "work", action="complete", item=item["item"], result=f"did {item['task']}"
                        )
                else:
                    view = await forum.call(call["tool"], **call["arguments"])
        assert sorted(done) == ["api", "docs", "schema"]
        assert view["state"] == "succeeded"
        assert "did api" in view["answer"]


async def test_a_plan_rests_until_it_is_submitted(connect: Any, scripted_settings: Settings) -> None:
    async with connect(scripted_settings) as forum:
        planned = await forum.call("plan", request="write a poem")
        assert planned["state"] == "waiting"
        assert planned["spent"]["calls"] == 0
        assert planned["next"] == {"tool": "submit", "arguments": {"run_id": planned["run_id"]}}
        assert (await forum.call("submit", run_id=planned["run_id"]))["state"] == "succeeded"


async def test_a_repeated_submit_with_the_same_key_joins_the_same_run(
    connect: Any, scripted_settings: Settings
) -> None:
    async with connect(scripted_settings) as forum:
        first = await forum.call("submit", request="write a poem", idempotency_key="k-1")
        again = await forum.call("submit", request="write a poem", idempotency_key="k-1")
        assert first["run_id"] == again["run_id"]
        assert len((await forum.call("run"))["runs"]) == 1


async def test_runs_are_listed_in_pages_newest_first(connect: Any, scripted_settings: Settings) -> None:
    async with connect(scripted_settings) as forum:
        ids = [(await forum.call("submit", request=f"poem {i}"))["run_id"] for i in range(3)]
        first = await forum.call("run", limit=2)
        assert [run["run_id"] for run in first["runs"]] == [ids[2], ids[1]]
        second = await forum.call("run", limit=2, before=first["before"])
        assert [run["run_id"] for run in second["runs"]] == [ids[0]]
        assert second["before"] is None


async def test_failed_work_is_recorded_with_its_reason(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        run = await forum.call("submit", request="write a poem", single=True)
        item = (await forum.call("work", action="next", run_id=run["run_id"]))["items"][0]
        await forum.call("work", action="fail", item=item["item"], reason="not my field")
        assert (await forum.call("run", run_id=run["run_id"]))["state"] == "failed"


async def test_a_cancelled_run_is_recorded_as_the_clients_wish(connect: Any, host_settings: Settings) -> None:
    async with connect(host_settings) as forum:
        run = await forum.call("submit", request="write a poem", single=True)
        await forum.call("run_control", run_id=run["run_id"], action="cancel", reason="enough")
        assert (await forum.call("run", run_id=run["run_id"], wait_s=10))["state"] == "cancelled"
        shown = await forum.call("ledger_show", run_id=run["run_id"], kind="run.cancelled", bodies=True)
        assert shown["entries"][0]["actor"] == "host:mcp"
        assert shown["entries"][0]["bodies"]["reason"]["text"] == "enough"


async def test_every_entry_of_a_run_traces_to_its_request_and_replays(
    connect: Any, scripted_settings: Settings
) -> None:
    async with connect(scripted_settings) as forum:
        run = await forum.call("submit", request="a small service", plan=PLAN)
        first, last = run["entries"]
        for seq in range(first, last + 1):
            assert (await forum.call("ledger_trace", seq=seq))["reaches_request"] is True
        before = await forum.call("ledger_replay", until=last - 1, run_id=run["run_id"])
        assert before["runs"][0]["state"] != "succeeded"
        assert (await forum.call("ledger_replay", run_id=run["run_id"]))["runs"][0]["answer"] == run["answer"]


async def test_a_long_body_is_read_whole_in_pages(connect: Any, host_settings: Settings) -> None:
    long = "".join(f'line {i} "quoted"\n' for i in range(8_000))
    async with connect(host_settings) as forum:
        run = await forum.call("submit", request="write a poem", single=True)
        item = (await forum.call("work", action="next"))["items"][0]["item"]
        await forum.call("work", action="complete", item=item, result=long)
        entry = (await forum.call("ledger_show", run_id=run["run_id"], kind="call.finished"))["entries"][0]
        read, offset = "", 0
        with anyio.fail_after(30):
            while True:
                page = await forum.call("ledger_show", seq=entry["seq"], bodies=True, offset=offset)
                assert "cut" not in page
                body = page["entries"][0]["bodies"]["reply"]
                read += body["text"]
                if not body["cut"]:
                    break
                offset = body["next_offset"]
        assert read == long
        result = await forum.client.call_tool("run", {"run_id": run["run_id"]})
        assert len(forum.text_of(result)) <= 45_000
        assert result.structured_content["cut"]
        assert "cut:" in forum.text_of(result)


async def test_text_and_structured_content_tell_the_same(connect: Any, scripted_settings: Settings) -> None:
    async with connect(scripted_settings) as forum:
        run = await forum.call("submit", request="a small service", plan=PLAN)
        text = await forum.text("run", run_id=run["run_id"])
        for fact in (run["run_id"], run["checkpoint"].strip(), "schema", "as written beforehand", run["state"]):
            assert fact in text


@pytest.mark.parametrize(
    "request_text", ["write a poem", "schreibe ein Gedicht \U0001f600", "\u5beb\u4e00\u9996\u8a69"]
)
async def test_route_tells_a_lane_and_records_nothing(
    connect: Any, scripted_settings: Settings, request_text: str
) -> None:
    async with connect(scripted_settings) as forum:
        size = (await forum.call("ledger_verify"))["size"]
        assert (await forum.call("route", request=request_text))["chosen"]
        assert (await forum.call("ledger_verify"))["size"] == size


async def test_a_call_that_is_cancelled_leaves_its_run_running(connect: Any, tmp_path: Path) -> None:
    script = tmp_path / "slow.json"
    script.write_text('{"replies": [], "default": {"reply": "late but here", "delay_ms": 1500}}')
    settings = Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"team": ExecutorSettings(type="scripted", script=str(script))},
        roles=RoleSettings(worker=["team"]),
    )
    async with connect(settings) as forum:
        started = await forum.call("submit", request="write a poem", wait_s=0)
        with anyio.move_on_after(0.3) as scope:
            await forum.call("run", run_id=started["run_id"], wait_s=60)
        assert scope.cancelled_caught
        with anyio.fail_after(20):
            run = await forum.call("run", run_id=started["run_id"], wait_s=15)
        assert run["state"] == "succeeded"
        assert "late but here" in run["answer"]
