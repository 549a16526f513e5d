"""The golden ledger's runs of the optional steps around the answer, each with every way it can come out."""

import json
from pathlib import Path
from typing import Final

from forum_mcp.configs.context import ContextSettings
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings, StepSettings
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor

__all__ = ["take_steps"]

_LINE: Final = "The table of users holds the name, the mail address and the hash of the password. "
_ROLES: Final = RoleSettings(
    worker=["model"], classifier=["model"], judge=["model"], reviser=["model"], verifier=["model"]
)


def _good(call: Call) -> Outcome | str:
    """Play roles that do what they are asked, the second time at the latest."""
    match call.purpose:
        case "classify":
            return '{"lane": "database", "confidence": 0.8}' if call.attempt == 2 else '{"lane": "unicorns"}'
        case "judge":
            cited = call.prompt.decode().partition("Result in entry ")[2].partition(":")[0]
            return json.dumps({"met": False, "reason": "no fish", "missing": ["fish"], "cites": [int(cited)]})
        case "revise":
            return _LINE
        case "verify":
            return '{"passed": true, "reason": "as it should be"}'
        case _:
            return _LINE * 6


def _bad(call: Call) -> Outcome | str:
    """Play roles that cannot be understood."""
    if call.purpose == "revise":
        return _LINE * 7
    if call.purpose == "verify":
        return Outcome(error="exit-code", exit_code=3, reply=b"2 of 5 failed")
    return "It depends." if call.purpose != "task" else _LINE * 6


async def take_steps(ledger: Path, clock: Clock) -> None:
    """Run the steps with good roles, with bad ones, and with rules alone."""
    settings = Settings(
        ledger=str(ledger),
        executors={"model": ExecutorSettings(type="scripted", script="-")},
        roles=_ROLES,
        steps=StepSettings(classify=True, intent=True, delivery=True, verification=True),
    )
    alone = settings.model_copy(
        update={"roles": RoleSettings(worker=["model"]), "steps": StepSettings(intent=True, delivery=True)}
    )
    with_context = settings.model_copy(
        update={
            "context": {name: ContextSettings(type="file", path=name, max_chars=40) for name in ("guide", "gone")},
            "steps": StepSettings(),
        }
    )
    cast = {
        "model": ScriptedExecutor(_good),
        "context:guide": ScriptedExecutor(lambda _: _LINE),
        "context:gone": ScriptedExecutor(lambda _: Outcome(error="not-found")),
    }
    async with Orchestrator.open(with_context, executors=cast, clock=clock) as forum:
        await forum.submit("describe the table of users", single=True, context=["guide", "gone"], wait_s=60)
        rested = await forum.plan("describe the table of users", single=True, context=["guide"])
        await forum.submit(plan=rested.run_id, wait_s=60)
    for told, answer in ((settings, _good), (settings, _bad), (alone, _good)):
        async with Orchestrator.open(told, executors={"model": ScriptedExecutor(answer)}, clock=clock) as forum:
            await forum.submit("zzz qqq fish", single=True, wait_s=60)
            await forum.submit("describe the table of users", single=True, wait_s=60)
