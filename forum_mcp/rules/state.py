"""From entries to the state of a run: ``evolve`` takes one entry, ``fold`` takes them all.

PURE. The state is a function of the run's entries and the bodies they name, nothing else; resume, replay and
verification all build it here. ``evolve`` owns the state it is given: it changes it in place and returns it, and the
caller uses only what is returned.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from forum_mcp.errors import PlanRefused, RosterRefused
from forum_mcp.ledger.canonical import UNREADABLE
from forum_mcp.ledger.entry import Entry, RunId
from forum_mcp.ledger.kinds import plan as planning
from forum_mcp.ledger.kinds import run
from forum_mcp.rules.agenda import touch
from forum_mcp.rules.context import HANDLERS as CONTEXT_HANDLERS
from forum_mcp.rules.context import begin, read_again
from forum_mcp.rules.contract import RULES, Contract
from forum_mcp.rules.gates import admit, expire
from forum_mcp.rules.lanes import Roster
from forum_mcp.rules.plan import from_json
from forum_mcp.rules.reviewing import HANDLERS as REVIEW_HANDLERS
from forum_mcp.rules.reviewing import bind
from forum_mcp.rules.run import Attempts, RunState, TaskState
from forum_mcp.rules.transitions import HANDLERS, Bodies, Handler, attempts_of, settle_spend, text_of

__all__ = ["VERSION", "evolve", "fold"]

VERSION: Final = 1


def fold(run_id: RunId, entries: Iterable[tuple[Entry, Bodies]]) -> RunState:
    """Return the state after the run's entries, oldest first."""
    state = RunState(run_id)
    for entry, bodies in entries:
        state = evolve(state, entry, bodies)
    return state


def evolve(state: RunState, entry: Entry, bodies: Bodies) -> RunState:
    """Return the state after one more entry of the run.

    An entry whose kind is unknown, whose data does not have the kind's shape, or which does not fit where the run
    stands, changes nothing but the position: a damaged or forged record is folded as far as it goes and never raises.
    Nor does it make the state ``incomplete``, or one such entry would excuse every decision after it.
    """
    state.last_seq, state.at_us = entry.seq, max(state.at_us, entry.at)
    t_ms = entry.data.get("t_ms")
    if isinstance(t_ms, int):
        state.t_ms = max(state.t_ms, t_ms)
    row = _HANDLERS.get(entry.kind)
    if row is not None:
        shape, handler = row
        try:
            payload = msgspec.convert(entry.data, shape)
        except msgspec.ValidationError:
            if entry.kind == "run.started" and state.started_seq < 0:
                state.incomplete = True
                state.started_seq, state.started_us = entry.seq, entry.at
        else:
            handler(state, entry, payload, bodies)
    return state


def _run_started(state: RunState, entry: Entry, data: run.RunStarted, bodies: Bodies) -> None:
    if state.started_seq >= 0:
        return
    state.started_seq = entry.seq
    state.started_us = entry.at
    state.fence, state.seed, state.mode = data.fence, data.seed, data.mode
    state.rules, state.environment = data.rules, data.environment
    state.limits, state.given_lane, state.fork_of = data.limits, data.lane, data.fork
    state.request = text_of(state, bodies, "request")
    state.request_ref = entry.bodies.get("request")
    if "plan" in entry.bodies:
        state.given_plan = bodies("plan")
        state.incomplete |= state.given_plan is None
    contract, roster = bodies("contract"), bodies("roster")
    if contract is None or roster is None:
        state.incomplete = True
        return
    try:
        terms, lanes = Contract.from_json(contract), Roster.from_json(roster)
    except (*UNREADABLE, RosterRefused):
        state.incomplete = True
        return
    if not all(terms.roles.get(role) for role in ("coordinator", "worker", "validator", "synthesizer")) or not (
        terms.named() <= {RULES, *terms.executors}
    ):
        state.incomplete = True
        return
    state.contract, state.roster = terms, lanes
    state.planning.ladder, state.answering.ladder = terms.roles["coordinator"], terms.roles["synthesizer"]
    state.classifying.ladder = terms.roles.get("classifier") or [RULES]
    bind(state.review, terms.roles)
    begin(state, terms)


def _run_resumed(state: RunState, entry: Entry, data: run.RunResumed, _: Bodies) -> None:
    state.fence, state.resumed_seq = data.fence, entry.seq
    if data.mode is not None:
        state.mode = data.mode
        if state.phase == "rest" and data.mode == "submit":
            state.phase = "context" if read_again(state, entry.seq) else "tasks"
    for seq in data.in_doubt:
        lost = state.open.pop(seq, None)
        if lost is None:
            continue
        settle_spend(state, lost, None)
        attempts = attempts_of(state, lost.purpose, lost.task, lost.seat)
        if attempts is not None and attempts.call_seq == seq:
            attempts.progress, attempts.cause, attempts.outcome = "redo", entry.seq, None
        touch(state, state.tasks.get(lost.task or ""))


