"""A process that begins or goes on with a run of twelve tasks and dies, as ``kill -9`` would, at its n-th commit.

usage: steps_runner.py STEP WHEN LEDGER COUNTER begin | resume RUN_ID
``WHEN`` is ``before`` (the n-th commit never reaches the disk) or ``after`` (nothing that follows it happens). With
STEP 0 it goes through. Gates are approved as they open, but for work in doubt whose effect is there to be seen; it
prints the run id, then the state it leaves the run in, or ``held``.

Every task writes its number to COUNTER. Two of them may have their effects only once; one fails on the first rung, one
on each rung, and the run and one lane wait for approval.
"""

import os
import signal
import sys
from pathlib import Path

import anyio

from forum_mcp.configs.settings import ExecutorSettings, GateSettings, RoleSettings, Settings, StepSettings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import RunHeld
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from forum_mcp.stores.sqlite import SqliteStore

TASKS = 12
ONCE = (3, 8)
"""Tasks whose effects may be had only once."""
STUBBORN, HOPELESS = 5, 9


def settings(ledger: str) -> Settings:
    """Return settings with a ladder of two rungs, a gate before the run and one before a lane."""
    plain = ExecutorSettings(type="scripted", script="-", attempts=2, max_parallel=3)
    return Settings(
        ledger=ledger,
        executors={"small": plain, "large": plain},
        roles=RoleSettings(worker=["small", "large"]),
        steps=StepSettings(escalate=True),
        gates=GateSettings(run=True, lanes=["database"]),
        max_parallel=3,
    )


def plan() -> dict[str, object]:
    """Return twelve tasks: four, then four that need one of them each, then four that need two."""
    tasks: list[dict[str, object]] = []
    for number in range(TASKS):
        needs = [number - 4] if number >= 4 else []
        needs += [4 + (number + 1) % 4] if number >= 8 else []
        tasks.append(
            {
                "id": f"t{number}",
                "lane": "database" if number == 6 else "backend",
                "instruction": f"COUNT-{number:02}",
                "depends_on": [f"t{need}" for need in needs],
                "effects": "once" if number in ONCE else "idempotent",
            }
        )
    return {"tasks": tasks}


def executor(name: str, counter: str) -> ScriptedExecutor:
    """Return an executor whose only effect is a line in a file."""

    async def answer(call: Call) -> Outcome:
        assert call.task is not None
        number = int(call.task[1:])
        with Path(counter).open("a") as file:
            file.write(f"{number}\n")
        if number == HOPELESS or (number == STUBBORN and name == "small"):
            return Outcome(error="exit-code", exit_code=1)
        return Outcome(reply=f"did {number}".encode())

    return ScriptedExecutor(answer, model=name)


def die_at(step: int, when: str) -> None:
    """Have this process killed at its ``step``-th transaction, counted from now on."""
    count = 0
    real = SqliteStore.transact_all

    def transact_all(self: SqliteStore, works: object) -> object:
        nonlocal count
        count += 1
        if count == step and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        results = real(self, works)  # type: ignore[arg-type]
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return results

    SqliteStore.transact_all = transact_all  # type: ignore[method-assign, assignment]


async def finish(forum: Orchestrator, run: str, counter: str) -> str:
    """Approve what opens until the run is over, as somebody does who looks before work in doubt is done again."""
    while (view := await forum.run(run, wait_s=60)).state == "waiting":
        for gate in forum.gates(run).gates:
            done = Path(counter).read_text().split() if Path(counter).exists() else []
            again = gate.subject != "in-doubt" or str(gate.asks["task"])[1:] not in done
            await forum.resolve(gate.gate, approved=again, digest=gate.digest)
    return view.state


async def main(*words: str) -> None:
    """Play one side."""
    step, when, ledger, counter, action, run = (*words, "")[:6]
    models = {name: executor(name, counter) for name in ("small", "large")}
    async with Orchestrator.open(settings(ledger), executors=models) as forum:
        die_at(int(step), when)
        try:
            if action == "begin":
                run = (await forum.submit("count to twelve", plan=plan(), wait_s=0)).run_id
                print(run, flush=True)
            else:
                await forum.resume(run, wait_s=0)
        except RunHeld:
            print("held", flush=True)
            return
        print(await finish(forum, run, counter), flush=True)


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
