"""Profiles: the flags of known programs, and what is read in what they print (forms as printed by the real ones)."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors import build
from forum_mcp.executors.base import Call
from forum_mcp.executors.command import CommandExecutor
from forum_mcp.executors.ending import REPLY_MAX_BYTES
from forum_mcp.executors.profiles import PROFILES

MakeCall = Callable[..., Call]
Opened = Callable[[CommandExecutor], CommandExecutor]

CLAUDE = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "result": "the answer",
    "stop_reason": "end_turn",
    "total_cost_usd": 0.0125,
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 7,
        "output_tokens": 5,
    },
    "modelUsage": {"model-a": {"costUSD": 0.0125, "costBasis": "list"}},
}
CODEX = [
    {"type": "thread.started", "thread_id": "0"},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "0", "type": "reasoning", "text": "hm"}},
    {"type": "item.completed", "item": {"id": "1", "type": "agent_message", "text": "first"}},
    {"type": "item.completed", "item": {"id": "2", "type": "agent_message", "text": "the answer"}},
    {"type": "turn.completed", "usage": {"input_tokens": 20, "cached_input_tokens": 3, "output_tokens": 5}},
]
TOKENS = {"input": 20, "prompt": 20, "candidates": 3, "thoughts": 2, "cached": 3, "tool": 0, "total": 25}
GEMINI = {"session_id": "0", "response": "the answer", "stats": {"models": {"model-a": {"tokens": TOKENS}}}}
STEP = {"total": 25, "input": 15, "output": 3, "reasoning": 2, "cache": {"write": 1, "read": 4}}
OPENCODE = [
    {"type": "step_start", "part": {"type": "step-start"}},
    {"type": "text", "part": {"type": "text", "text": "the answer"}},
    {"type": "step_finish", "part": {"type": "step-finish", "reason": "stop", "tokens": STEP, "cost": 0}},
]


def printed(*lines: object) -> bytes:
    """Return what a program prints: one object a line."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.mark.parametrize(
    ("name", "stdout", "stderr", "served", "tokens_in"),
    [
        ("claude", printed(CLAUDE), "", "model-a", 20),
        ("codex", printed(*CODEX), "", None, 20),
        ("gemini", printed(GEMINI), "", "model-a", 20),
        ("opencode", printed(*OPENCODE), "", None, 20),
        ("llm", b"the answer", "Token usage: 20 input, 5 output, {}\n", None, 20),
        (
            "ollama",
            b"the answer",
            "prompt eval count:    20 token(s)\neval count:   5 t\n",
            None,
            20,
        ),
    ],
)
def test_reply_usage_and_served_model_are_read(
    name: str, stdout: bytes, stderr: str, served: str | None, tokens_in: int
) -> None:
    report = PROFILES[name].read(stdout, stderr)
    assert (report.text, report.error) == ("the answer", None)
    assert (report.served_model, report.tokens_in, report.tokens_out) == (served, tokens_in, 5)


def test_the_cost_claude_names_is_taken_unless_it_is_a_guess() -> None:
    assert PROFILES["claude"].read(printed(CLAUDE), "").cost_microusd == 12_500
    guessed = {**CLAUDE, "modelUsage": {"model-a": {"costBasis": "unknown"}}}
    assert PROFILES["claude"].read(printed(guessed), "").cost_microusd is None


CUT = {**CLAUDE, "stop_reason": "max_tokens"}
FAILED = {**CLAUDE, "is_error": True, "result": "API Error: slow down", "api_error_status": 429}
CODEX_FAILED = [CODEX[0], {"type": "turn.failed", "error": {"message": "unexpected status 401 Unauthorized"}}]
GEMINI_FAILED = {"error": {"type": "ApiError", "message": "quota", "code": 429}}
OPENCODE_FAILED = [{"type": "error", "error": {"name": "APIError", "data": {"message": "no such model"}}}]


@pytest.mark.parametrize(
    ("name", "stdout", "error", "detail"),
    [
        ("claude", printed(CUT), "length", None),
        ("claude", printed({**CLAUDE, "stop_reason": "refusal"}), "refused", None),
        ("claude", printed(FAILED), "rate-limit", "API Error: slow down"),
        ("codex", printed(*CODEX_FAILED), "auth", "unexpected status 401 Unauthorized"),
        ("gemini", printed(GEMINI_FAILED), "rate-limit", "quota"),
        ("opencode", printed(*OPENCODE_FAILED), "exit-code", "no such model"),
    ],
)
def test_a_failure_is_told_in_the_program_s_own_words_and_class(
    name: str, stdout: bytes, error: str, detail: str | None
) -> None:
    report = PROFILES[name].read(stdout, "")
    assert (report.error, report.detail) == (error, detail)


@pytest.mark.parametrize("name", ["claude", "codex", "gemini", "opencode"])
@pytest.mark.parametrize("stdout", [b"", b"plain text", b"[1]", b"null\n{}", b"{" * 10_000, b"\xff"])
def test_what_is_no_report_is_a_bad_response(name: str, stdout: bytes) -> None:
    assert PROFILES[name].read(stdout, "").error == "bad-response"


