"""Commands that are missing, fail, hang or flood: a failed task each, its siblings done, nothing lost."""

import sys
from pathlib import Path

import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings
from tests.engine.stage import Stage, assert_clean

BAD = {
    "not-found": ["no-such-command-anywhere"],
    "exit-code": [sys.executable, "-c", "print('half'); raise SystemExit(1)"],
    "timeout": [sys.executable, "-c", "import time; time.sleep(3600)"],
    "output-limit": [sys.executable, "-c", "import os\nwhile True: os.write(1, b'x' * 65536)"],
    "empty-reply": [sys.executable, "-c", "pass"],
    "signal": [sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"],
}


@pytest.mark.promise("bad-replies")
@pytest.mark.parametrize("error", BAD)
async def test_a_bad_command_is_a_failed_task_and_loses_nothing(stage: Stage, error: str) -> None:
    bad = ExecutorSettings(type="command", argv=BAD[error], timeout_s=3.0 if error == "timeout" else 30.0, attempts=1)
    settings = stage.settings(RoleSettings(worker=["bad"]), extra={"bad": bad})
    async with stage.forum(settings) as forum:
        view = await forum.submit("1. do this\n2. do that", wait_s=60)
        assert (view.state, view.answer) == ("failed", None)
        assert [task.error for task in view.tasks] == [error] * 2
        assert_clean(forum)


async def test_what_a_failing_command_did_say_is_in_the_record(stage: Stage) -> None:
    code = "import sys; print('half an answer'); print('why it failed', file=sys.stderr); raise SystemExit(3)"
    bad = ExecutorSettings(type="command", argv=[sys.executable, "-c", code])
    async with stage.forum(stage.settings(RoleSettings(worker=["bad"]), extra={"bad": bad})) as forum:
        await forum.submit("go", single=True, wait_s=60)
        (outcome,) = stage.entries(forum, "call.finished")
        said = {name: forum.ledger.body(str(ref["commit"])).data for name, ref in outcome.bodies.items()}
        assert outcome.data["exit_code"] == 3
        assert said["reply"] == b"half an answer\n"
        assert b"why it failed" in said["stderr"]


async def test_a_bad_worker_is_followed_by_the_next_rung_of_its_ladder(stage: Stage, tmp_path: Path) -> None:
    bad = ExecutorSettings(type="command", argv=BAD["not-found"])
    async with stage.forum(stage.settings(RoleSettings(worker=["bad", "model"]), extra={"bad": bad})) as forum:
        view = await forum.submit("go", single=True, wait_s=60)
        assert (view.state, view.tasks[0].executor, view.tasks[0].attempts) == ("succeeded", "model", 2)
        assert_clean(forum)
