"""Secrets leave a text before it is committed to and before it is sent on."""

import os
from pathlib import Path

import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings
from tests.engine.stage import HOST, WORKER, Stage, assert_clean

TOKEN = "ghp_" + "a1B2" * 9
CONFIGURED = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def secret_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_TOKEN", CONFIGURED)


def bytes_of_ledger(ledger: Path) -> bytes:
    return b"".join(path.read_bytes() for path in ledger.parent.glob(f"{ledger.name}*"))


async def test_a_secret_in_a_request_reaches_neither_the_record_nor_the_model(stage: Stage) -> None:
    stage.cast.task = lambda _: f"your token is {TOKEN} and {CONFIGURED}"
    async with stage.forum(stage.settings(WORKER)) as forum:
        view = await forum.submit(f"deploy with {TOKEN}, password {CONFIGURED}", single=True)
        assert view.state == "succeeded"
        assert view.answer == "your token is [scrubbed:github-token] and [scrubbed:env:SOME_SERVICE_TOKEN]"
        (started,) = stage.entries(forum, "run.started")
        (outcome,) = stage.entries(forum, "call.finished")
        counts = {"github-token": 1, "env:SOME_SERVICE_TOKEN": 1}
        assert started.data["scrubbed"] == outcome.data["scrubbed"] == counts
        for entry in stage.entries(forum):
            for ref in entry.bodies.values():
                assert CONFIGURED.encode() not in forum.ledger.body(str(ref["commit"])).data
        assert_clean(forum)
    assert all(TOKEN.encode() not in call.prompt + call.system for call in stage.cast.received)
    assert TOKEN.encode() not in bytes_of_ledger(stage.ledger)


async def test_a_secret_in_handed_back_work_or_a_callers_plan_is_scrubbed(stage: Stage) -> None:
    plan = {"tasks": [{"id": "a", "lane": "backend", "instruction": f"log in with {TOKEN}"}]}
    async with stage.forum(stage.settings(HOST)) as forum:
        view = await forum.submit("go", plan=plan)
        (item,) = (await forum.work_next(view.run_id)).items
        assert TOKEN not in item.prompt
        await forum.work_complete(item.item, f"logged in with {TOKEN}")
        assert (await forum.run(view.run_id)).answer == "logged in with [scrubbed:github-token]"
        assert_clean(forum)
    assert TOKEN.encode() not in bytes_of_ledger(stage.ledger)


async def test_a_secret_in_a_command_line_is_not_recorded_and_the_run_can_be_resumed(stage: Stage) -> None:
    argv = ["sh", "-c", "cat > /dev/null; echo done", TOKEN]
    settings = stage.settings(RoleSettings(worker=["cmd"]), extra={"cmd": ExecutorSettings(type="command", argv=argv)})
    async with stage.forum(settings) as forum:
        planned = await forum.plan("go")
    async with stage.forum(settings) as forum:
        assert (await forum.submit(plan=planned.run_id)).state == "succeeded"
        assert_clean(forum)
    assert TOKEN.encode() not in bytes_of_ledger(stage.ledger)
    assert os.environ["SOME_SERVICE_TOKEN"] == CONFIGURED
