"""Views of runs, made from their states."""

from typing import Final

import msgspec

from forum_mcp.engine.grounds import TEXT_GONE, is_stuck
from forum_mcp.engine.leases import is_alive
from forum_mcp.engine.views import Candidate, ContextView, Next, Review, RouteView, RunLine, RunView, Spent, TaskView
from forum_mcp.ledger.entry import BodyRef, RunId
from forum_mcp.ledger.kinds.run import RunFinished
from forum_mcp.rules.policy import Policy, refusal
from forum_mcp.rules.roster import Roster
from forum_mcp.rules.routing import Route
from forum_mcp.rules.run import RunState, TaskState
from forum_mcp.stores.base import Lease, RunRow, Store

__all__ = ["finished_line", "is_live", "is_over", "roster_rows", "route_view", "run_line", "run_state", "run_view"]

_REQUEST_CHARS: Final = 4_000
_LINE_CHARS: Final = 120
_SAID_CHARS: Final = 200
_STATES: Final = {
    "pending": "pending",
    "ready": "pending",
    "gated": "waiting",
    "doomed": "pending",
    "working": "running",
    "judging": "running",
    "retiring": "running",
    "ok": "succeeded",
    "failed": "failed",
    "skipped": "skipped",
}


def is_live(lease: Lease | None, now_us: int) -> bool:
    """Tell whether some process holds the run at this moment."""
    return lease is not None and lease.expires_us > now_us and is_alive(lease.holder)


def run_state(state: RunState, *, live: bool) -> str:
    """Return the run's state in one word."""
    if state.end is not None:
        return state.end
    if state.phase == "rest":
        return "waiting"
    if (
        state.cancelled_seq < 0
        and (state.open or state.gates)
        and all(item.type == "host" for item in state.open.values())
        and not state.timers
    ):
        return "waiting"
    return "running" if live else "interrupted"


def route_view(found: Route, roster: Roster) -> RouteView:
    """Return the view of a route."""
    lane = roster.lanes[found.chosen]
    return RouteView(
        lane=found.lane,
        chosen=found.chosen,
        category=lane.category,
        tier=lane.tier,
        confidence=found.confidence_ppm / 1_000_000,
        margin=found.margin_ppm / 1_000_000,
        candidates=[
            Candidate(lane=each.lane, score=each.score_ppm / 1_000_000, terms=list(each.terms))
            for each in found.candidates
        ],
    )


def roster_rows(roster: Roster, policy: Policy) -> list[dict[str, object]]:
    """Return the lanes of a roster as they are shown, and whether the policy permits them."""
    return [
        {
            "name": lane.name,
            "category": lane.category,
            "tier": lane.tier,
            "description": lane.description,
            "keywords": list(lane.keywords),
            "permitted": refusal(policy, lane) is None,
        }
        for lane in roster.lanes.values()
    ]


def run_line(state: RunState, *, live: bool) -> RunLine:
    """Return a run's line in a list."""
    word = run_state(state, live=live)
    return _line(state.run, word, state.started_us, [state.started_seq, state.last_seq], state.request)


def finished_line(store: Store, row: RunRow) -> RunLine | None:
    """Return the line of a run whose newest entry says that it is over, whatever its size; None for any other."""
    end = _end(store, row.run)
    if end is None:
        return None
    started = store.entry(row.first_seq).entry
    request = _text(store, started.bodies.get("request")) or ""
    return _line(row.run, end[1].state, started.at, [row.first_seq, end[0]], request)


def is_over(store: Store, run: RunId) -> bool:
    """Tell whether the newest entry of a run says that it is over."""
    return _end(store, run) is not None


def _end(store: Store, run: RunId) -> tuple[int, RunFinished] | None:
    """Return the newest entry of a run, seq and payload, when it is its end."""
    newest = store.newest(run)
    last = None if newest is None else store.entry(newest).entry
    if last is None or last.kind != "run.finished":
        return None
    try:
        return last.seq, msgspec.convert(last.data, RunFinished)
    except msgspec.ValidationError:  # appended by hand: the fold passes over it
        return None


def _line(run: RunId, word: str, started_us: int, entries: list[int], request: str) -> RunLine:
    request = " ".join(request.split())
    return RunLine(
        run_id=run,
        state=word,
        started_us=started_us,
        entries=entries,
        request=request if len(request) <= _LINE_CHARS else request[: _LINE_CHARS - 3] + "...",
    )


