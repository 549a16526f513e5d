"""Calls: may one be made, what does it reserve, and what follows an outcome.

Every call of every role and task goes through ``next_call``, so a budget cannot leak past it: the call is drafted with
its reservation (``budget.py``), or the refusal is drafted instead.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

import msgspec

from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds.base import Amounts, Payload
from forum_mcp.ledger.kinds.call import CallDeferred, CallStarted
from forum_mcp.ledger.kinds.run import BudgetStopped
from forum_mcp.roles.fence import token
from forum_mcp.roles.prompt import Prompt
from forum_mcp.rules.budget import asks, room, spent_up, timeout_ms
from forum_mcp.rules.contract import RULES, ExecutorTerms
from forum_mcp.rules.failures import TRANSIENT
from forum_mcp.rules.gates import toll
from forum_mcp.rules.ladder import executor_for, turns_left
from forum_mcp.rules.run import Attempts, RunState, TaskState, done_once

__all__ = [
    "JSON",
    "TEXT",
    "VERSION",
    "Ask",
    "draft",
    "fence_token",
    "follow",
    "may_call",
    "next_call",
    "repair",
    "terms_of",
]

VERSION: Final = 1
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"

_BACKOFF_MS: Final = 500
_LONGEST_WAIT_MS: Final = 60_000
_MINUTE_MS: Final = 60_000
_CAN_WAIT: Final = ("idle", "due", "redo")

Ask = Callable[[str], Prompt]
"""Token of the prompt's fences -> the prompt."""


def draft(
    kind: str, actor: str, payload: Payload, *parents: int, bodies: dict[str, NewBody | BodyRef] | None = None
) -> Draft:
    """Return the draft of a decision; parents that are negative (no such entry) are left out."""
    return Draft(
        kind=kind,
        actor=actor,
        data=msgspec.to_builtins(payload),
        bodies=bodies or {},
        parents=tuple(sorted({seq for seq in parents if seq >= 0})),
    )


def terms_of(state: RunState, attempts: Attempts, rung: int | None = None) -> ExecutorTerms:
    """Return the terms of the executor at a rung (default: the present one)."""
    assert state.contract is not None
    return state.contract.terms(attempts.ladder[attempts.rung if rung is None else rung])


def fence_token(state: RunState, attempts: Attempts) -> str:
    """Return the token of the fences in a role's newest prompt (no task's)."""
    return token(state.seed, attempts.purpose, None, None, attempts.rung, attempts.attempt)


def may_call(state: RunState, purpose: str, held: TaskState | None = None) -> bool:
    """Tell whether the budget still lets this purpose ask for a call; what was kept back is for the synthesis."""
    assert state.contract is not None
    if state.stopped is None:
        if held is None or state.contract.task_limits == Amounts():
            return True
        refused = spent_up(state, purpose, held)
        return refused is None or refused.scope != "task"
    return purpose == "synthesize" and state.stopped != "ms" and spent_up(state, purpose) is None


def next_call(
    state: RunState,
    attempts: Attempts,
    ask: Ask,
    *parents: int,
    rung: int,
    attempt: int,
    held: TaskState | None = None,
    again: bool = False,
) -> Draft | Literal["exhausted"] | None:
    """Return the call, a wait for the executor's rate, or the budget's refusal.

    None while there is no place for one more: the executor is full, or open calls hold what it would need.
    ``exhausted``: the task's own budget is used up, or the run's was before. ``parents``: what asks for the call.
    ``again`` marks a repair.
    """
    assert state.contract is not None
    name = executor_for(state, attempts, rung, attempt, held)
    if name is None:
        return None
    terms = state.contract.executors[name]
    if rung == attempts.rung and (wait := _rate_wait(state, attempts, name, terms, held)) is not None:
        return wait
    task = held.plan.id if held is not None else None
    n = held.n if held is not None else None
    # A judge may repeat its fence's token in its reasons, which the next rung's worker reads: none is used twice.
    about = () if held is None or attempts is held.work else (held.work.rung, attempts.seat)
    prompt = ask(token(state.seed, attempts.purpose, task, n, rung, attempt, *about))
    reserve = _reservation(state, attempts.purpose, prompt, terms, held, *parents)
    if not isinstance(reserve, Amounts):
        return reserve
    payload = CallStarted(
        purpose=attempts.purpose,
        executor=name,
        type=terms.type,
        rung=rung,
        attempt=attempt,
        timeout_ms=timeout_ms(state, terms),
        reserve=reserve,
        egress=terms.egress,
        task=task,
        n=n,
        model=terms.model,
        max_tokens=terms.max_tokens,
        repair=again,
        seat=attempts.seat,
        words=_system_words(prompt.system) + len(prompt.user.split()),
        context=list(prompt.context),
    )
    return draft("call.started", "engine", payload, *parents, *prompt.context, bodies=_bodies(prompt))