def fake(tmp_path: Path, name: str, code: str) -> dict[str, str]:
    """Return an environment whose PATH has a program of that name first."""
    program = tmp_path / name
    program.write_text(f"#!{sys.executable}\n{code}")
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}


SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], sys.stdin.read()]), file=sys.stderr);"


async def test_the_prompt_comes_on_stdin_and_the_model_by_flag(
    opened: Opened, make_call: MakeCall, tmp_path: Path
) -> None:
    environ = fake(tmp_path, "claude", f"{SHOW} print({json.dumps(json.dumps(CLAUDE))})")
    agent = opened(CommandExecutor([], environ=environ, profile="claude", model="model-b"))
    outcome = await agent.perform(make_call(prompt=b"--help $(id)"))
    arguments, stdin = json.loads(outcome.stderr or b"")
    assert stdin == "--help $(id)"
    assert arguments[-2:] == ["--model", "model-b"]
    assert "--strict-mcp-config" in arguments
    assert (outcome.error, outcome.reply) == (None, b"the answer")
    assert (outcome.sent_model, outcome.served_model) == ("model-b", "model-a")
    assert (outcome.tokens_in, outcome.tokens_out, outcome.finish_reason) == (20, 5, "end_turn")


async def test_an_exit_code_keeps_what_was_printed_and_takes_the_program_s_class(
    opened: Opened, make_call: MakeCall, tmp_path: Path
) -> None:
    environ = fake(tmp_path, "claude", f"print({json.dumps(json.dumps(FAILED))}); raise SystemExit(1)")
    outcome = await opened(CommandExecutor([], environ=environ, profile="claude")).perform(make_call())
    assert (outcome.error, outcome.exit_code) == ("rate-limit", 1)
    assert b"slow down" in (outcome.reply or b"")
    silent = fake(tmp_path, "codex", "raise SystemExit(1)")
    assert (
        await opened(CommandExecutor([], environ=silent, profile="codex")).perform(make_call())
    ).error == "exit-code"


async def test_events_may_be_long_and_what_is_kept_of_them_is_not(
    opened: Opened, make_call: MakeCall, tmp_path: Path
) -> None:
    noise = (
        "import json\nfor n in range(60): print(json.dumps({'type': 'item.completed', 'item': {'x': 'y' * 65_000}}))\n"
    )
    said = "\n".join(f"print({json.dumps(json.dumps(line))})" for line in CODEX)
    environ = fake(tmp_path, "codex", noise + said)
    outcome = await opened(CommandExecutor([], environ=environ, profile="codex")).perform(make_call())
    assert (outcome.error, outcome.reply, outcome.truncated) == (None, b"the answer", False)
    failed = fake(tmp_path, "codex", noise + "raise SystemExit(1)")
    outcome = await opened(CommandExecutor([], environ=failed, profile="codex")).perform(make_call())
    assert (outcome.error, len(outcome.reply or b""), outcome.truncated) == ("exit-code", REPLY_MAX_BYTES, True)
    long = json.dumps({**CLAUDE, "result": "z" * (REPLY_MAX_BYTES + 1)})
    (tmp_path / "said").write_text(long)
    environ = fake(tmp_path, "claude", f"print(open({str(tmp_path / 'said')!r}).read())")
    outcome = await opened(CommandExecutor([], environ=environ, profile="claude")).perform(make_call())
    assert (outcome.error, len(outcome.reply or b""), outcome.truncated) == ("output-limit", REPLY_MAX_BYTES, True)


def test_a_program_of_another_name_takes_the_flags_of_its_profile() -> None:
    settings = ExecutorSettings(type="command", argv=["/opt/claude-next", "--add-dir", "/x"], profile="claude")
    argv = build("a", settings).identity()["argv"]
    assert isinstance(argv, list)
    assert argv[:4] == ["/opt/claude-next", "--add-dir", "/x", "-p"]


@pytest.mark.parametrize(
    ("members", "egress"),
    [
        ({"profile": "claude"}, "internet"),
        ({"profile": "ollama", "model": "qwen3:8b"}, "none"),
        ({"profile": "ollama", "model": "gpt-oss:120b-cloud"}, "internet"),
        ({"profile": "ollama", "model": "m", "pass_env": ["OLLAMA_HOST"]}, "internet"),
        ({"argv": ["cat"]}, "internet"),
        ({"argv": ["cat"], "network": False}, "none"),
        ({"argv": ["cat"], "network": False, "egress": "lan"}, "lan"),
    ],
)
def test_how_far_the_bytes_travel_is_known_where_it_is_certain(members: dict[str, object], egress: str) -> None:
    assert build("a", ExecutorSettings.model_validate({"type": "command", **members})).egress == egress


def test_ollama_without_a_model_is_refused() -> None:
    with pytest.raises(ConfigRefused, match="ollama list"):
        build("a", ExecutorSettings(type="command", profile="ollama"))
