"""Judge results by checks, an outside check, a Validator and a panel, offline: ``python docs/examples/judging.py``.

The settings are those of docs/examples/judging/forum.toml, whose replies are fixed; docs/how-to/judge-the-results.md
says what happens and why.
"""

import json
import sys
from pathlib import Path

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load

FOLDER = Path(__file__).parent / "judging"
PLAN = json.loads((FOLDER / "plan.json").read_text(encoding="utf-8"))


async def main() -> bool:
    """Run the plan and return whether it went as the page says and its ledger verifies."""
    settings = load(Flags(config=str(FOLDER / "forum.toml"), ledger=":memory:"))
    async with Orchestrator.open(settings) as forum:
        run = await forum.submit("Describe the table of users", plan=PLAN)
        for entry in forum.ledger.show(run_id=run.run_id, limit=200).entries:
            data = entry.data
            if entry.kind == "call.started":
                print(f"{entry.seq} {data['purpose']} of {data['task']} by {data['executor']}")
            elif entry.kind == "task.judged":
                votes = f", votes {data['votes']}" if "votes" in data else ""
                print(f"{entry.seq} {data['task']} {data['verdict']} by {data['by']}: {data['checks']}{votes}")
            elif entry.kind in ("task.escalated", "task.skipped"):
                print(f"{entry.seq} {data['task']} {entry.kind.removeprefix('task.')}: {data['because']}")
        verified = forum.ledger.verify(level=4, checkpoint=run.checkpoint)
        print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
    ends = {task.id: (task.state, task.error) for task in run.tasks}
    return (
        verified.clean
        and ends["table"] == ends["guide"] == ("succeeded", None)
        and ends["polish-3"] == ("failed", "loop")
        and ends["polish-4"] == ("skipped", "upstream")
    )


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
