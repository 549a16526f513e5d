"""A process that begins or resumes a run of eight tasks; killed from outside by ``test_kills``.

usage: runner.py LEDGER COUNTER begin | resume RUN_ID

``begin`` prints the run id as soon as it is recorded; both print the state they leave the run in.
"""

import sys

import anyio

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import RunHeld

TASKS = 8
COUNT = """
import sys, time
number = sys.argv[2].split("COUNT-")[1][:2]
with open(sys.argv[1], "a") as counter:
    counter.write(number + "\\n")
time.sleep(0.03)
print("did " + number)
"""


def settings(ledger: str, counter: str) -> Settings:
    """Return settings whose worker appends the task's number to a file."""
    argv = [sys.executable, "-c", COUNT, counter, "{prompt}"]
    return Settings(
        ledger=ledger,
        executors={"cmd": ExecutorSettings(type="command", argv=argv, max_parallel=3)},
        roles=RoleSettings(worker=["cmd"]),
        max_parallel=3,
    )


def plan() -> dict[str, object]:
    """Return eight tasks, the last four each depending on one of the first."""
    return {
        "tasks": [
            {
                "id": f"t{i}",
                "lane": "backend",
                "instruction": f"COUNT-{i:02}",
                "depends_on": [{"id": f"t{i - 4}", "type": "order"}] if i >= 4 else [],
            }
            for i in range(TASKS)
        ]
    }


async def main(*words: str) -> None:
    """Play one side."""
    ledger, counter, action, run = (*words, "")[:4]
    async with Orchestrator.open(settings(ledger, counter)) as forum:
        if action == "begin":
            run = (await forum.submit("count to eight", plan=plan(), wait_s=0)).run_id
            print(run, flush=True)
            print((await forum.run(run, wait_s=60)).state, flush=True)
            return
        try:
            print((await forum.resume(run, wait_s=60)).state, flush=True)
        except RunHeld:
            print("held", flush=True)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
