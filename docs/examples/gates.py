"""Approval from a second process, offline: ``python docs/examples/gates.py``.

A run waits before its first task. This process never approves: it shows what is asked, and another process, the command
line in a second window, approves exactly that.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.executors.base import Call
from forum_mcp.executors.scripted import ScriptedExecutor

FORUM = (sys.executable, "-m", "forum_mcp.cli")


def write(call: Call) -> str:
    """Do a task."""
    return f"{call.task}, done"


def approve(ledger: str, gate: int, digest: str) -> None:
    """Approve a gate as somebody else would, who names what was read."""
    done = subprocess.run(
        [*FORUM, "gate", "approve", str(gate), "--digest", digest, "--reason", "read it", "--ledger", ledger],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr)


async def main() -> bool:
    """Return whether nothing was done before the approval, all of it afterwards, and the ledger verifies."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = str(Path(folder) / "ledger.db")
        settings = Settings(
            ledger=ledger,
            executors={"team": ExecutorSettings(type="scripted", script="-")},
            roles=RoleSettings(worker=["team"]),
        )
        async with Orchestrator.open(settings, executors={"team": ScriptedExecutor(write)}) as forum:
            run = await forum.submit("1. write the readme\n2. write the guide", approve="run")
            [gate] = forum.gates(run.run_id).gates
            print(f"run {run.state}, {run.spent.calls} calls; gate {gate.gate} asks for: {gate.asks['tasks']}")
            before = (run.state, run.spent.calls)
            await anyio.to_thread.run_sync(approve, ledger, gate.gate, gate.digest)
            with anyio.fail_after(60):
                while run.state != "succeeded":
                    run = await forum.run(run.run_id, wait_s=1)
            shown = forum.ledger.show(run_id=run.run_id, limit=100).entries
            [given] = [entry for entry in shown if entry.kind == "gate.resolved"]
            print(f"entry {given.seq}: {given.actor} approved at a {given.data['how']}")
            print(run.answer)
            verified = forum.ledger.verify(level=4, checkpoint=run.checkpoint)
            print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
    return verified.clean and before == ("waiting", 0) and given.actor.startswith("person:")


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
