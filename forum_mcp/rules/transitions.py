"""What entries about tasks, calls and handed-over work do to the state of a run.

PURE; the other half of ``state.py``, which is the way in.
"""

import heapq
from collections import deque
from collections.abc import Callable
from typing import Final

from forum_mcp.ledger.entry import Entry
from forum_mcp.ledger.kinds import call, gate, task
from forum_mcp.ledger.kinds.base import Payload
from forum_mcp.roles.fence import cap
from forum_mcp.rules import reuse
from forum_mcp.rules.agenda import touch
from forum_mcp.rules.budget import day_of
from forum_mcp.rules.checks import outside_checks
from forum_mcp.rules.gates import admit, on_opened, on_resolved
from forum_mcp.rules.ladder import judges
from forum_mcp.rules.policy import Policy
from forum_mcp.rules.run import CONTEXT, Attempts, OpenCall, RunState, TaskState, TaskStatus, Timer, done_once
from forum_mcp.rules.sketch import sketch

__all__ = ["FLOW_CHARS", "HANDLERS", "Bodies", "Handler", "attempts_of", "settle_spend", "text_of"]

FLOW_CHARS: Final = 65_536
"""Most characters of a settled output that flow on, with a line that says what is left out; the record keeps it all."""

Bodies = Callable[[str], bytes | None]
"""Name of a body of the entry -> its plain bytes, or None when it is gone."""

Handler = tuple[type[Payload], Callable[..., None]]
"""The shape of a kind's data, and what an entry of it does: (state, entry, payload, bodies)."""


def text_of(state: RunState, bodies: Bodies, name: str) -> str:
    """Return a body as text; a body that is gone makes the state incomplete."""
    data = bodies(name)
    if data is None:
        state.incomplete = True
        return ""
    return data.decode("utf-8", "replace")


def attempts_of(state: RunState, purpose: str, name: str | None, seat: int = 0) -> Attempts | None:
    """Return the attempts of a purpose (and task, and seat), or None for one the run does not have."""
    match purpose:
        case "plan":
            return state.planning
        case "synthesize":
            return state.answering
        case "classify":
            return state.classifying
        case "judge":
            return state.review.judging
        case "revise":
            return state.review.revising
        case "verify":
            return state.review.verifying
        case _ if purpose.startswith(CONTEXT):
            provider = state.contexts.get(purpose.removeprefix(CONTEXT))
            return provider.attempts if provider is not None else None
        case _:
            held = state.tasks.get(name or "")
            if held is None:
                return None
            return _attempts_of_task(held, purpose, seat)


def _attempts_of_task(held: TaskState, purpose: str, seat: int) -> Attempts | None:
    match purpose:
        case "validate":
            return held.verdict_calls
        case "check" | "panel":
            seats = held.checking if purpose == "check" else held.panel
            return seats[seat] if 0 <= seat < len(seats) else None
        case _:
            return held.work


def _task_at(state: RunState, name: str, *statuses: TaskStatus) -> TaskState | None:
    """Return the task if it stands where an entry about it fits."""
    held = state.tasks.get(name)
    return held if held is not None and held.status in statuses else None


def _task_started(state: RunState, entry: Entry, data: task.TaskStarted, _: Bodies) -> None:
    held = _task_at(state, data.task, "ready")
    if held is None:
        return
    if state.ready and state.ready[0][1] == data.task:
        heapq.heappop(state.ready)
    held.status, held.n, held.started_seq = "working", data.n, entry.seq
    held.work = Attempts("task", held.work.ladder, cause=entry.seq)
    instruction, criteria = entry.bodies.get("instruction"), entry.bodies.get("done_when")
    held.instruction_commit = "" if instruction is None else instruction.commit
    held.criteria_commit = None if criteria is None else criteria.commit
    state.slots += 1
    touch(state, held)


def _task_finished(state: RunState, entry: Entry, data: task.TaskFinished, _: Bodies) -> None:
    held = _task_at(state, data.task, "working", "retiring")
    if held is None:
        return
    held.outcome_seq, held.error = entry.seq, data.error
    if held.status == "retiring":
        _settle(state, held, "failed", entry.seq)
    elif data.error is None:
        held.output, held.output_ref = held.work.reply, entry.bodies.get("output")
        held.status, held.found = "judging", None
        _seat_judges(state, held, entry.seq)
        touch(state, held)
    else:
        _retire(state, held, entry.seq)


def _task_recalled(state: RunState, entry: Entry, data: task.TaskRecalled, bodies: Bodies) -> None:
    if _task_at(state, data.task, "working") is None:
        return
    output = bodies("output")
    state.incomplete |= output is None and "output" in entry.bodies
    reuse.on_recalled(state, entry, data, None if output is None else output.decode("utf-8", "replace"))


def _task_reused(state: RunState, entry: Entry, data: task.TaskReused, _: Bodies) -> None:
    held = _task_at(state, data.task, "working")
    if held is not None:
        reuse.take(state, held, entry, data)
        held.output = cap(held.output, FLOW_CHARS)
        state.result_chars += len(held.output)
        _settle(state, held, "ok", entry.seq)


