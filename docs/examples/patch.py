"""A command works in a git worktree, in a sandbox; its patch and what held it are in the record.

Run it: ``python docs/examples/patch.py``. It needs git and no model, and leaves nothing behind. The command here is a
line of Python where an agent would stand: ``ExecutorSettings(type="command", profile="claude", ...)``.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings

WORK = "open('greeting.txt', 'w').write('hello, ' + open('name.txt').read()); print('wrote greeting.txt')"


def repository(path: Path) -> str:
    """Make a repository with one commit and return its path."""
    git = ["git", "-c", "user.name=Example", "-c", "user.email=example@example.org", "-C", str(path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (path / "name.txt").write_text("world\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    return str(path)


async def run(repo: str, sandbox: str) -> bool:
    """Run one task; return whether it succeeded in that sandbox and the ledger verifies."""
    python = {sys.prefix, sys.base_prefix} if sandbox == "landlock" else set[str]()
    agent = ExecutorSettings.model_validate(
        {
            "type": "command",
            "argv": [sys.executable, "-c", WORK],
            "cwd": "worktree",
            "repo": repo,
            "sandbox": sandbox,
            "readable": sorted(python),
        }
    )
    settings = Settings(ledger=":memory:", executors={"agent": agent}, roles=RoleSettings(worker=["agent"]))
    async with Orchestrator.open(settings) as forum:
        view = await forum.submit("Write a greeting.", single=True)
        [outcome] = forum.ledger.show(kind="call.finished").entries
        print(f"sandbox {sandbox}: {outcome.data.get('error', 'ok')}, held: {outcome.data.get('isolation')}")
        if "patch" in outcome.bodies:
            print(forum.ledger.body(str(outcome.bodies["patch"]["commit"])).data.decode())
        verified = forum.ledger.verify(level=4)
        print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
        return view.state == "succeeded" and verified.clean


def main() -> int:
    """Run the task without a sandbox and with one; a machine that has none says so, on the record."""
    with tempfile.TemporaryDirectory() as scratch:
        repo = repository(Path(scratch))
        plain = anyio.run(run, repo, "none")
        anyio.run(run, repo, "landlock")
    return 0 if plain else 1


if __name__ == "__main__":
    sys.exit(main())
