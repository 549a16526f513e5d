"""Verdicts: deterministic checks first, then the Validator when one is bound.

A verdict is a strict boolean. A Validator that cannot be understood leaves the task ``undecided``: it is recorded as
that, and the contract's policy says how it counts.
"""

from typing import Final

from forum_mcp.ledger.entry import Draft, NewBody
from forum_mcp.ledger.kinds.task import TaskJudged
from forum_mcp.roles import validator
from forum_mcp.roles.prompt import Prompt
from forum_mcp.roles.reply import Unusable
from forum_mcp.rules.calls import TEXT, draft, follow, repair, terms_of
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.run import RunState, TaskState
from forum_mcp.rules.schema import misfit

__all__ = ["VERSION", "checks", "decide_verdict"]

VERSION: Final = 1

_DEBRIS: Final = (
    "<tool_call>",
    "<|tool_call",
    "<function_call",
    "<function=",
    "[TOOL_CALLS]",
    "<|im_start|>",
    "<|start_header_id|>",
)


def checks(output: str, schema: dict[str, object] | None) -> dict[str, str | None]:
    """Return check -> what is wrong, or None when it passed, in order of cost."""
    found: dict[str, str | None] = {
        "not-empty": None if output.strip() else "the output is empty",
        "no-debris": None,
    }
    debris = next((mark for mark in _DEBRIS if output.lstrip().startswith(mark)), None)
    if debris is not None:
        found["no-debris"] = f"the output is a tool call or template debris: it starts with {debris!r}"
    if schema is not None:
        found["schema"] = misfit(output, schema)
    return found


def decide_verdict(state: RunState, held: TaskState) -> Draft | None:
    """Return the verdict of the task's output, or the Validator's call that it needs."""
    found = checks(held.output, held.plan.schema)
    broken = [why for why in found.values() if why is not None]
    passed = {name: why is None for name, why in found.items()}
    if broken:
        return _judged(held, "failed", ok=False, by="rules", passed=passed, reason="; ".join(broken))
    calls = held.verdict_calls
    if calls.ladder[0] == RULES:
        return _judged(held, "passed", ok=True, by="rules", passed=passed, reason=None)
    step = follow(state, calls, lambda mark: _ask(state, held, mark, None), held.outcome_seq, climb=True, held=held)
    if step == "exhausted":
        return _undecided(state, held, passed, "the Validator gave no reply")
    if step != "reply":
        return step
    reply = validator.parse(calls.reply)
    if isinstance(reply, Unusable):
        problem = reply.problem
        again = repair(state, calls, lambda mark: _ask(state, held, mark, problem), calls.seq, held=held)
        return _undecided(state, held, passed, problem) if again == "exhausted" else again
    return _judged(
        held,
        "passed" if reply.passed else "failed",
        ok=reply.passed,
        by="validator",
        passed=passed,
        reason="\n".join(part for part in (reply.reason, reply.evidence) if part),
    )


def _undecided(state: RunState, held: TaskState, passed: dict[str, bool], why: str) -> Draft:
    assert state.contract is not None
    ok = state.contract.policy.undecided == "pass"
    return _judged(held, "undecided", ok=ok, by="validator", passed=passed, reason=why)


def _ask(state: RunState, held: TaskState, mark: str, problem: str | None) -> Prompt:
    return validator.ask(
        held.plan.instruction,
        held.output,
        done_when=held.plan.done_when,
        mark=mark,
        limit=terms_of(state, held.verdict_calls).input_chars,
        problem=problem,
    )


def _judged(held: TaskState, verdict: str, *, ok: bool, by: str, passed: dict[str, bool], reason: str | None) -> Draft:
    judged = TaskJudged(task=held.plan.id, n=held.n, rung=held.work.rung, verdict=verdict, ok=ok, by=by, checks=passed)
    bodies = {"reason": NewBody(TEXT, reason.encode("utf-8", "replace"))} if reason else None
    actor = "validator" if by == "validator" else "engine"
    return draft("task.judged", actor, judged, held.outcome_seq, held.verdict_calls.seq, bodies=dict(bodies or {}))
