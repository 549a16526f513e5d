"""A coding agent, driven by a scripted model, calls the tools of the installed server; what its model saw is looked at.

Skipped where the agent is not found; see ``test_agent_programs`` for what to install.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from tests.outside.scripted_model import ANSWER, ToolCall, scripted_model

Agent = Callable[[str, list[str], Path, Path], str]
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
    """Return the text of a tool's result in a message to the model: a string, perhaps after a line of the agent's own,
    or one block of text."""
    if isinstance(shown, str):
        return shown[shown.index("{") :]
    [block] = cast("list[dict[str, str]]", shown)
    return block["text"]


def found(program: str) -> tuple[str, str]:
    """Return where a program is and the PATH to run it with, or skip."""
    path = f"{os.environ.get('FORUM_TEST_TOOLS', '')}:{os.environ['PATH']}".lstrip(":")
    where = shutil.which(program, path=path)
    if where is None:
        pytest.skip(f"{program} is not installed; FORUM_TEST_TOOLS names the directory it is in")
    return where, path


def claude(url: str, server: list[str], cwd: Path, home: Path) -> str:
    """Have Claude Code do it; return what it says in the end."""
    program, path = found("claude")
    servers = {"mcpServers": {"forum": {"command": server[0], "args": server[1:]}}}
    (cwd / "mcp.json").write_text(json.dumps(servers), encoding="utf-8")
    done = subprocess.run(
        [program, "-p", "Have the team do it.", "--model", "scripted", "--mcp-config", str(cwd / "mcp.json"),
         "--strict-mcp-config", "--allowedTools", ",".join(call.tool for call in CALLS)],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": path, "HOME": str(home), "ANTHROPIC_BASE_URL": url,
             "ANTHROPIC_API_KEY": "none", "IS_SANDBOX": "1", "ENABLE_TOOL_SEARCH": "false",
             "MCP_CONNECTION_NONBLOCKING": "0", "MCP_TIMEOUT": "60000", "MCP_CONNECT_TIMEOUT_MS": "60000"},
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout


def codex(url: str, server: list[str], cwd: Path, home: Path) -> str:
    """Have Codex do it; it goes on without a server that is not ready yet, unless that is required."""
    program, path = found("codex")
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "config.toml").write_text(
        f'model_provider = "scripted"\nmodel = "scripted"\n[model_providers.scripted]\nname = "scripted"\n'
        f'base_url = "{url}/v1"\nwire_api = "responses"\nenv_key = "NO_KEY"\n'
        f"[mcp_servers.forum]\ncommand = {json.dumps(server[0])}\nargs = {json.dumps(server[1:])}\n"
        f"required = true\nstartup_timeout_sec = 60\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [program, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
         "Have the team do it."],
        cwd=cwd, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": path, "HOME": str(home), "NO_KEY": "none"},
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout


@pytest.mark.parametrize("agent", [claude, codex])
def test_an_agent_submits_a_run_and_verifies_the_ledger(agent: Agent, tmp_path: Path, own_home: Path) -> None:
    (tmp_path / "replies.json").write_text('{"default": "what the team found"}', encoding="utf-8")
    ledger = tmp_path / "ledger.db"
    words = [str(SERVER), "--ledger", str(ledger), "--scripted", str(tmp_path / "replies.json")]
    shown: list[object] = []
    with scripted_model(*CALLS, shown=shown) as url:
        assert agent(url, words, tmp_path, own_home).startswith(ANSWER)
    run, verified = (json.loads(text_of(each)) for each in shown)
    assert run["state"] == "succeeded"
    assert "what the team found" in run["answer"], "the answer reaches the model"
    assert [task["id"] for task in run["tasks"]] == ["a", "b"]
    assert (verified["clean"], verified["findings"]) == (True, [])
    assert verified["size"] > run["entries"][1]
    checked = [str(SERVER), "ledger", "verify", "--level", "4", "--ledger", str(ledger)]
    assert subprocess.run(checked, capture_output=True, timeout=60, check=False).returncode == 0
