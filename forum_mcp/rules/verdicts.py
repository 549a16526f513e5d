"""Verdicts: what costs nothing first, then outside checks, then the Validator, then the panel, each where it is bound.

A result that fails at one stage is not shown to the next: no model is asked about what a check has decided. A verdict
is a strict boolean with its evidence. A judge that cannot be understood leaves the task ``undecided``: it is recorded
as that, and the contract's policy says how it counts.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds.run import BudgetStopped
from forum_mcp.ledger.kinds.task import TaskJudged
from forum_mcp.roles import validator
from forum_mcp.roles.prompt import Prompt
from forum_mcp.roles.reply import Unusable
from forum_mcp.rules.budget import asks, room
from forum_mcp.rules.calls import JSON, TEXT, draft, follow, may_call, repair, terms_of
from forum_mcp.rules.checks import criteria_of, examine, outside_checks
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.finding import Finding
from forum_mcp.rules.loops import NEWS
from forum_mcp.rules.run import Attempts, RunState, TaskState

__all__ = ["VERSION", "decide_verdict"]

VERSION: Final = 1

_FAILED_BY: Final = frozenset({"exit-code", "signal", "timeout", "resource-limit", "output-limit"})
"""Errors by which an outside check says no; after any other it has said nothing."""

_TAIL_CHARS: Final = 1_000
_SOME_MARK: Final = "0" * 16  # as long as every token of a fence


@dataclass(slots=True)
class _Case:
    """What is known of a result so far."""

    findings: list[Finding]
    votes: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    """(who, verdict, words) of each judge that was asked."""
    seqs: list[int] = field(default_factory=list[int])
    """What the evidence rests on."""

    def evidence(self) -> bytes:
        """Return the evidence as JSON."""
        checks = [{"check": each.check, "passed": each.passed, "seen": each.seen} for each in self.findings]
        judges = [{"judge": who, "verdict": verdict, "said": said} for who, verdict, said in self.votes]
        return msgspec.json.encode({"checks": checks, **({"judges": judges} if judges else {})}, order="sorted")


@dataclass(frozen=True, slots=True)
class _Vote:
    verdict: str
    words: str


def decide_verdict(state: RunState, held: TaskState) -> Draft | None:
    """Return the verdict of the task's output, or the call of whoever is to be asked about it."""
    if held.found is None:
        held.found = examine(state, held)
    case = _Case(list(held.found), seqs=[seq for each in held.found for seq in each.cites])
    if broken := [each for each in case.findings if each.counts and not each.passed]:
        stop = "loop" if broken[-1].check == NEWS else None
        return _judged(held, case, "failed", ok=False, by="rules", reason=_reasons(broken), stop=stop)
    checked = _checked_outside(state, held, case)
    if checked != "made":
        return checked
    if held.verdict_calls.ladder[:1] == [RULES]:
        return _panel(state, held, case, None)
    vote = _validated(state, held)
    if not isinstance(vote, _Vote):
        return vote
    case.votes.append(("validator", vote.verdict, vote.words))
    case.seqs.append(held.verdict_calls.seq)
    if vote.verdict == "undecided":
        return _undecided(state, held, case, "validator", vote.words)
    if vote.verdict == "failed":
        return _judged(held, case, "failed", ok=False, by="validator", reason=vote.words)
    return _panel(state, held, case, vote)


def _reasons(broken: list[Finding]) -> str:
    return "; ".join(each.seen for each in broken)


def _checked_outside(state: RunState, held: TaskState, case: _Case) -> Draft | Literal["made"] | None:
    """Return a draft, None while a check runs, or ``made`` when every outside check passed."""
    assert state.contract is not None
    for name, seat in zip(outside_checks(state.contract, held.plan), held.checking, strict=True):
        found = _outside(name, seat)
        if found is None:
            step = follow(state, seat, lambda _: Prompt("", held.output), held.outcome_seq, climb=False, held=held)
            if isinstance(step, Draft) or step is None:
                return step
            error = seat.outcome.error if seat.outcome is not None else "the budget has no room for it"
            case.seqs.append(seat.seq)
            return _undecided(state, held, case, "rules", f"check {name} could not be made: {error}")
        case.findings.append(found)
        case.seqs.append(seat.seq)
        if not found.passed:
            return _judged(held, case, "failed", ok=False, by="rules", reason=found.seen)
    return "made"


def _outside(name: str, seat: Attempts) -> Finding | None:
    """Return what an outside check says, or None while it has said nothing."""
    outcome = seat.outcome
    if seat.progress != "replied" or outcome is None:
        return None
    silent = outcome.error == "empty-reply" and not outcome.exit_code
    said = seat.reply.strip()[-_TAIL_CHARS:]
    code = f"exit code {outcome.exit_code}" if outcome.exit_code is not None else outcome.error or "no error"
    seen = f"check {name}: {code}" + (f": {said}" if said else "")
    if outcome.error is None or silent:
        return Finding(f"check-{name}", True, seen)
    return Finding(f"check-{name}", False, seen) if outcome.error in _FAILED_BY else None


