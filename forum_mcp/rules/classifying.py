"""The Classifier's part of routing: asked where the router abstains, when the run takes that step."""

from typing import Final, Literal

from forum_mcp.ledger.entry import Draft
from forum_mcp.roles import classifier
from forum_mcp.roles.classifier import LaneReply
from forum_mcp.roles.prompt import Prompt
from forum_mcp.roles.reply import Unusable
from forum_mcp.rules.calls import follow, repair, terms_of
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.policy import refusal
from forum_mcp.rules.routing import Route
from forum_mcp.rules.run import RunState

__all__ = ["VERSION", "classifies", "decide_lane", "permits"]

VERSION: Final = 1


def permits(state: RunState, lane: str) -> bool:
    """Tell whether the run's policy permits a lane of its roster."""
    assert state.roster is not None
    assert state.contract is not None
    return refusal(state.contract.policy, state.roster.lanes[lane]) is None


def classifies(state: RunState) -> bool:
    """Tell whether a Classifier is asked at all: a caller's plan names its lanes itself."""
    assert state.contract is not None
    return state.contract.steps.classify and state.classifying.ladder[0] != RULES and state.given_plan is None


def decide_lane(state: RunState, found: Route) -> Draft | LaneReply | Literal["exhausted"] | None:
    """Return the Classifier's next call, its choice, or ``exhausted`` when it made none; None while it is asked."""
    assert state.roster is not None
    attempts = state.classifying
    likely = [candidate.lane for candidate in found.candidates]
    names = [
        name
        for name in dict.fromkeys([*likely, *state.roster.lanes])
        if name != state.roster.fallback and permits(state, name)
    ]
    if not names:
        return "exhausted"

    def ask(mark: str, problem: str | None = None) -> Prompt:
        assert state.roster is not None
        return classifier.ask(
            state.request,
            lanes=[(name, state.roster.lanes[name].description) for name in names],
            mark=mark,
            limit=terms_of(state, attempts).input_chars,
            problem=problem,
            last_reply=attempts.reply if problem is not None else None,
        )

    step = follow(state, attempts, ask, state.started_seq, climb=True)
    if step != "reply":
        return step
    reply = classifier.parse(attempts.reply, names)
    if not isinstance(reply, Unusable):
        return reply
    problem = reply.problem
    return repair(state, attempts, lambda mark: ask(mark, problem), attempts.seq)
