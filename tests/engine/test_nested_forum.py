"""An agent that calls forum-mcp again, from inside a command of a forum."""

import json
import sys
from pathlib import Path

import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings
from forum_mcp.errors import NestedRefused
from tests.engine.stage import Stage, assert_clean

AGENT = RoleSettings(worker=["agent"])


def agent(tmp_path: Path, **members: object) -> ExecutorSettings:
    """Return an agent whose whole work is to hand its task to forum-mcp."""
    script = tmp_path / "replies.json"
    script.write_text(json.dumps({"default": "from inside"}))
    argv = [sys.executable, "-m", "forum_mcp.cli", "submit", "--scripted", str(script), "--single", "-q"]
    argv += ["--ledger", str(tmp_path / "inner.db"), "-"]
    return ExecutorSettings(type="command", argv=argv, attempts=1, **members)  # type: ignore[arg-type]


async def test_a_submit_from_inside_is_refused_with_a_clear_word(stage: Stage, tmp_path: Path) -> None:
    settings = stage.settings(AGENT, extra={"agent": agent(tmp_path)})
    async with stage.forum(settings) as forum:
        view = await forum.submit("write the guide", single=True)
        assert view.state == "failed"
        [outcome] = stage.entries(forum, "call.finished")
        assert (outcome.data["error"], outcome.data["exit_code"]) == ("exit-code", 2)
        said = forum.ledger.body(str(outcome.bodies["stderr"]["commit"])).data.decode()
        assert "started by a command of another one (FORUM_DEPTH=1)" in said
        assert "allow_nested" in said
        assert_clean(forum)


async def test_an_executor_that_allows_it_gets_its_answer(stage: Stage, tmp_path: Path) -> None:
    settings = stage.settings(AGENT, extra={"agent": agent(tmp_path, allow_nested=True)})
    async with stage.forum(settings) as forum:
        view = await forum.submit("write the guide", single=True)
        assert (view.state, (view.answer or "").startswith("from inside")) == ("succeeded", True)
        assert_clean(forum)


async def test_planning_and_resuming_are_refused_below_a_forum_and_reading_is_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.forum() as forum:
        rested = (await forum.plan("write the guide", single=True)).run_id
        monkeypatch.setenv("FORUM_DEPTH", "1")
        for refused in (forum.plan("more"), forum.submit("more"), forum.submit(plan=rested), forum.resume(rested)):
            with pytest.raises(NestedRefused):
                await refused
        assert (await forum.run(rested)).run_id == rested
        assert_clean(forum)