def _reservation(
    state: RunState, purpose: str, prompt: Prompt, terms: ExecutorTerms, held: TaskState | None, *parents: int
) -> Amounts | Draft | Literal["exhausted"] | None:
    """Return what to reserve for a call; else the gate or the stop it runs into, ``exhausted``, or None for a wait."""
    asked = asks(prompt, terms)
    gate = toll(state, asked, terms, *parents)
    if isinstance(gate, Draft):
        return gate if state.stopped is None else "exhausted"
    reserve = gate or room(state, purpose, asked, terms, held)
    if reserve == "wait":
        return None
    if isinstance(reserve, BudgetStopped):
        if reserve.scope == "task" or state.stopped is not None:
            return "exhausted"
        return draft("budget.stopped", "engine", reserve, *parents)
    return reserve


def _bodies(prompt: Prompt) -> dict[str, NewBody | BodyRef]:
    bodies: dict[str, NewBody | BodyRef] = {
        "system": NewBody(TEXT, prompt.system.encode()),
        "prompt": NewBody(TEXT, prompt.user.encode()),
    }
    if prompt.schema is not None:
        bodies["schema"] = NewBody(JSON, prompt.schema)
    return bodies


@lru_cache(maxsize=64)
def _system_words(system: str) -> int:
    """Return the number of words; many prompts of a run have the same instructions."""
    return len(system.split())


def follow(
    state: RunState, attempts: Attempts, ask: Ask, *asked_by: int, climb: bool, held: TaskState | None = None
) -> Draft | Literal["reply", "exhausted"] | None:
    """Return what follows in one purpose's attempts.

    A draft; None while an attempt or a wait is under way; ``reply`` when a successful outcome is to be read;
    ``exhausted`` when nothing more will be tried. ``asked_by``: parents of a first call. ``climb``: go up the ladder
    after the last attempt of a rung (a task does not: its climb is an entry of its own).
    """
    rung, attempt = attempts.rung, attempts.attempt
    match attempts.progress:
        case "open" | "deferred":
            return None
        case "idle":
            if not may_call(state, attempts.purpose, held) or attempts.ladder[rung] == RULES:
                return "exhausted"
            return next_call(state, attempts, ask, *asked_by, attempts.cause, rung=rung, attempt=1, held=held)
        case "due" | "redo":
            if not may_call(state, attempts.purpose, held):
                return "exhausted"
            before = (
                (attempts.seq, attempts.cause)
                if attempts.progress == "due" and attempts.seq >= 0
                else (*asked_by, attempts.call_seq, attempts.cause)
            )
            return next_call(state, attempts, ask, *before, rung=rung, attempt=attempt + 1, held=held)
        case "refused":
            return repair(state, attempts, ask, state.refusal_seq, held=held)
        case "replied":
            if attempts.outcome is None or attempts.outcome.error is None:
                return "reply"
            return _after_failure(state, attempts, ask, attempts.outcome.error, climb=climb, held=held)


