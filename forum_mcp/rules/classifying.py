"""The Classifier's part of routing: asked where the router abstains, when the run takes that step."""

from typing import Final

from forum_mcp.ledger.entry import Draft
from forum_mcp.roles import classifier
from forum_mcp.roles.classifier import LaneReply
from forum_mcp.roles.prompt import Prompt
from forum_mcp.rules.calls import terms_of
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.opinions import Unheard, ask_opinion
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


def decide_lane(state: RunState, found: Route) -> Draft | LaneReply | Unheard | None:
    """Return the Classifier's next call, its choice, or that it made none; None while it is asked."""
    assert state.roster is not None
    attempts, roster = state.classifying, state.roster
    likely = [candidate.lane for candidate in found.candidates]
    names = [
        name for name in dict.fromkeys([*likely, *roster.lanes]) if name != roster.fallback and permits(state, name)
    ]
    if not names:
        return Unheard("no lane is permitted but the fallback")

    def ask(mark: str, problem: str | None) -> Prompt:
        return classifier.ask(
            state.request,
            lanes=[(name, roster.lanes[name].description) for name in names],
            mark=mark,
            limit=terms_of(state, attempts).input_bytes,
            problem=problem,
            last_reply=attempts.reply if problem is not None else None,
        )

    return ask_opinion(state, attempts, ask, lambda reply: classifier.parse(reply, names), state.started_seq)
