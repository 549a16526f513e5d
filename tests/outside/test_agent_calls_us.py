"""A coding agent, driven by a scripted model, calls the tools of the installed server; what its model saw is looked at.

Skipped where the agent is not found; see ``test_agent_programs`` for what to install.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from tests.outside.scripted_model import ANSWER, ToolCall, scripted_model

SERVER = Path(sys.executable).with_name("forum-mcp")
PLAN = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "write the parser"},
        {"id": "b", "lane": "code-review", "instruction": "review the parser", "depends_on": ["a"]},
    ]
}
CALLS = (
    ToolCall("mcp__forum__submit", {"request": "write a parser and review it", "plan": PLAN}),
    ToolCall("mcp__forum__ledger_verify", {"level": 4}),
)


def text_of(shown: object) -> str:
    """Return the text of a tool's result in a message to the model: a string, or one block of text."""
    if isinstance(shown, str):
        return shown
    [block] = cast("list[dict[str, str]]", shown)
    return block["text"]


def test_claude_code_submits_a_run_and_verifies_the_ledger(tmp_path: Path, own_home: Path) -> None:
    path = f"{os.environ.get('FORUM_TEST_TOOLS', '')}:{os.environ['PATH']}".lstrip(":")
    claude = shutil.which("claude", path=path)
    if claude is None:
        pytest.skip("claude is not installed; FORUM_TEST_TOOLS names the directory it is in")
    (tmp_path / "replies.json").write_text('{"default": "what the team found"}', encoding="utf-8")
    ledger = tmp_path / "ledger.db"
    words = ["--ledger", str(ledger), "--scripted", str(tmp_path / "replies.json")]
    servers = {"mcpServers": {"forum": {"command": str(SERVER), "args": words}}}
    (tmp_path / "mcp.json").write_text(json.dumps(servers), encoding="utf-8")
    shown: list[object] = []
    with scripted_model(*CALLS, shown=shown) as url:
        done = subprocess.run(
            [claude, "-p", "Have the team do it.", "--model", "scripted", "--mcp-config", str(tmp_path / "mcp.json"),
             "--strict-mcp-config", "--allowedTools", ",".join(call.tool for call in CALLS)],
            cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": path, "HOME": str(own_home), "ANTHROPIC_BASE_URL": url,
                 "ANTHROPIC_API_KEY": "none", "IS_SANDBOX": "1", "ENABLE_TOOL_SEARCH": "false"},
        )  # fmt: skip
    assert done.returncode == 0, done
    assert done.stdout.startswith(ANSWER), done
    run, verified = (json.loads(text_of(each)) for each in shown)
    assert run["state"] == "succeeded"
    assert "what the team found" in run["answer"], "the answer reaches the model"
    assert [task["id"] for task in run["tasks"]] == ["a", "b"]
    assert (verified["clean"], verified["findings"]) == (True, [])
    assert verified["size"] > run["entries"][1]
    checked = [str(SERVER), "ledger", "verify", "--level", "4", "--ledger", str(ledger)]
    assert subprocess.run(checked, capture_output=True, timeout=60, check=False).returncode == 0
