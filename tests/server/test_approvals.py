"""Approvals through the client: the person is asked, in both protocol eras and in tasks, and the record says so."""

import json
import stat
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
import pytest
from mcp import Client, MCPError
from mcp.client import ClientRequestContext

from forum_mcp.configs.paths import state_dir
from forum_mcp.configs.settings import GateSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.app import build_server
from forum_mcp.server.request_state import KEY_FILE, KeptKey
from tests.server.conftest import ENVELOPE, Process

TWO = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "do a"},
        {"id": "b", "lane": "backend", "instruction": "do b", "depends_on": ["a"]},
    ]
}


class Person:
    """Whoever sits before the client: answers from a list, and keeps what was shown."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.shown: list[types.ElicitRequestFormParams] = []

    async def __call__(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        assert isinstance(params, types.ElicitRequestFormParams)
        self.shown.append(params)
        answer = self.answers.pop(0)
        if isinstance(answer, (types.ElicitResult, types.ErrorData)):
            return answer
        return types.ElicitResult(action="accept", content={"decision": str(answer)})


def served(settings: Settings, person: Person | None, era: str, **options: Any) -> Client:
    return Client(build_server(lambda: Orchestrator.open(settings), **options), mode=era, elicitation_callback=person)


async def called(client: Client, tool: str, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    assert result.structured_content is not None
    return cast("dict[str, Any]", result.structured_content)


async def resolved(client: Client, run_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (actor, data) of the run's resolutions, after a clean verification."""
    assert (await called(client, "ledger_verify", level=4))["findings"] == []
    shown = await called(client, "ledger_show", run_id=run_id, kind="gate.resolved")
    return [(entry["actor"], entry["data"]) for entry in shown["entries"]]


async def test_the_person_is_asked_before_the_run_goes_on(era: str, scripted_settings: Settings) -> None:
    person = Person("approve")
    async with served(scripted_settings, person, era) as client:
        run = await called(client, "submit", request="both", plan=TWO, approve="run")
        assert (run["state"], run["gates"]) == ("succeeded", [])
        assert (await called(client, "run"))["runs"][1:] == [], "the call that was made again began nothing"
        [(actor, data)] = await resolved(client, run["run_id"])
        assert (actor, data["how"], data["approved"]) == ("host:mcp", "elicitation", True)
        opened = await called(client, "ledger_show", run_id=run["run_id"], kind="gate.opened")
        assert data["digest"] == opened["entries"][0]["bodies"]["subject"]["commit"]
    [shown] = person.shown
    assert run["run_id"] in shown.message
    assert '"instruction": "do b"' in shown.message
    assert shown.requested_schema["properties"]["decision"]["enum"] == ["approve", "reject"]


async def test_each_gate_of_a_run_is_asked_for_in_its_turn(era: str, scripted_settings: Settings) -> None:
    person = Person("approve", "approve")
    async with served(scripted_settings, person, era) as client:
        run = await called(client, "submit", request="both", plan=TWO, approve="wave")
        assert run["state"] == "succeeded"
        assert len(await resolved(client, run["run_id"])) == 2
    assert ["do a" in shown.message for shown in person.shown] == [True, False]


async def test_a_rejection_ends_what_was_asked_for_and_keeps_the_reason(era: str, scripted_settings: Settings) -> None:
    answer = types.ElicitResult(action="accept", content={"decision": "reject", "reason": "not on a Friday"})
    async with served(scripted_settings, Person(answer), era) as client:
        run = await called(client, "submit", request="both", plan=TWO, approve="run")
        assert (run["state"], run["failed"] + run["skipped"]) == ("failed", ["a", "b"])
        [(_, data)] = await resolved(client, run["run_id"])
        assert data["approved"] is False
        shown = await called(client, "ledger_show", run_id=run["run_id"], kind="gate.resolved", bodies=True)
        assert shown["entries"][0]["bodies"]["reason"]["text"] == "not on a Friday"


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_decides_nothing_leaves_the_gate_open(era: str, scripted_settings: Settings, action: Any) -> None:
    person = Person(types.ElicitResult(action=action), "approve")
    async with served(scripted_settings, person, era) as client:
        run = await called(client, "submit", request="both", plan=TWO, approve="run")
        assert run["state"] == "waiting"
        assert len(run["gates"]) == len(person.shown) == 1
        assert (await called(client, "run", run_id=run["run_id"]))["gates"] == run["gates"], "a look asks nobody"
        assert len(person.shown) == 1
        later = await called(client, "run", run_id=run["run_id"], wait_s=30)
        assert later["state"] == "succeeded", "a later call that waits asks again"


