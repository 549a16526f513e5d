"""What ``install`` writes is read by the clients themselves: each lists this server, and those that can connect to it.

The programs are those of ``test_agent_programs.py``, found in the same way; without one its test is skipped.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from forum_mcp.cli.clients.table import CLIENTS
from tests.cli.commands import process

TRIED: Final = {
    "claude-code": ("claude", r"forum: .*mcp - .*Connected"),
    "codex": ("codex", r"forum +\S+ +\S*mcp .*enabled"),
    "gemini-cli": ("gemini", r"forum: .*\(stdio\) - Connected"),
    "opencode": ("opencode", r"forum .*connected"),
}
"""Client -> its program, and the line of ``PROGRAM mcp list``. Codex connects only when a session begins."""

NO_COMMAND: Final = "a desktop program that lists no servers from a command line; its files: tests/cli/clients"


def listed(program: str, cwd: Path) -> str:
    """Return what a client says of the servers it knows, colours left out."""
    done = subprocess.run(
        [program, "mcp", "list"],
        cwd=cwd,
        env={**os.environ, "GEMINI_CLI_TRUST_WORKSPACE": "true", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


@pytest.mark.parametrize("client", [client.name for client in CLIENTS])
def test_a_client_finds_what_install_wrote_and_nothing_after_uninstall(
    client: str, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if client not in TRIED:
        pytest.skip(NO_COMMAND)
    program, line = TRIED[client]
    monkeypatch.setenv("PATH", f"{os.environ.get('FORUM_TEST_TOOLS', '')}:{os.environ['PATH']}".lstrip(":"))
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed; FORUM_TEST_TOOLS names the directory it is in")
    assert process("install", client).code == 0
    assert re.search(line, found := listed(program, tmp_path)), found
    assert process("uninstall", client).code == 0
    assert "forum" not in listed(program, tmp_path).replace(str(own_home), "").replace(str(tmp_path), "")
