"""Three tasks on a scripted executor, an answer, and the verification of the ledger they left.

Run it: ``python docs/examples/run.py``. It needs no model and leaves nothing behind. To use a model of yours, drop
``executors=`` and describe one in the settings, for example
``ExecutorSettings(type="command", argv=["llm", "{prompt}"])``.
"""

import sys

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import RoleSettings, Settings
from forum_mcp.executors.base import Call
from forum_mcp.executors.scripted import ScriptedExecutor

PLAN = {
    "tasks": [
        {"id": "schema", "lane": "database", "instruction": "Write the table of users"},
        {"id": "endpoint", "lane": "backend", "instruction": "Write the login endpoint"},
        {
            "id": "docs",
            "lane": "technical-writing",
            "instruction": "Describe both",
            "depends_on": ["schema", "endpoint"],
        },
    ]
}


def reply(call: Call) -> str:
    """Answer a call the way a model would: it sees the recorded prompt and nothing else."""
    return f"the {call.task}, made from {len(call.prompt)} bytes of prompt"


async def main() -> bool:
    """Run the plan and return whether the run succeeded and its ledger verifies."""
    settings = Settings(ledger=":memory:", roles=RoleSettings(worker=["script"]))
    async with Orchestrator.open(settings, executors={"script": ScriptedExecutor(reply)}) as forum:
        run = await forum.submit("Build the login and describe it", plan=PLAN)
        for task in run.tasks:
            print(f"{task.id}: {task.state}, verdict {task.verdict}")
        print(run.answer)

        verified = forum.ledger.verify(level=4, checkpoint=run.checkpoint)
        print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
        for line in verified.not_protected:
            print(f"not protected: {line}")
    return run.state == "succeeded" and verified.clean


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