def run_view(store: Store, state: RunState, *, live: bool, checkpoint: str | None) -> RunView:
    """Return the full view of a run."""
    word = run_state(state, live=live)
    spend = state.spend
    return RunView(
        run_id=state.run,
        state=word,
        mode=state.mode,
        lane=state.lane or None,
        route_by=state.route_by,
        plan_by=state.plan_by,
        tasks=[_task_view(store, state, held, word) for held in state.tasks.values()],
        waves=[list(wave) for wave in state.plan.waves] if state.plan is not None else [],
        answer=_text(store, state.answer_ref),
        unvalidated=[name for name, held in state.tasks.items() if held.status == "ok" and held.verdict == "undecided"],
        failed=[name for name, held in state.tasks.items() if held.status == "failed"],
        skipped=[name for name, held in state.tasks.items() if held.status == "skipped"],
        spent=Spent(
            calls=spend.calls,
            seconds=state.t_ms / 1000,
            tokens=spend.tokens if spend.tokens_known else None,
            cost_usd=spend.microusd / 1_000_000 if spend.cost_known else None,
        ),
        error=TEXT_GONE if word == "interrupted" and is_stuck(state) else state.error,
        entries=[state.started_seq, state.last_seq],
        next=_next(state, word),
        checkpoint=checkpoint,
        request=state.request[:_REQUEST_CHARS],
        context=[
            ContextView(name=name, entry=held.seq if held.seq >= 0 else None, chars=held.chars, error=held.error)
            for name, held in state.contexts.items()
        ],
        review=_review(state),
        gates=[] if state.phase == "finished" else list(state.gates),
    )


def _review(state: RunState) -> Review | None:
    steps = state.contract.steps if state.contract is not None else None
    if steps is None or not (steps.intent or steps.delivery or steps.verification):
        return None
    found = state.review
    return Review(
        intent=found.intent,
        intent_reason=found.intent_reason,
        missing=found.missing,
        delivery=found.faults,
        revised=found.revised,
        verified=found.verified,
        verified_reason=found.verified_reason,
    )


def _task_view(store: Store, state: RunState, held: TaskState, run_word: str) -> TaskView:
    word = _STATES[held.status]
    if word in ("pending", "running") and run_word == "cancelled":
        word = "cancelled"
    elif word == "running" and any(item.task == held.plan.id and item.type == "host" for item in state.open.values()):
        word = "waiting"
    return TaskView(
        id=held.plan.id,
        lane=held.plan.lane,
        state=word,
        instruction=held.plan.instruction,
        depends_on=[edge.id for edge in held.plan.depends_on],
        wave=held.wave,
        attempts=held.calls,
        verdict=held.verdict,
        error=held.error or (held.because or None),
        executor=held.executor,
        served=held.served,
        reason=_failure(store, held) if held.error is not None and held.reason is None else held.reason,
    )


def _failure(store: Store, held: TaskState) -> str | None:
    """Return what the last call of a failed task says of its failure, in its executor's words."""
    if held.outcome_seq < 0:
        return None
    for seq in reversed(store.entry(held.outcome_seq).entry.parents):
        call = store.entry(seq).entry
        if call.kind == "call.finished":
            said = _text(store, call.bodies.get("stderr")) or ""
            words = ((_text(store, call.bodies.get("detail")) or "")[:_SAID_CHARS], said.strip()[-_SAID_CHARS:])
            return ": ".join(filter(None, words)) or None
    return None


def _text(store: Store, ref: BodyRef | None) -> str | None:
    body = store.body(ref.commit) if ref is not None else None
    return None if body is None else body.data.decode("utf-8", "replace")


def _next(state: RunState, word: str) -> Next | None:
    run: str = state.run
    match word:
        case "running":
            return Next(tool="run", arguments={"run_id": run, "wait_s": 45})
        case "interrupted":
            action = "cancel" if is_stuck(state) else "resume"
            return Next(tool="run_control", arguments={"run_id": run, "action": action})
        case "waiting" if state.phase == "rest":
            return Next(tool="submit", arguments={"run_id": run})
        case "waiting" if state.gates and not state.open:
            return Next(tool="run", arguments={"run_id": run, "wait_s": 45})
        case "waiting":
            return Next(tool="work", arguments={"action": "next", "run_id": run})
        case _:
            return None