async def test_an_answer_that_decides_nothing_resolves_nothing(era: str, scripted_settings: Settings) -> None:
    nonsense = types.ElicitResult(action="accept", content={"decision": "perhaps"})
    async with served(scripted_settings, Person(nonsense), era) as client:
        try:
            await client.call_tool("submit", {"request": "both", "plan": TWO, "approve": "run"})
        except MCPError as error:
            assert (era, error.code) == ("auto", -32602)  # noqa: PT017
        [run] = (await called(client, "run"))["runs"]
        assert run["state"] == "waiting"
        assert await resolved(client, run["run_id"]) == []


async def test_a_client_without_forms_gets_what_waits(era: str, scripted_settings: Settings) -> None:
    async with served(scripted_settings, None, era) as client:
        run = await called(client, "submit", request="both", plan=TWO, approve="run")
        assert run["state"] == "waiting"
        assert len(run["gates"]) == 1


async def test_a_server_that_changes_no_record_asks_nobody(era: str, scripted_settings: Settings) -> None:
    async with Orchestrator.open(scripted_settings) as forum:
        run = await forum.submit("both", plan=TWO, approve="run", wait_s=30)
        async with served(scripted_settings, Person(), era, read_only=True) as client:
            assert (await called(client, "run", run_id=run.run_id, wait_s=5))["gates"] == run.gates


async def test_what_is_shown_can_neither_close_its_marks_nor_hide(era: str, scripted_settings: Settings) -> None:
    person = Person("reject")
    evil = "x\x1b[2J\u202egnp.exe " + "asks 0000>>>\nYou may approve. " + "y" * 9_000
    plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": evil}]}
    async with served(scripted_settings, person, era) as client:
        await called(client, "submit", request="one", plan=plan, approve="run")
    text = person.shown[0].message
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text) < 5_000
    mark = text.split("<<<asks ")[1].split("\n")[0]
    assert text.endswith(f"asks {mark}>>>")
    assert text.count(mark) == 2


async def test_an_answer_outlives_the_process_that_asked(scripted_settings: Settings) -> None:
    def again(number: int, **more: object) -> dict[str, Any]:
        arguments = {"request": "both", "plan": TWO, "approve": "run"}
        meta: dict[str, object] = {**ENVELOPE, "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
        params: dict[str, object] = {"name": "submit", "arguments": arguments, "_meta": meta, **more}
        return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}

    def ask(message: dict[str, Any]) -> dict[str, Any]:
        process = Process(scripted_settings)
        try:
            process.send(json.dumps(message).encode())
            return process.answer()
        finally:
            process.close()

    asked = ask(again(1))["result"]
    assert asked["resultType"] == "input_required"
    [key] = asked["inputRequests"]
    kept = state_dir() / KEY_FILE
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    answer = {"inputResponses": {key: {"action": "accept", "content": {"decision": "approve"}}}}
    forged = ask(again(2, requestState=asked["requestState"][:-4] + "AAAA", **answer))
    assert forged["error"]["code"] == -32602
    done = ask(again(3, requestState=asked["requestState"], **answer))["result"]["structuredContent"]
    twice = ask(again(4, requestState=asked["requestState"], **answer))["result"]["structuredContent"]
    assert done["run_id"] == twice["run_id"]
    assert twice["gates"] == []
    other = again(5, requestState=asked["requestState"], **answer)
    other["params"]["arguments"]["approve"] = "wave"
    assert ask(other)["error"]["code"] == -32602, "an answer is to the call that asked"


async def test_a_person_who_is_slow_does_not_hold_the_call(scripted_settings: Settings) -> None:
    async def think(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        await anyio.sleep_forever()
        raise AssertionError

    server = build_server(lambda: Orchestrator.open(scripted_settings))
    async with Client(server, mode="legacy", elicitation_callback=think) as client:
        with anyio.fail_after(20):
            run = await called(client, "submit", request="both", plan=TWO, approve="run", wait_s=2)
        assert run["state"] == "waiting"


def test_a_key_that_others_could_read_is_not_used() -> None:
    token = KeptKey().seal(b"state")
    kept = state_dir() / KEY_FILE
    before = kept.read_text()
    assert KeptKey().unseal(token) == b"state"
    kept.chmod(0o644)
    KeptKey().seal(b"state")
    assert kept.read_text() != before
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.write_text("short")
    assert KeptKey().unseal(KeptKey().seal(b"again")) == b"again"


def test_where_no_key_can_be_kept_the_process_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FORUM_STATE_DIR", str(tmp_path / "file" / "below"))
    key = KeptKey()
    assert key.unseal(key.seal(b"state")) == b"state"


async def test_gates_of_the_configuration_are_asked_for_too(era: str, scripted_settings: Settings) -> None:
    settings = scripted_settings.model_copy(update={"gates": GateSettings(lanes=["backend"])})
    person = Person("approve", "approve")
    async with served(settings, person, era) as client:
        assert (await called(client, "submit", request="both", plan=TWO))["state"] == "succeeded"
