"""From an accepted plan to settled tasks: the decisions of the phase ``tasks``.

There is no wave barrier: a task starts as soon as its own dependencies are settled ok and a slot is free; its verdict
is given in the same slot.
"""

from typing import Final

from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds.base import Payload
from forum_mcp.ledger.kinds.task import TaskEscalated, TaskFinished, TaskSkipped, TaskStarted
from forum_mcp.roles import worker
from forum_mcp.roles.prompt import Prompt
from forum_mcp.rules.budget import spent_up
from forum_mcp.rules.calls import TEXT, draft, follow, may_call, terms_of
from forum_mcp.rules.checks import criteria_of
from forum_mcp.rules.context import fitting, with_context
from forum_mcp.rules.gates import before, in_doubt, unmet
from forum_mcp.rules.ladder import executor_for
from forum_mcp.rules.reuse import reused, waits_for_recall
from forum_mcp.rules.run import RunState, TaskState, effects_of
from forum_mcp.rules.verdicts import decide_verdict

__all__ = ["VERSION", "decide_task"]

VERSION: Final = 1


def decide_task(state: RunState) -> Draft | None:
    """Return the next decision about a task under way, else the start of a ready one."""
    for name in state.agenda:
        found = _go_on(state, state.tasks[name])
        if found is not None:
            return found
    return _start(state)


def _go_on(state: RunState, held: TaskState) -> Draft | None:
    match held.status:
        case "doomed":
            because = state.tasks[held.upstream].settled_seq if held.upstream is not None else state.stopped_seq
            because = held.doomed_by if held.doomed_by >= 0 else because
            return draft(
                "task.skipped",
                "engine",
                TaskSkipped(task=held.plan.id, because=held.because, upstream=held.upstream),
                because if because >= 0 else state.plan_seq,
            )
        case "working":
            return _work(state, held)
        case "judging":
            return decide_verdict(state, held)
        case "retiring":
            if not may_call(state, "task", held):
                return _finished(held, "budget", state.stopped_seq)
            rung = held.work.rung + 1
            escalated = TaskEscalated(task=held.plan.id, n=held.n, rung=rung, because=held.error or "verdict")
            return draft("task.escalated", "engine", escalated, held.work.cause)
        case _:
            return None


def _work(state: RunState, held: TaskState) -> Draft | None:
    if waits_for_recall(state, held):
        return None
    if (known := reused(state, held)) is not None:
        return known
    if held.work.progress == "redo" and effects_of(state, held) == "once":
        asked = in_doubt(state, held)
        if asked == "never" or state.stopped is not None:
            return _finished(held, "in-doubt", held.work.cause)
        if asked != "again":
            return asked
    found = follow(state, held.work, lambda mark: _ask(state, held, mark), climb=False, held=held)
    if found == "reply":
        if held.work.reply_ref is None:
            return _finished(held, "empty-reply", held.work.seq)
        finished = TaskFinished(task=held.plan.id, n=held.n, rung=held.work.rung)
        return _record("task.finished", finished, held.work.seq, output=held.work.reply_ref)
    if found == "exhausted":
        outcome = held.work.outcome
        error = outcome.error if outcome is not None and outcome.error is not None else "budget"
        return _finished(held, error, held.work.seq if outcome is not None else state.stopped_seq)
    return found


def _finished(held: TaskState, error: str, because: int) -> Draft:
    failed = TaskFinished(task=held.plan.id, n=held.n, rung=held.work.rung, error=error)
    return draft("task.finished", "engine", failed, held.started_seq, because)


def _record(kind: str, payload: Payload, parent: int, *, output: BodyRef) -> Draft:
    return draft(kind, "engine", payload, parent, bodies={"output": output})


def _start(state: RunState) -> Draft | None:
    assert state.contract is not None
    if not state.ready or state.slots >= state.contract.max_parallel:
        return None
    held = state.tasks[state.ready[0][1]]
    if executor_for(state, held.work, 0, 1, held) is None:
        return None
    if (need := unmet(state, held)) is not None:
        return before(state, held, need)
    upstream = tuple(state.tasks[edge.id].settled_seq for edge in held.plan.depends_on)[:255]
    refused = spent_up(state, "task")
    if refused is not None:
        return draft("budget.stopped", "engine", refused, state.plan_seq, *upstream)
    bodies: dict[str, NewBody | BodyRef] = {"instruction": NewBody(TEXT, held.plan.instruction.encode())}
    if criteria := criteria_of(state.contract, held.plan):
        bodies["done_when"] = NewBody(TEXT, "\n".join(criteria).encode())
    started = TaskStarted(task=held.plan.id, n=held.n + 1, lane=held.plan.lane)
    return draft("task.started", "engine", started, state.plan_seq, *upstream, bodies=bodies)


def _ask(state: RunState, held: TaskState, mark: str) -> Prompt:
    assert state.roster is not None
    assert state.plan is not None
    assert state.contract is not None
    planned = held.plan
    lane = state.roster.lanes[planned.lane]
    context = fitting(state, lane.name, planned.context)
    prompt = worker.ask(
        planned.instruction,
        lane=lane.name,
        lane_description=lane.description,
        request=state.request if len(state.plan.tasks) > 1 else None,
        done_when=criteria_of(state.contract, planned),
        inputs=[(edge.id, state.tasks[edge.id].output) for edge in planned.depends_on if edge.type == "data"],
        schema=planned.schema,
        objection=held.objection,
        mark=mark,
        limit=terms_of(state, held.work).input_bytes,
        context=[(name, text) for name, text, _ in context],
    )
    return with_context(prompt, context)
