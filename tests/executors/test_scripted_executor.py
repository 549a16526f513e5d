"""The scripted executor: replies from a file or a function."""

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Call, Executor, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor, build, read_script

MakeCall = Callable[..., Call]


def scripted(script: object) -> ScriptedExecutor:
    return ScriptedExecutor(read_script(json.dumps(script).encode()))


async def test_the_first_element_whose_conditions_all_hold_answers(make_call: MakeCall) -> None:
    executor: Executor = scripted(
        {
            "replies": [
                {"purpose": "plan", "reply": "a plan"},
                {"task": "t1", "attempt": 2, "reply": "second try"},
                {"task": "t1", "contains": "schema \u00e9", "reply": "with schema"},
                {"task": "t1", "reply": "first try"},
            ],
            "default": "anything else",
        }
    )

    async def reply(**changes: object) -> bytes | None:
        return (await executor.perform(make_call(**changes))).reply

    assert await reply(purpose="plan", task=None) == b"a plan"
    assert await reply(attempt=2) == b"second try"
    assert await reply(prompt="a schema \u00e9".encode()) == b"with schema"
    assert await reply(system="a schema \u00e9".encode()) == b"with schema"
    assert await reply() == b"first try"
    assert await reply(task="t9") == b"anything else"


async def test_a_reply_that_is_no_string_is_answered_as_json(make_call: MakeCall) -> None:
    outcome = await scripted({"default": {"reply": {"tasks": [1, "\u00e9"]}}}).perform(make_call())
    assert json.loads(outcome.reply or b"") == {"tasks": [1, "\u00e9"]}


async def test_every_member_of_an_outcome_can_be_scripted(make_call: MakeCall) -> None:
    line = {"error": "rate-limit", "detail": "later", "retry_after_ms": 5, "http_status": 429, "served_model": "s"}
    line |= {"tokens_in": 1, "tokens_out": 2, "exit_code": 3, "finish_reason": "stop", "reply": "half"}
    assert await scripted({"replies": [line]}).perform(make_call()) == Outcome(
        error="rate-limit",
        detail="later",
        retry_after_ms=5,
        http_status=429,
        served_model="s",
        tokens_in=1,
        tokens_out=2,
        exit_code=3,
        finish_reason="stop",
        reply=b"half",
    )


async def test_a_call_nobody_wrote_a_reply_for_is_refused(make_call: MakeCall) -> None:
    outcome = await scripted({"replies": [{"task": "t2", "reply": "x"}]}).perform(make_call())
    assert outcome.error == "refused"
    assert "'t1'" in (outcome.detail or "")


async def test_a_delay_beyond_the_time_limit_is_a_timeout(make_call: MakeCall) -> None:
    with anyio.fail_after(10):
        outcome = await scripted({"default": {"reply": "x", "delay_ms": 600_000}}).perform(make_call(timeout_ms=20))
    assert outcome.error == "timeout"


async def test_a_callable_may_answer_at_once_or_later_with_a_text_or_an_outcome(make_call: MakeCall) -> None:
    async def later(call: Call) -> str:
        await anyio.lowlevel.checkpoint()
        return f"later {call.task}"

    def fail(_call: Call) -> str:
        raise ValueError("boom")

    assert (await ScriptedExecutor(lambda call: f"now {call.task}").perform(make_call())).reply == b"now t1"
    assert (await ScriptedExecutor(later).perform(make_call())).reply == b"later t1"
    assert (await ScriptedExecutor(lambda _: Outcome(error="signal")).perform(make_call())).error == "signal"
    assert (await ScriptedExecutor(fail).perform(make_call())).error == "executor-crashed"


async def test_every_call_is_kept_as_it_was_received(make_call: MakeCall) -> None:
    executor = ScriptedExecutor(lambda _: "x")
    calls = [make_call(task="a"), make_call(task="b")]
    for call in calls:
        await executor.perform(call)
    assert executor.received == calls


FAULTS = [
    (b"", "not a script"),
    (b"[]", "not a script"),
    (b'{"replys": []}', "replys"),
    (b'{"replies": [{"purpos": "task"}]}', "purpos"),
    (b'{"replies": [{"attempt": "1"}]}', "attempt"),
    (b'{"replies": [{"error": "oops"}]}', "'oops'"),
    (b"\xff", "not a script"),
]


@pytest.mark.parametrize(("data", "word"), FAULTS)
def test_a_faulty_script_is_refused_when_built(data: bytes, word: str, tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_bytes(data)
    with pytest.raises(ConfigRefused, match=word) as refusal:
        build("x", ExecutorSettings(type="scripted", script=str(path)))
    assert "'x'" in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)


def test_a_missing_script_is_refused_when_built(tmp_path: Path) -> None:
    for script in (None, str(tmp_path / "none.json")):
        with pytest.raises(ConfigRefused, match="'x'"):
            build("x", ExecutorSettings(type="scripted", script=script))
