"""``local_only``: what would leave the machine is refused, call by call, on the record."""

from pathlib import Path

import pytest

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from forum_mcp.rules.failures import ENGINE_CLASSES
from tests.engine.stage import HOST, WORKER, Stage, assert_clean

LADDER = RoleSettings(worker=["far", "model"])


def local_only(stage: Stage, roles: RoleSettings, **executors: ExecutorSettings) -> Settings:
    return stage.settings(roles, extra=executors).model_copy(update={"local_only": True})


@pytest.mark.parametrize("egress", ["lan", "internet"])
async def test_each_refused_call_is_recorded_and_the_next_rung_does_the_work(stage: Stage, egress: str) -> None:
    far = ScriptedExecutor(lambda _: "from afar", egress=egress)  # type: ignore[arg-type]
    settings = local_only(stage, LADDER, far=ExecutorSettings(type="scripted", script="-"))
    near = ScriptedExecutor(lambda _: "from here")
    async with Orchestrator.open(settings, executors={"far": far, "model": near}) as forum:
        view = await forum.submit("write the guide", single=True)
        assert (view.state, view.answer) == ("succeeded", "from here")
        assert far.received == []
        [refused, done] = stage.entries(forum, "call.finished")
        assert (refused.data["error"], done.data.get("error")) == ("egress-refused", None)
        assert b"local only" in forum.ledger.body(str(refused.bodies["detail"]["commit"])).data
        assert_clean(forum)


async def test_the_calling_assistant_is_refused_as_well_and_nothing_is_offered(stage: Stage) -> None:
    async with stage.forum(local_only(stage, HOST)) as forum:
        view = await forum.submit("write the guide", single=True)
        assert view.state == "failed"
        assert {entry.data["error"] for entry in stage.entries(forum, "call.finished")} == {"egress-refused"}
        assert stage.entries(forum, "work.offered") == []
        assert (await forum.work_next()).items == []
        assert_clean(forum)


async def test_an_assistant_that_is_said_to_be_local_may_work(stage: Stage) -> None:
    host = ExecutorSettings(type="host", egress="none")
    async with stage.forum(local_only(stage, HOST, host=host)) as forum:
        assert (await forum.submit("write the guide", single=True)).state == "waiting"
        [item] = (await forum.work_next()).items
        await forum.work_complete(item.item, "the guide")
        assert_clean(forum)


def test_the_flag_and_the_variable_say_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert not load().local_only
    assert load(Flags(local_only=True)).local_only
    monkeypatch.setenv("FORUM_LOCAL_ONLY", "true")
    assert load().local_only


@pytest.mark.parametrize("word", sorted(ENGINE_CLASSES))
async def test_an_executor_that_tells_what_only_the_engine_can_know_has_crashed(stage: Stage, word: str) -> None:
    def answer(_: Call) -> Outcome:
        return Outcome(error=word)  # type: ignore[arg-type]

    stage.cast.task = answer
    async with stage.forum(stage.settings(WORKER, attempts=1)) as forum:
        view = await forum.submit("write the guide", single=True)
        assert view.state == "failed"
        [outcome] = stage.entries(forum, "call.finished")
        assert outcome.data["error"] == "executor-crashed"
        assert_clean(forum)
