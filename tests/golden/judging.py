"""The golden ledger's run that judges: rungs of several, outside checks, a panel of two minds, a loop, a lane."""

import json
from pathlib import Path

from forum_mcp.configs.settings import (
    ExecutorSettings,
    LaneSettings,
    PolicySettings,
    RoleSettings,
    Settings,
    StepSettings,
)
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor

__all__ = ["judge_and_climb"]

_DONE_WHEN = ["contains: page", "matches: ^the (page|guide)", "max words: 20", "check: tests"]
_PLAN: dict[str, object] = {
    "tasks": [
        {"id": "page", "lane": "frontend", "instruction": "build the page", "done_when": _DONE_WHEN},
        {"id": "guide", "lane": "technical-writing", "instruction": "write the guide"},
        *(
            {"id": f"round-{at}", "lane": "frontend", "instruction": f"polish it, round {at}", "depends_on": [before]}
            for at, before in enumerate(["page", "round-0", "round-1", "round-2"])
        ),
    ]
}


def _work(name: str) -> ScriptedExecutor:
    def answer(call: Call) -> Outcome | str:
        if call.task == "page" and name == "cheap":
            return Outcome(error="refused")
        if call.task == "page" and name == "other":
            return "the page, half of it"
        return "the page, all of it" if call.task == "page" else "the same words as in every round before this one"

    return ScriptedExecutor(answer, model=f"{name}-1")


def _judge(name: str) -> ScriptedExecutor:
    def answer(call: Call) -> str:
        against = name == "dove" and call.task == "guide"
        return json.dumps({"passed": not against, "reason": f"{name} says so", "evidence": "all of it"})

    return ScriptedExecutor(answer, model=f"{name}-1")


def _suite(call: Call) -> Outcome:
    failed = b"half" in call.prompt
    return Outcome(error="exit-code", exit_code=1, reply=b"1 failed") if failed else Outcome(reply=b"ok", exit_code=0)


async def judge_and_climb(ledger: Path, clock: Clock) -> None:
    """Run a plan whose tasks are refused, checked from outside, judged by several, and go round."""
    cast = {name: _work(name) for name in ("cheap", "other", "best")}
    cast |= {name: _judge(name) for name in ("owl", "hawk", "dove")}
    cast["suite"] = ScriptedExecutor(_suite)
    worker, panel = ["cheap+other", "best"], ["owl", "hawk", "dove"]
    settings = Settings(
        ledger=str(ledger),
        executors=dict.fromkeys(cast, ExecutorSettings(type="scripted", script="-")),
        roles=RoleSettings(worker=worker, validator=["best", "owl"], panelists=panel),
        steps=StepSettings(escalate=True, panel=True),
        policy=PolicySettings(validator_differs=True),
        checks={"tests": "suite"},
        lanes={"technical-writing": LaneSettings(worker=["other"], done_when=["lacks: TODO"])},
        max_parallel=2,
    )
    async with Orchestrator.open(settings, executors=cast, clock=clock) as forum:
        await forum.submit("Build the page and polish it", plan=_PLAN, wait_s=60)
