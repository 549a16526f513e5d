"""Somebody else's model server with faults: `llmock` of the npm package @copilotkit/aimock.

Skipped where it is not found; FORUM_TEST_TOOLS names directories to look in before PATH (`npm i @copilotkit/aimock`).
"""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings
from tests.engine.stage import Stage, assert_clean

Start = Callable[..., str]
FIXTURES = {
    "fixtures": [
        {
            "match": {"userMessage": "overloaded"},
            "response": {"error": {"message": "no capacity", "type": "overloaded_error"}, "status": 529},
        },
        {"match": {"userMessage": "too long"}, "response": {"content": "half of", "finishReason": "length"}},
        {"match": {"userMessage": "cut"}, "response": {"content": "x" * 400}, "truncateAfterChunks": 2},
        {
            "match": {},
            "response": {
                "content": "All is well.",
                "model": "served-elsewhere",
                "usage": {
                    "prompt_tokens": 12,
                    "completion_tokens": 4,
                    "total_tokens": 16,
                    "input_tokens": 12,
                    "output_tokens": 4,
                },
            },
        },
    ]
}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "ledger.db")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the server with more options; it is ended with the test."""
    path = f"{os.environ.get('FORUM_TEST_TOOLS', '')}:{os.environ['PATH']}"
    program = shutil.which("llmock", path=path)
    if program is None:
        pytest.skip("llmock is not installed; FORUM_TEST_TOOLS names the directory it is in")
    fixtures = tmp_path / "fixtures.json"
    fixtures.write_text(json.dumps(FIXTURES))
    running: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> str:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        argv = [program, "-p", str(port), "-f", str(fixtures), *options]
        server = subprocess.Popen(argv, env={"PATH": path}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        running.append(server)
        assert server.stdout is not None
        for line in server.stdout:
            if re.search(rf"listening.*{port}", line, re.IGNORECASE):
                break
        return f"http://127.0.0.1:{port}"

    yield begin
    for server in running:
        server.kill()
        with server:
            pass


KINDS = pytest.mark.parametrize("kind", ["chat", "anthropic"])


async def errors_of(stage: Stage, kind: str, url: str, request: str) -> tuple[list[object], str]:
    """Run a request on the server with two attempts and a second rung; return the errors of its calls and the state."""
    far = ExecutorSettings.model_validate({"type": kind, "url": url, "model": "asked-for", "attempts": 2})
    roles = RoleSettings(worker=["far", "model"])
    async with stage.forum(stage.settings(roles, extra={"far": far})) as forum:
        view = await forum.submit(request, single=True, wait_s=60)
        outcomes = stage.entries(forum, "call.finished")
        assert_clean(forum)
        return [outcome.data.get("error") for outcome in outcomes], view.state


@KINDS
async def test_a_whole_reply_is_recorded_with_what_was_served(stage: Stage, start: Start, kind: str) -> None:
    url = start()
    far = ExecutorSettings.model_validate({"type": kind, "url": url, "model": "asked-for"})
    async with stage.forum(stage.settings(RoleSettings(worker=["far"]), extra={"far": far})) as forum:
        view = await forum.submit("Say hello.", single=True, wait_s=60)
        (outcome,) = stage.entries(forum, "call.finished")
        assert view.state == "succeeded", outcome
        assert (outcome.data["sent_model"], outcome.data["served_model"]) == ("asked-for", "served-elsewhere")
        assert (outcome.data["tokens_in"], outcome.data["tokens_out"]) == (12, 4)
        assert_clean(forum)


@KINDS
@pytest.mark.parametrize(
    ("options", "request_", "error", "tries"),
    [
        (("--chaos-drop", "1"), "Say hello.", "server-error", 2),
        (("--chaos-malformed", "1"), "Say hello.", "bad-response", 1),
        (("--chaos-disconnect", "1"), "Say hello.", "connection-lost", 2),
        (("--chaos-ratelimit", "1"), "Say hello.", "rate-limit", 2),
        ((), "It is overloaded.", "server-error", 2),
        ((), "It is too long.", "length", 1),
        ((), "It is cut.", "connection-lost", 2),
    ],
)
async def test_each_fault_has_its_class_its_tries_and_then_the_next_rung(
    stage: Stage, start: Start, kind: str, options: tuple[str, ...], request_: str, error: str, tries: int
) -> None:
    errors, state = await errors_of(stage, kind, start(*options), request_)
    assert (errors, state) == ([error] * tries + [None], "succeeded")


def test_it_is_the_stranger_that_answers(start: Start) -> None:
    assert httpx2.get(f"{start()}/__aimock/journal").status_code == 200