def _seat_judges(state: RunState, held: TaskState, seq: int) -> None:
    """Give everybody who may be asked about the result attempts of their own."""
    contract, lane = state.contract, held.plan.lane
    assert contract is not None
    ladder, barred = judges(contract, contract.ladder("validator", lane), held)
    held.verdict_calls = Attempts("validate", ladder, cause=seq, barred=barred)
    runners = outside_checks(contract, held.plan).values()
    held.checking = [Attempts("check", [name], cause=seq, seat=seat) for seat, name in enumerate(runners)]
    held.panel = []
    if contract.steps.panel:
        for name in contract.roles.get("panelists", []):
            left, barred = judges(contract, [name], held)
            if left:
                held.panel.append(Attempts("panel", left, cause=seq, barred=barred, seat=len(held.panel)))


def _task_judged(state: RunState, entry: Entry, data: task.TaskJudged, bodies: Bodies) -> None:
    held = _task_at(state, data.task, "judging")
    if held is None:
        return
    held.verdict = data.verdict
    if "reason" in entry.bodies:
        held.reason = text_of(state, bodies, "reason")
    if data.ok:
        held.output = cap(held.output, FLOW_CHARS)
        state.result_chars += len(held.output)
        _settle(state, held, "ok", entry.seq)
    elif data.stop is not None or (data.verdict == "undecided" and _policy(state).undecided == "fail"):
        held.error = data.stop
        _settle(state, held, "failed", entry.seq)
    else:
        _retire(state, held, entry.seq)


def _policy(state: RunState) -> Policy:
    return state.contract.policy if state.contract is not None else Policy()


def _retire(state: RunState, held: TaskState, seq: int) -> None:
    """End the rung: up the ladder while there is one and the task may run again, settled as failed when not."""
    reasons = _policy(state).escalate_on
    again = not done_once(state, held, held.error) and (not reasons or (held.error or "verdict") in reasons)
    if again and held.work.rung + 1 < len(held.work.ladder) and state.stopped is None:
        held.status, held.work.cause = "retiring", seq
        if held.error is None:
            held.refused.append((seq, sketch(held.output)))
        touch(state, held)
    else:
        _settle(state, held, "failed", seq)


def _task_escalated(state: RunState, entry: Entry, data: task.TaskEscalated, _: Bodies) -> None:
    held = _task_at(state, data.task, "retiring")
    if held is None or not 0 <= data.rung < len(held.work.ladder):
        return
    held.objection = held.reason
    held.status, held.verdict, held.error, held.reason = "working", None, None, None
    held.work = Attempts("task", held.work.ladder, rung=data.rung, cause=entry.seq)
    touch(state, held)


def _task_skipped(state: RunState, entry: Entry, data: task.TaskSkipped, _: Bodies) -> None:
    held = _task_at(state, data.task, "doomed")
    if held is not None:
        held.because, held.upstream = data.because, data.upstream
        _settle(state, held, "skipped", entry.seq)


def _settle(state: RunState, held: TaskState, status: TaskStatus, seq: int) -> None:
    if held.status in ("working", "judging", "retiring"):
        state.slots -= 1
    held.status, held.settled_seq = status, seq
    for each in (held.work, held.verdict_calls, *held.checking, *held.panel):
        each.reply = ""
    held.found = None
    held.refused.clear()
    state.unsettled -= 1
    state.unsettled_in[held.wave] -= 1
    if state.unsettled_in[held.wave] == 0:
        state.wave_seq = seq
    touch(state, held)
    for name in held.dependants:
        follower = state.tasks[name]
        if status == "ok":
            follower.waits_for -= 1
            if follower.waits_for == 0 and follower.status == "pending":
                admit(state, follower)
        elif follower.status == "pending":
            follower.status, follower.because, follower.upstream = "doomed", "upstream", held.plan.id
            touch(state, follower)
    if state.unsettled == 0 and state.phase == "tasks":
        state.phase = "answer"


def _call_started(state: RunState, entry: Entry, data: call.CallStarted, _: Bodies) -> None:
    barred = state.contract is not None and state.contract.bars(data.egress)
    kind = "barred" if barred else data.type
    state.open[entry.seq] = OpenCall(
        entry.seq, data.purpose, data.task, data.executor, kind, data.reserve, seat=data.seat, day=day_of(entry.at)
    )
    _mark_start(state, entry.seq, data.executor)
    if kind == "host":
        state.unoffered.append(entry.seq)
    held = state.tasks.get(data.task or "")
    attempts = attempts_of(state, data.purpose, data.task, data.seat)
    if attempts is None or attempts.progress == "open" or not 0 <= data.rung < len(attempts.ladder):
        return
    if held is not None and data.purpose == "task":
        held.calls += 1
        held.executor, held.served = data.executor, data.model
    attempts.repaired = data.repair or (attempts.repaired and attempts.rung == data.rung)
    attempts.rung, attempts.attempt, attempts.words = data.rung, data.attempt, data.words
    attempts.progress, attempts.call_seq = "open", entry.seq
    touch(state, held)


