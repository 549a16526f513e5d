"""The whole loop on the user's own model.

FORUM_TEST_CMD: a command as for ``--cmd``.
FORUM_TEST_CHAT_URL (and FORUM_TEST_CHAT_MODEL): an OpenAI-compatible server.
"""

import os
import shlex
from pathlib import Path

import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from tests.engine.stage import assert_clean

REQUEST = "1. Name one use of a hash function. 2. Name one use of a signature."


async def run_whole_loop(ledger: Path, executor: ExecutorSettings) -> None:
    roles = RoleSettings(coordinator=["own"], worker=["own"], validator=["own"], synthesizer=["own"])
    settings = Settings(ledger=str(ledger), executors={"own": executor}, roles=roles)
    async with Orchestrator.open(settings) as forum:
        view = await forum.submit(REQUEST, wait_s=900)
        assert view.state in ("succeeded", "failed")
        assert (view.answer is not None) == any(task.state == "succeeded" for task in view.tasks)
        assert_clean(forum)


@pytest.mark.skipif("FORUM_TEST_CMD" not in os.environ, reason="set FORUM_TEST_CMD to a command that answers stdin")
async def test_the_whole_loop_on_the_user_s_own_command(tmp_path: Path) -> None:
    argv = shlex.split(os.environ["FORUM_TEST_CMD"])
    await run_whole_loop(tmp_path / "ledger.db", ExecutorSettings(type="command", argv=argv))


@pytest.mark.skipif("FORUM_TEST_CHAT_URL" not in os.environ, reason="set FORUM_TEST_CHAT_URL to a model server")
async def test_the_whole_loop_on_the_user_s_own_server(tmp_path: Path) -> None:
    url, model = os.environ["FORUM_TEST_CHAT_URL"], os.environ.get("FORUM_TEST_CHAT_MODEL", "default")
    await run_whole_loop(tmp_path / "ledger.db", ExecutorSettings(type="chat", url=url, model=model))