def _after_failure(
    state: RunState, attempts: Attempts, ask: Ask, error: str, *, climb: bool, held: TaskState | None
) -> Draft | Literal["exhausted"] | None:
    """Return what follows an outcome that is an error: the next of the rung, a wait, or the next rung."""
    spent = attempts.purpose == "task" and held is not None and done_once(state, held, error)
    if not spent and turns_left(state, attempts) and may_call(state, attempts.purpose, held):
        rung, attempt = attempts.rung, attempts.attempt
        return next_call(state, attempts, ask, attempts.seq, rung=rung, attempt=attempt + 1, held=held)
    wait_ms = None if spent else _retry_wait_ms(state, attempts)
    if wait_ms is not None:
        deferred = CallDeferred(
            call=attempts.call_seq,
            purpose=attempts.purpose,
            not_before_ms=state.t_ms + wait_ms,
            reason=error,
            task=held.plan.id if held is not None else None,
            seat=attempts.seat,
        )
        return draft("call.deferred", "engine", deferred, attempts.seq)
    return _climb(state, attempts, ask, attempts.seq, held=held) if climb else "exhausted"


def repair(
    state: RunState, attempts: Attempts, ask: Ask, *parents: int, held: TaskState | None = None
) -> Draft | Literal["exhausted"] | None:
    """Return the one call that shows the model its error, else the next rung's first call, else ``exhausted``."""
    if not may_call(state, attempts.purpose, held):
        return "exhausted"
    if not attempts.repaired:
        return next_call(
            state,
            attempts,
            ask,
            *parents,
            rung=attempts.rung,
            attempt=attempts.attempt + 1,
            held=held,
            again=True,
        )
    return _climb(state, attempts, ask, *parents, held=held)


def _climb(
    state: RunState, attempts: Attempts, ask: Ask, *parents: int, held: TaskState | None
) -> Draft | Literal["exhausted"] | None:
    rung = attempts.rung + 1
    if rung >= len(attempts.ladder) or attempts.ladder[rung] == RULES or not may_call(state, attempts.purpose, held):
        return "exhausted"
    return next_call(state, attempts, ask, *parents, rung=rung, attempt=1, held=held)


def _rate_wait(
    state: RunState, attempts: Attempts, name: str, terms: ExecutorTerms, held: TaskState | None
) -> Draft | None:
    """Return the wait until the executor takes a call again: its server asked for one, or its minute is full.

    A server's wait that is longer than a retry would wait, or than the run has left, is not taken: the attempt is made,
    and its outcome goes up the ladder. The operator's rate holds whatever is left; the run's time then ends the wait.
    """
    due_ms, cause = state.quiet.get(name, (0, -1))
    if due_ms > state.t_ms + _LONGEST_WAIT_MS or (state.limits.ms is not None and due_ms >= state.limits.ms):
        due_ms = 0
    recent = state.starts.get(name)
    if terms.per_minute is not None and recent is not None and len(recent) >= terms.per_minute:
        due_ms, cause = max((due_ms, cause), (recent[0][0] + _MINUTE_MS, recent[0][1]))
    if due_ms <= state.t_ms or attempts.progress not in _CAN_WAIT:
        return None
    task = held.plan.id if held is not None else None
    deferred = CallDeferred(
        call=cause, purpose=attempts.purpose, not_before_ms=due_ms, reason="rate", task=task, seat=attempts.seat
    )
    return draft("call.deferred", "engine", deferred, cause, attempts.cause)


def _retry_wait_ms(state: RunState, attempts: Attempts) -> int | None:
    """Return how long to wait before the same rung is tried again, or None when it is not."""
    outcome, terms = attempts.outcome, terms_of(state, attempts)
    if outcome is None or outcome.error not in TRANSIENT or terms.type == "host":
        return None
    if attempts.attempt >= terms.attempts or not may_call(state, attempts.purpose):
        return None
    wait = outcome.retry_after_ms
    if wait is None:
        wait = _BACKOFF_MS * 2 ** (attempts.attempt - 1)
    if wait > _LONGEST_WAIT_MS or (state.limits.ms is not None and state.t_ms + wait >= state.limits.ms):
        return None
    return wait
