"""Run again with one model changed, and compare, offline: ``python docs/examples/fork.py``.

Only the tasks that the change touches are done again; the others are taken from the first run, each with the entry
that settled it there.
"""

import sys

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.executors.base import Call
from forum_mcp.executors.scripted import ScriptedExecutor

PLAN = {
    "tasks": [
        {"id": "schema", "lane": "database", "instruction": "Design the tables."},
        {"id": "api", "lane": "backend", "instruction": "Write the endpoints.", "depends_on": ["schema"]},
        {"id": "page", "lane": "frontend", "instruction": "Build the page.", "depends_on": ["schema"]},
    ]
}


def model(name: str) -> ScriptedExecutor:
    """Return a model that signs what it writes."""

    def write(call: Call) -> str:
        return f"{call.task}, written by {name}"

    return ScriptedExecutor(write, model=name)


async def main() -> bool:
    """Fork a run and return whether only the changed part was done again, and the ledger verifies."""
    scripted = ExecutorSettings(type="scripted", script="-")
    settings = Settings(
        ledger=":memory:", executors={"small": scripted, "large": scripted}, roles=RoleSettings(worker=["small"])
    )
    models = {"small": model("small"), "large": model("large")}
    async with Orchestrator.open(settings, executors=models) as forum:
        first = await forum.submit("Build the shop.", plan=PLAN)
        second = await forum.fork(first.run_id, workers={"frontend": "large"})
        reused = [
            entry for entry in forum.ledger.show(run_id=second.run_id, limit=100).entries if entry.kind == "task.reused"
        ]
        for entry in reused:
            print(f"{entry.data['task']}: reused from entry {entry.data['found']}, {entry.data['age_ms']} ms old")
        print(f"calls: {first.spent.calls} in the first run, {second.spent.calls} in the fork")
        print(second.answer)
        verified = forum.ledger.verify(level=4, checkpoint=second.checkpoint)
        print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
    done_again = second.spent.calls
    return verified.clean and sorted(str(each.data["task"]) for each in reused) == ["api", "schema"] and done_again == 1


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
