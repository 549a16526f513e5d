"""The next decision of a run.

PURE, and the heart of the engine: ``decide`` looks at a state and gives the one entry that must come next, whole
(data, bodies, parents), or None when the run waits for something from outside. The engine appends what it gives and
decides again until there is nothing to decide; verification does the same with the recorded entries, and they must be
equal. A change in what it gives for any recorded state is a new version of the module that changed.
"""

import unicodedata
from functools import cache
from importlib.metadata import version
from typing import Final

import msgspec

from forum_mcp import roles
from forum_mcp.ledger.entry import Draft
from forum_mcp.ledger.kinds.call import WorkOffered
from forum_mcp.ledger.kinds.run import BudgetStopped
from forum_mcp.rules import (
    answering,
    budget,
    calls,
    checks,
    classifying,
    concision,
    context,
    contract,
    coverage,
    criteria,
    delivery,
    effort,
    failures,
    gates,
    intent,
    knowledge,
    ladder,
    loops,
    opinions,
    pattern,
    plan,
    planning,
    policy,
    prices,
    reuse,
    reviewing,
    roster,
    routing,
    schema,
    sketch,
    split,
    state,
    tasking,
    verdicts,
    verification,
    words,
)
from forum_mcp.rules.calls import draft
from forum_mcp.rules.run import RunState

__all__ = ["VERSION", "VERSIONS", "decide", "environment", "next_deadline_ms"]

VERSION: Final = 1

VERSIONS: Final[dict[str, int]] = {
    "answering": answering.VERSION,
    "budget": budget.VERSION,
    "calls": calls.VERSION,
    "checks": checks.VERSION,
    "classifying": classifying.VERSION,
    "concision": concision.VERSION,
    "context": context.VERSION,
    "contract": contract.VERSION,
    "coverage": coverage.VERSION,
    "criteria": criteria.VERSION,
    "delivery": delivery.VERSION,
    "effort": effort.VERSION,
    "failures": failures.VERSION,
    "intent": intent.VERSION,
    "knowledge": knowledge.VERSION,
    "ladder": ladder.VERSION,
    "loops": loops.VERSION,
    "gates": gates.VERSION,
    "next": VERSION,
    "pattern": pattern.VERSION,
    "opinions": opinions.VERSION,
    "plan": plan.VERSION,
    "planning": planning.VERSION,
    "policy": policy.VERSION,
    "prices": prices.VERSION,
    "reuse": reuse.VERSION,
    "reviewing": reviewing.VERSION,
    "roles": roles.VERSION,
    "roster": roster.VERSION,
    "routing": routing.VERSION,
    "schema": schema.VERSION,
    "sketch": sketch.VERSION,
    "split": split.VERSION,
    "state": state.VERSION,
    "tasking": tasking.VERSION,
    "verdicts": verdicts.VERSION,
    "verification": verification.VERSION,
    "words": words.VERSION,
}
"""What ``run.started`` records: the version of every module a decision depends on."""


@cache
def environment() -> dict[str, str]:
    """Return the versions of what decisions rest on beside the rules: tables, the stemmer, libraries they quote."""
    return {
        "jsonschema": version("jsonschema"),
        "msgspec": msgspec.__version__,
        "routing-table": knowledge.digest(),
        "stemmer": words.STEMMER,
        "unicode": unicodedata.unidata_version,
    }


def decide(state: RunState) -> Draft | None:
    """Return the entry that must come next, or None when the run is over or waits for an event."""
    if state.phase == "finished" or state.contract is None or state.roster is None:
        return None
    if state.cancelled_seq >= 0:
        return None if state.open else answering.seal(state)
    if state.time_up and state.stopped != "ms":
        return _time_stop(state)
    if state.unoffered:
        call = state.unoffered[0]
        return draft("work.offered", "engine", WorkOffered(call=call), call)
    match state.phase:
        case "route":
            return planning.decide_route(state)
        case "context":
            return context.decide_context(state)
        case "plan":
            return planning.decide_plan(state)
        case "rest":
            return None
        case "tasks":
            return tasking.decide_task(state)
        case "answer":
            return answering.decide_answer(state)
        case "review":
            return reviewing.decide_review(state)
        case "seal":
            return answering.seal(state)


def _time_stop(state: RunState) -> Draft:
    stop = BudgetStopped(currency="ms", limit=state.limits.ms or 0, settled=state.t_ms, reserved=0, asked=0)
    return draft("budget.stopped", "engine", stop, state.plan_seq if state.plan_seq >= 0 else state.started_seq)


def next_deadline_ms(state: RunState) -> tuple[int, int] | None:
    """Return (due in active milliseconds, seq of the entry that set it) of the nearest deadline, or None."""
    due = [(timer.due_ms, seq) for seq, timer in state.timers.items()]
    if state.limits.ms is not None and not state.time_up and state.phase not in ("rest", "finished"):
        due.append((state.limits.ms, state.started_seq))
    return min(due, default=None)
