"""Nothing leaves this machine: a ladder whose first rung is hosted, under ``local_only``.

Run it: ``python docs/examples/local_only.py``. It needs no model and no network, and leaves nothing behind. The hosted
executor is a stand-in that would answer if it were asked; it is not, and the record says why.
"""

import sys

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import RoleSettings, Settings, StepSettings
from forum_mcp.executors.scripted import ScriptedExecutor


async def main() -> bool:
    """Run one task; return whether the local rung did it, the hosted one was refused, and the ledger verifies."""
    hosted = ScriptedExecutor(lambda _: "from far away", egress="internet")
    local = ScriptedExecutor(lambda _: "from this machine")
    settings = Settings(
        ledger=":memory:",
        local_only=True,
        roles=RoleSettings(worker=["hosted", "local"]),
        steps=StepSettings(escalate=True),
    )
    async with Orchestrator.open(settings, executors={"hosted": hosted, "local": local}) as forum:
        run = await forum.submit("Write the guide.", single=True)
        print(run.answer)
        for entry in forum.ledger.show(kind="call.finished").entries:
            print(f"{entry.actor}: {entry.data.get('error', 'ok')}")
            if "detail" in entry.bodies:
                print("  " + forum.ledger.body(str(entry.bodies["detail"]["commit"])).data.decode())
        verified = forum.ledger.verify(level=4)
        print(f"{verified.size} entries, {'clean' if verified.clean else verified.findings}")
    return run.state == "succeeded" and not hosted.received and verified.clean


if __name__ == "__main__":
    sys.exit(0 if anyio.run(main) else 1)