def _call_finished(state: RunState, entry: Entry, data: call.CallFinished, bodies: Bodies) -> None:
    done = state.open.pop(data.call, None)
    if done is None:
        return
    held = state.tasks.get(done.task or "")
    settle_spend(state, done, data)
    if data.error == "rate-limit" and data.retry_after_ms is not None:
        state.quiet[done.executor] = (state.t_ms + data.retry_after_ms, done.seq)
    attempts = attempts_of(state, done.purpose, done.task, done.seat)
    if attempts is None or attempts.call_seq != data.call:
        return
    if held is not None and done.purpose == "task" and data.served_model is not None:
        held.served = data.served_model
    attempts.seq, attempts.outcome = entry.seq, data
    attempts.reply_ref = entry.bodies.get("reply")
    attempts.reply = "" if attempts.reply_ref is None else text_of(state, bodies, "reply")
    if data.error in ("interrupted", "in-doubt"):
        attempts.progress, attempts.cause = "redo", entry.seq
    else:
        attempts.progress = "replied"
    touch(state, held)


def _mark_start(state: RunState, seq: int, executor: str) -> None:
    terms = state.contract.executors.get(executor) if state.contract is not None else None
    if terms is not None and terms.per_minute is not None:
        state.starts.setdefault(executor, deque(maxlen=terms.per_minute)).append((state.t_ms, seq))


def settle_spend(state: RunState, done: OpenCall, data: call.CallFinished | None) -> None:
    """Settle a call: with what its outcome tells, and with its reservation where it tells nothing or there is none."""
    if done.purpose.startswith(CONTEXT):
        return
    held = state.tasks.get(done.task or "")
    for spend in (state.spend,) if held is None else (state.spend, held.spend):
        spend.calls += done.reserve.calls or 0
        if data is None or data.tokens_in is None or data.tokens_out is None:
            told = 0 if data is None else (data.tokens_in or 0) + (data.tokens_out or 0)
            spend.tokens += max(told, done.reserve.tokens or 0)
            spend.tokens_known = False
        else:
            spend.tokens += max(0, data.tokens_in) + max(0, data.tokens_out)
        if data is None or data.cost_microusd is None:
            spend.microusd += done.reserve.microusd or 0
            spend.cost_known = False
        else:
            spend.microusd += max(0, data.cost_microusd)


def _call_deferred(state: RunState, entry: Entry, data: call.CallDeferred, _: Bodies) -> None:
    attempts = attempts_of(state, data.purpose, data.task, data.seat)
    if attempts is None or attempts.progress in ("open", "deferred", "refused"):
        return
    state.timers[entry.seq] = Timer(data.not_before_ms, data.purpose, data.task, data.seat)
    attempts.progress = "deferred"
    touch(state, state.tasks.get(data.task or ""))


def _gate_opened(state: RunState, entry: Entry, data: gate.GateOpened, _: Bodies) -> None:
    on_opened(state, entry, data)


def _gate_resolved(state: RunState, entry: Entry, data: gate.GateResolved, _: Bodies) -> None:
    on_resolved(state, entry, data)


def _work_offered(state: RunState, entry: Entry, data: call.WorkOffered, _: Bodies) -> None:
    if state.unoffered and state.unoffered[0] == data.call:
        state.unoffered.popleft()
    if (item := state.open.get(data.call)) is not None:
        item.offered_seq = entry.seq


def _work_taken(state: RunState, entry: Entry, data: call.WorkTaken | call.WorkProgressed, _: Bodies) -> None:
    if (item := state.open.get(data.call)) is not None:
        item.taken_seq, item.taken_by, item.lease_until_us = entry.seq, entry.actor, data.lease_until_us


def _work_expired(state: RunState, _entry: Entry, data: call.WorkExpired, _: Bodies) -> None:
    if (item := state.open.get(data.call)) is not None:
        item.taken_seq, item.taken_by, item.lease_until_us = -1, "", 0


HANDLERS: Final[dict[str, Handler]] = {
    "task.started": (task.TaskStarted, _task_started),
    "task.recalled": (task.TaskRecalled, _task_recalled),
    "task.reused": (task.TaskReused, _task_reused),
    "task.finished": (task.TaskFinished, _task_finished),
    "task.judged": (task.TaskJudged, _task_judged),
    "task.escalated": (task.TaskEscalated, _task_escalated),
    "task.skipped": (task.TaskSkipped, _task_skipped),
    "call.started": (call.CallStarted, _call_started),
    "call.finished": (call.CallFinished, _call_finished),
    "call.deferred": (call.CallDeferred, _call_deferred),
    "gate.opened": (gate.GateOpened, _gate_opened),
    "gate.resolved": (gate.GateResolved, _gate_resolved),
    "work.offered": (call.WorkOffered, _work_offered),
    "work.taken": (call.WorkTaken, _work_taken),
    "work.progressed": (call.WorkProgressed, _work_taken),
    "work.expired": (call.WorkExpired, _work_expired),
}