def _run_cancelled(state: RunState, entry: Entry, _data: run.RunCancelled, _: Bodies) -> None:
    if state.cancelled_seq < 0:
        state.cancelled_seq = entry.seq


def _timer_fired(state: RunState, entry: Entry, _data: run.TimerFired, _: Bodies) -> None:
    for parent in entry.parents:
        expire(state, parent, entry)
        if parent == state.started_seq:
            state.time_up = True
        if parent in state.timers:
            _end_wait(state, parent, entry)


def _end_wait(state: RunState, seq: int, entry: Entry) -> None:
    """Let what waits since the entry ``seq`` go on, because of ``entry``."""
    timer = state.timers.pop(seq)
    attempts = attempts_of(state, timer.purpose, timer.task, timer.seat)
    if attempts is not None and attempts.progress == "deferred":
        attempts.progress, attempts.cause = "due", entry.seq
    touch(state, state.tasks.get(timer.task or ""))


def _budget_stopped(state: RunState, entry: Entry, data: run.BudgetStopped, _: Bodies) -> None:
    state.stopped, state.stopped_seq = data.currency, entry.seq
    for seq, timer in list(state.timers.items()):  # nobody waits for a call that is not made any more
        if data.currency == "ms" or timer.purpose != "synthesize":
            _end_wait(state, seq, entry)
    for held in state.tasks.values():
        if held.status in ("pending", "gated", "ready"):
            held.status, held.because = "doomed", "budget"
            touch(state, held)
    state.ready.clear()
    state.gated.clear()


def _run_finished(state: RunState, entry: Entry, data: run.RunFinished, _: Bodies) -> None:
    state.phase, state.end, state.error, state.finished_seq = "finished", data.state, data.error, entry.seq


def _route_decided(state: RunState, entry: Entry, data: planning.RouteDecided, _: Bodies) -> None:
    if state.phase != "route" or state.roster is None or data.chosen not in state.roster.lanes:
        return
    state.lane, state.route_lane, state.route_by = data.chosen, data.lane, data.by
    state.route_seq, state.phase = entry.seq, "context" if state.contexts else "plan"


def _plan_rejected(state: RunState, entry: Entry, data: planning.PlanRejected, bodies: Bodies) -> None:
    if state.phase != "plan":
        return
    state.refusal_seq = entry.seq
    if data.by == "coordinator":
        state.planning.progress = "refused"
        state.planning.problem = text_of(state, bodies, "problem")
    else:
        state.phase, state.error = "seal", "plan-refused"


def _plan_accepted(state: RunState, entry: Entry, data: planning.PlanAccepted, bodies: Bodies) -> None:
    if state.phase != "plan":
        return
    state.plan_seq, state.plan_by = entry.seq, data.by
    state.phase = "rest" if state.mode == "plan" else "tasks"
    recorded = bodies("plan")
    if recorded is None or state.contract is None or state.roster is None:
        state.incomplete = True
        return
    try:
        plan = from_json(recorded)
    except (*UNREADABLE, PlanRefused):
        state.incomplete = True
        return
    if any(planned.lane not in state.roster.lanes for planned in plan.tasks):
        state.incomplete = True
        return
    state.plan = plan
    wave_of = {name: index for index, wave in enumerate(plan.waves) for name in wave}
    for index, planned in enumerate(plan.tasks):
        state.tasks[planned.id] = TaskState(
            plan=planned,
            index=index,
            wave=wave_of[planned.id],
            work=Attempts("task", state.contract.ladder("worker", planned.lane)),
            verdict_calls=Attempts("validate", state.contract.ladder("validator", planned.lane)),
            waits_for=len(planned.depends_on),
        )
    for held in state.tasks.values():
        for edge in held.plan.depends_on:
            state.tasks[edge.id].dependants.append(held.plan.id)
        if held.waits_for == 0:
            admit(state, held)
    state.unsettled = len(state.tasks)
    state.unsettled_in = [len(wave) for wave in plan.waves]
    if state.stopped is not None:
        for held in state.tasks.values():
            held.status, held.because = "doomed", "budget"
            touch(state, held)
        state.ready.clear()


_HANDLERS: Final[dict[str, Handler]] = {
    **HANDLERS,
    **REVIEW_HANDLERS,
    **CONTEXT_HANDLERS,
    "run.started": (run.RunStarted, _run_started),
    "run.resumed": (run.RunResumed, _run_resumed),
    "run.cancelled": (run.RunCancelled, _run_cancelled),
    "run.finished": (run.RunFinished, _run_finished),
    "timer.fired": (run.TimerFired, _timer_fired),
    "budget.stopped": (run.BudgetStopped, _budget_stopped),
    "route.decided": (planning.RouteDecided, _route_decided),
    "plan.accepted": (planning.PlanAccepted, _plan_accepted),
    "plan.rejected": (planning.PlanRejected, _plan_rejected),
}
