"""Keep to a budget in calls, tokens and US dollars, offline: ``python docs/examples/budgets.py``.

The model is a function that says what it used; its price is the operator's. The run stops before the call that could
break a limit, and what was finished by then is returned.
"""

import sys

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import ExecutorSettings, LimitSettings, PriceSettings, RoleSettings, Settings
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor

PLAN = {
    "tasks": [
        {"id": f"part{n}", "lane": "technical-writing", "instruction": f"Write part {n} of the guide."}
        for n in range(1, 5)
    ]
}


def write(call: Call) -> Outcome:
    """Write a part and tell what it took."""
    return Outcome(reply=f"Text of {call.task}.".encode(), tokens_in=300, tokens_out=80)


async def main() -> bool:
    """Run under a limit of dollars and return whether it was kept, and the ledger verifies."""
    settings = Settings(
        ledger=":memory:",
        executors={
            "writer": ExecutorSettings(
                type="scripted", script="-", max_tokens=100, price=PriceSettings(input=10.0, output=40.0)
            )
        },
        roles=RoleSettings(worker=["writer"]),
        limits=LimitSettings(usd=0.02),
        max_parallel=1,
    )
    async with Orchestrator.open(settings, executors={"writer": ScriptedExecutor(write)}) as forum:
        run = await forum.submit("Write the guide.", plan=PLAN, max_usd=0.02)
        print(f"{run.state}, {run.error}: {run.spent.cost_usd} US dollars for {run.spent.calls} calls")
        for entry in forum.ledger.show(run_id=run.run_id, limit=100).entries:
            if entry.kind in ("call.started", "budget.stopped"):
                print(f"{entry.seq} {entry.kind} {entry.data.get('reserve') or entry.data}")
        print(run.answer)
        planned = await forum.quoted(await forum.plan("Write the guide again.", plan=PLAN))
        print(f"quote: {planned.quote}")
        verified = forum.ledger.verify(level=4, checkpoint=run.checkpoint)
        print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
    finished = [task for task in run.tasks if task.state == "succeeded"]
    kept = run.spent.cost_usd is not None and run.spent.cost_usd <= 0.02
    return verified.clean and kept and 0 < len(finished) < len(PLAN["tasks"])


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