def _validated(state: RunState, held: TaskState) -> Draft | _Vote | None:
    """Return the Validator's vote, a draft, or None while it is asked."""
    if not held.verdict_calls.ladder:
        return _Vote("undecided", "nobody may judge it but who did the task, and the policy wants another")
    return _vote(state, held, held.verdict_calls, climb=True)


def _vote(state: RunState, held: TaskState, calls: Attempts, *, climb: bool) -> Draft | _Vote | None:
    def ask(mark: str, problem: str | None = None) -> Prompt:
        return _ask(state, held, calls, mark, problem)

    step = follow(state, calls, ask, held.outcome_seq, climb=climb, held=held)
    if step == "exhausted":
        return _Vote("undecided", f"the {_WHO[calls.purpose]} gave no reply")
    if step != "reply":
        return step
    reply = validator.parse(calls.reply)
    if isinstance(reply, Unusable):
        problem = reply.problem
        again = repair(state, calls, lambda mark: ask(mark, problem), calls.seq, held=held)
        return _Vote("undecided", problem) if again == "exhausted" else again
    words = "\n".join(part for part in (reply.reason, reply.evidence) if part)
    return _Vote("passed" if reply.passed else "failed", words)


_WHO: Final = {"validate": "Validator", "panel": "panelist"}


def _panel(state: RunState, held: TaskState, case: _Case, vote: _Vote | None) -> Draft | None:
    """Return the verdict of the panel's majority, or a panelist's call; without a panel the verdict so far.

    The Validator's word breaks a tie, and stands where no panelist said anything.
    """
    passed, by = "passed", "validator" if vote is not None else "rules"
    reason = vote.words if vote is not None else None
    if not held.panel:
        return _judged(held, case, passed, ok=True, by=by, reason=reason)
    waiting = False
    votes: list[_Vote] = []
    for seat in held.panel:
        if seat.progress == "idle" and not _affordable(state, held, seat):
            found: Draft | _Vote | None = _Vote("undecided", "was not asked: the budget has no room for it")
        else:
            found = _vote(state, held, seat, climb=False)
        if isinstance(found, Draft):
            return found
        if found is None:
            waiting = True
            continue
        votes.append(found)
        case.votes.append((f"panelist {seat.ladder[0]}", found.verdict, found.words))
        case.seqs.append(seat.seq)
    if waiting:
        return None
    counts = {word: sum(each.verdict == word for each in votes) for word in ("passed", "failed", "undecided")}
    failed = counts["failed"] > counts["passed"]
    if failed:
        passed, reason = "failed", "\n".join(each.words for each in votes if each.verdict == "failed" and each.words)
    said = {each.verdict for each in votes} - {"undecided"}
    return _judged(
        held,
        case,
        passed,
        ok=not failed,
        by="panel" if said else by,
        reason=reason,
        votes={word: count for word, count in counts.items() if count},
        disagreement=len(said | {"passed"}) > 1,
    )


def _affordable(state: RunState, held: TaskState, seat: Attempts) -> bool:
    """Tell whether a panelist can be asked: the budget's refusal of an opinion is no reason to stop a run."""
    assert state.contract is not None
    terms = state.contract.terms(seat.ladder[0])
    prompt = _ask(state, held, seat, _SOME_MARK, None)
    return may_call(state, "panel", held) and not isinstance(
        room(state, "panel", asks(prompt, terms), terms, held), BudgetStopped
    )


def _undecided(state: RunState, held: TaskState, case: _Case, by: str, why: str) -> Draft:
    assert state.contract is not None
    ok = state.contract.policy.undecided == "pass"
    return _judged(held, case, "undecided", ok=ok, by=by, reason=why)


def _ask(state: RunState, held: TaskState, calls: Attempts, mark: str, problem: str | None) -> Prompt:
    assert state.contract is not None
    return validator.ask(
        held.plan.instruction,
        held.output,
        done_when=criteria_of(state.contract, held.plan),
        mark=mark,
        limit=terms_of(state, calls).input_bytes,
        problem=problem,
        last_reply=calls.reply if problem is not None else None,
    )


def _judged(
    held: TaskState,
    case: _Case,
    verdict: str,
    *,
    ok: bool,
    by: str,
    reason: str | None,
    stop: str | None = None,
    votes: dict[str, int] | None = None,
    disagreement: bool = False,
) -> Draft:
    judged = TaskJudged(
        task=held.plan.id,
        n=held.n,
        rung=held.work.rung,
        verdict=verdict,
        ok=ok,
        by=by,
        checks={each.check: each.passed for each in case.findings},
        stop=stop,
        votes=votes or {},
        disagreement=disagreement,
    )
    bodies: dict[str, NewBody | BodyRef] = {"evidence": NewBody(JSON, case.evidence())}
    if reason:
        bodies["reason"] = NewBody(TEXT, reason.encode("utf-8", "replace"))
    actor = {"rules": "engine"}.get(by, by)
    return draft("task.judged", actor, judged, held.outcome_seq, *case.seqs, bodies=bodies)
