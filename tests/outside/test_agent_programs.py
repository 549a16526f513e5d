"""Real agent programs as executors, each driven by a scripted model: one run each, recorded as it should be.

They come from npm (llm from PyPI) and are skipped where they are not found: FORUM_TEST_TOOLS names directories to look
in before PATH, separated by colons.

    npm i node@24 @anthropic-ai/claude-code @openai/codex @google/gemini-cli opencode-ai
    npm rebuild @anthropic-ai/claude-code opencode-ai
    python3 -m venv llm && llm/bin/pip install llm
    FORUM_TEST_TOOLS=$PWD/node_modules/.bin:$PWD/llm/bin python -m pytest -rs tests/outside
"""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings
from tests.engine.stage import Stage, assert_clean
from tests.outside.scripted_model import ANSWER, TOKENS_IN, TOKENS_OUT, ToolCall, scripted_model

AGENT = RoleSettings(worker=["agent"])
TELLS_MODEL = {"claude", "gemini"}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "ledger.db")


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{os.environ.get('FORUM_TEST_TOOLS', '')}:{os.environ['PATH']}".lstrip(":"))


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; FORUM_TEST_TOOLS names the directory it is in")


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def prepared(name: str, url: str, home: Path) -> dict[str, str]:
    """Return the variables with which a program asks the scripted model; its own files are written."""
    match name:
        case "claude":
            return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "IS_SANDBOX": "1"}
        case "codex":
            provider = f'name = "scripted"\nbase_url = "{url}/v1"\nwire_api = "responses"\nenv_key = "NO_KEY"\n'
            written(
                home / ".codex" / "config.toml",
                f'model_provider = "scripted"\n[model_providers.scripted]\n{provider}',
            )
            return {"NO_KEY": "none"}
        case "gemini":
            settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
            written(
                home / ".gemini" / "settings.json",
                json.dumps({**settings, "privacy": {"usageStatisticsEnabled": False}}),
            )
            return {"GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": url}
        case "llm":
            entry = {"model_id": "scripted", "model_name": "scripted", "api_base": f"{url}/v1"}
            written(home / "llm" / "extra-openai-models.yaml", json.dumps([entry]))
            return {"LLM_USER_PATH": str(home / "llm")}
        case _:
            model = {"scripted": {"tool_call": True, "limit": {"context": 100_000, "output": 4_000}}}
            options = {"baseURL": f"{url}/v1", "apiKey": "none"}
            provider_table = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": model}
            table = {"provider": {"local": provider_table}, "small_model": "local/scripted", "share": "disabled"}
            written(home / ".config" / "opencode" / "opencode.json", json.dumps(table))
            return {"OPENCODE_DISABLE_MODELS_FETCH": "1"}


MODELS = {"opencode": "local/scripted", "gemini": "gemini-2.5-flash"}


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "opencode", "llm"])
async def test_an_agent_does_a_run_and_its_usage_is_recorded(stage: Stage, own_home: Path, name: str) -> None:
    needs(name)
    model = MODELS.get(name, "scripted")
    with scripted_model() as url:
        env = prepared(name, url, own_home)
        agent = ExecutorSettings.model_validate(
            {"type": "command", "profile": name, "model": model, "env": env, "timeout_s": 120.0, "attempts": 1}
        )
        async with stage.forum(stage.settings(AGENT, extra={"agent": agent})) as forum:
            view = await forum.submit("Say hello.", single=True, wait_s=120)
            (outcome,) = stage.entries(forum, "call.finished")
            bodies = {key: forum.ledger.body(str(ref["commit"])).data for key, ref in outcome.bodies.items()}
            assert view.state == "succeeded", bodies
            assert bodies["reply"].decode().startswith(ANSWER)
            assert (outcome.data["tokens_in"], outcome.data["tokens_out"]) == (TOKENS_IN, TOKENS_OUT)
            assert outcome.data["sent_model"] == model
            assert outcome.data.get("served_model") == (model if name in TELLS_MODEL else None)
            assert outcome.data["isolation"] == ["clean-environment", "private-directory"]
            assert_clean(forum)


async def test_an_agent_that_calls_forum_again_is_refused_and_says_so(
    stage: Stage, own_home: Path, tmp_path: Path
) -> None:
    needs("claude")
    written(tmp_path / "replies.json", '{"default": "from inside"}')
    command = f"{sys.executable} -m forum_mcp.cli submit --ledger {tmp_path}/inner.db"
    command += f" --scripted {tmp_path}/replies.json --single hello 2>&1"
    with scripted_model(ToolCall("Bash", {"command": command, "description": "hand it on"})) as url:
        agent = ExecutorSettings(
            type="command",
            profile="claude",
            argv=["claude", "--allowedTools", "Bash"],
            model="scripted",
            env=prepared("claude", url, own_home),
            timeout_s=120.0,
            attempts=1,
        )
        async with stage.forum(stage.settings(AGENT, extra={"agent": agent})) as forum:
            view = await forum.submit("Say hello.", single=True, wait_s=120)
            assert view.state == "succeeded"
            assert "started by a command of another one (FORUM_DEPTH=1)" in (view.answer or "")
            assert "from inside" not in (view.answer or "")
            assert_clean(forum)
