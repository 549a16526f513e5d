"""Run again with one model changed, and compare, offline: ``python docs/examples/fork.py``.

Only the tasks that the change touches are done again; the others are taken from the first run, each with the entry
that settled it there. A fork of the fork keeps its worker and does nothing at all again.
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
        third = await forum.fork(second.run_id)
        print(f"calls: {third.spent.calls} in the fork of the fork, which comes to the same answer")
        print(third.answer)
        verified = forum.ledger.verify(level=4, checkpoint=third.checkpoint)
        print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
    kept = sorted(str(each.data["task"]) for each in reused) == ["api", "schema"] and third.answer == second.answer
    return verified.clean and kept and (second.spent.calls, third.spent.calls) == (1, 0)


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
