"""From a request to an accepted plan: the decisions of the phases ``route`` and ``plan``."""

from typing import Final

from forum_mcp.errors import PlanRefused
from forum_mcp.ledger.entry import Draft, NewBody
from forum_mcp.ledger.kinds.plan import PlanAccepted, PlanRejected, RouteDecided
from forum_mcp.roles import coordinator
from forum_mcp.roles.classifier import LaneReply
from forum_mcp.roles.coordinator import PlanReply
from forum_mcp.roles.prompt import Prompt
from forum_mcp.roles.reply import Unusable
from forum_mcp.rules import plan as plans
from forum_mcp.rules.calls import JSON, TEXT, draft, follow, terms_of
from forum_mcp.rules.classifying import classifies, decide_lane, permits
from forum_mcp.rules.context import fitting, with_context
from forum_mcp.rules.opinions import Unheard
from forum_mcp.rules.routing import Route, route
from forum_mcp.rules.run import RunState
from forum_mcp.rules.split import split

__all__ = ["VERSION", "decide_plan", "decide_route"]

VERSION: Final = 1


def decide_route(state: RunState) -> Draft | None:
    """Return the route: the caller's lane, the router's, the Classifier's where the router abstains, or the fallback.

    None while the Classifier is asked.
    """
    assert state.roster is not None
    if state.given_lane is not None:
        return draft(
            "route.decided",
            "router",
            RouteDecided(chosen=state.given_lane, by="caller", lane=state.given_lane),
            state.started_seq,
        )
    found = route(state.request, state.roster)
    if found.lane is None and classifies(state):
        choice = decide_lane(state, found)
        if isinstance(choice, LaneReply):
            return _classified(state, found, choice)
        if not isinstance(choice, Unheard):
            return choice
    chosen = state.roster.fallback
    if found.lane is not None:
        ranked = (found.lane, *(candidate.lane for candidate in found.candidates))
        chosen = next((lane for lane in ranked if permits(state, lane)), chosen)
    decided = RouteDecided(
        chosen=chosen,
        by="rules",
        lane=found.lane,
        score_ppm=found.score_ppm,
        margin_ppm=found.margin_ppm,
        confidence_ppm=found.confidence_ppm,
    )
    return _routed(state, found, decided)


def _classified(state: RunState, found: Route, choice: LaneReply) -> Draft:
    assert state.roster is not None
    decided = RouteDecided(
        chosen=choice.lane or state.roster.fallback,
        by="classifier",
        lane=choice.lane,
        score_ppm=found.score_ppm,
        margin_ppm=found.margin_ppm,
        confidence_ppm=round(choice.confidence * 1_000_000),
    )
    return _routed(state, found, decided)


def _routed(state: RunState, found: Route, decided: RouteDecided) -> Draft:
    actor = "classifier" if decided.by == "classifier" else "router"
    explanation = NewBody(JSON, found.explanation())
    parents = (state.started_seq, state.classifying.seq)
    return draft("route.decided", actor, decided, *parents, bodies={"explanation": explanation})


def decide_plan(state: RunState) -> Draft | None:
    """Return what leads to the plan: a call of the Coordinator, a refusal, or the plan itself."""
    assert state.roster is not None
    assert state.contract is not None
    if state.given_plan is not None:
        return _from_caller(state)
    if state.contract.single:
        return _accept(state, plans.single(state.request, state.lane), "single", "engine")
    found = follow(state, state.planning, lambda mark: _ask(state, mark), state.route_seq, climb=True)
    if found == "reply":
        reply = coordinator.parse(state.planning.reply)
        if isinstance(reply, Unusable):
            return _reject(state, "coordinator", "unusable-reply", reply.problem)
        try:
            return _accept(state, reply, "coordinator", "coordinator")
        except PlanRefused as error:
            return _reject(state, "coordinator", "bad-plan", str(error))
    if found == "exhausted":
        raw = split(state.request, state.roster, state.lane, lambda lane: permits(state, lane))
        try:
            return _accept(state, plans.read(raw), "rules", "engine")
        except PlanRefused as error:
            return _reject(state, "rules", "bad-plan", str(error))
    return found


def _from_caller(state: RunState) -> Draft:
    assert state.given_plan is not None
    try:
        return _accept(state, plans.decode(state.given_plan), "caller", "engine")
    except PlanRefused as error:
        return _reject(state, "caller", "bad-plan", str(error))


def _ask(state: RunState, mark: str) -> Prompt:
    assert state.roster is not None
    attempts = state.planning
    likely = [candidate.lane for candidate in route(state.request, state.roster).candidates]
    names = dict.fromkeys([state.lane, *likely, *state.roster.lanes])
    lanes = [(name, state.roster.lanes[name].description) for name in names if permits(state, name)]
    context = fitting(state, state.lane)
    prompt = coordinator.ask(
        state.request,
        suggested=state.lane,
        lanes=lanes,
        mark=mark,
        limit=terms_of(state, attempts).input_bytes,
        problem=attempts.problem if attempts.progress == "refused" else None,
        last_reply=attempts.reply,
        context=[(name, text) for name, text, _ in context],
    )
    return with_context(prompt, context)


def _accept(state: RunState, reply: PlanReply, by: str, actor: str) -> Draft:
    """Return ``plan.accepted``.

    Raises:
        PlanRefused: the plan is not a valid DAG of permitted lanes.
    """
    assert state.roster is not None
    assert state.contract is not None
    plan = plans.accept(reply, state.roster, state.contract.policy, [*state.contexts])
    return draft(
        "plan.accepted",
        actor,
        PlanAccepted(by=by, tasks=len(plan.tasks), edges=plan.edges, waves=len(plan.waves)),
        state.route_seq,
        state.planning.seq,
        state.refusal_seq,
        bodies={"plan": NewBody(JSON, plan.to_json())},
    )


def _reject(state: RunState, by: str, reason: str, problem: str) -> Draft:
    return draft(
        "plan.rejected",
        "engine",
        PlanRejected(by=by, reason=reason),
        state.route_seq,
        state.planning.seq,
        bodies={"problem": NewBody(TEXT, problem.encode("utf-8", "replace"))},
    )
