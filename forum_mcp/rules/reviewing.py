"""What follows the answer: the steps that look at it, in order, and what their entries do to the state.

None of them can fail a run. Each asks a model only where a floor did not pass and its role has somebody to ask.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from forum_mcp.ledger.canonical import UNREADABLE
from forum_mcp.ledger.entry import Draft, Entry
from forum_mcp.ledger.kinds import answer
from forum_mcp.rules.answering import seal
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.delivery import decide_delivery
from forum_mcp.rules.intent import decide_intent
from forum_mcp.rules.run import Review, RunState
from forum_mcp.rules.transitions import Bodies, Handler, text_of
from forum_mcp.rules.verification import decide_verification

__all__ = ["HANDLERS", "VERSION", "bind", "decide_review"]

VERSION: Final = 1

_STEPS: Final[tuple[tuple[str, Callable[[RunState], Draft | Literal["settled"] | None]], ...]] = (
    ("intent", decide_intent),
    ("delivery", decide_delivery),
    ("verification", decide_verification),
)


def decide_review(state: RunState) -> Draft | None:
    """Return the next entry about the answer, the seal when there is nothing more to find out, None while one waits."""
    assert state.contract is not None
    for name, decide_step in _STEPS:
        if getattr(state.contract.steps, name):
            found = decide_step(state)
            if found != "settled":
                return found
    return seal(state)


def bind(review: Review, roles: Mapping[str, list[str]]) -> None:
    """Give each step's attempts the ladder of its role; a role without one is played by rules."""
    review.judging.ladder = roles.get("judge") or [RULES]
    review.revising.ladder = roles.get("reviser") or [RULES]
    review.verifying.ladder = roles.get("verifier") or [RULES]


def _answer_synthesized(state: RunState, entry: Entry, data: answer.AnswerSynthesized, bodies: Bodies) -> None:
    if state.phase != "answer" or state.contract is None:
        return
    state.answer_seq, state.answer_ref, state.phase = entry.seq, entry.bodies.get("answer"), "review"
    state.review.by = data.by
    steps = state.contract.steps
    if steps.intent or steps.delivery or steps.verification:
        state.review.answer = text_of(state, bodies, "answer")


def _answer_intent(state: RunState, entry: Entry, data: answer.AnswerIntent, bodies: Bodies) -> None:
    review = state.review
    if state.phase != "review" or review.intent_seq >= 0:
        return
    review.intent_seq, review.covered = entry.seq, data.passed
    review.intent = "covered" if data.passed else "unclear"
    if "missing" in entry.bodies:
        review.missing = _words(state, bodies)


def _words(state: RunState, bodies: Bodies) -> list[str]:
    """Return the body ``missing`` as texts; one that is gone or damaged makes the state incomplete."""
    try:
        return msgspec.json.decode(bodies("missing") or b"", type=list[str])
    except UNREADABLE:
        state.incomplete = True
        return []


def _answer_judged(state: RunState, entry: Entry, data: answer.AnswerJudged, bodies: Bodies) -> None:
    review = state.review
    if state.phase != "review" or review.intent_seq < 0 or review.judged_seq >= 0:
        return
    review.judged_seq, review.intent = entry.seq, data.verdict
    if "reason" in entry.bodies:
        review.intent_reason = text_of(state, bodies, "reason")
    if "missing" in entry.bodies:
        review.missing = _words(state, bodies)
    elif data.verdict == "met":
        review.missing = []


def _answer_delivery(state: RunState, entry: Entry, data: answer.AnswerDelivery, _: Bodies) -> None:
    if state.phase == "review" and state.review.delivery_seq < 0:
        state.review.delivery_seq, state.review.faults = entry.seq, list(data.faults)


def _answer_revised(state: RunState, entry: Entry, data: answer.AnswerRevised, bodies: Bodies) -> None:
    review = state.review
    if state.phase != "review" or review.delivery_seq < 0 or review.revised_seq >= 0:
        return
    review.revised_seq, review.revised = entry.seq, data.accepted
    if data.accepted and "answer" in entry.bodies:
        state.answer_ref, review.answer = entry.bodies["answer"], text_of(state, bodies, "answer")


def _answer_verified(state: RunState, entry: Entry, data: answer.AnswerVerified, bodies: Bodies) -> None:
    review = state.review
    if state.phase != "review" or review.verified_seq >= 0:
        return
    review.verified_seq, review.verified = entry.seq, data.verdict
    if "reason" in entry.bodies:
        review.verified_reason = text_of(state, bodies, "reason")


HANDLERS: Final[dict[str, Handler]] = {
    "answer.synthesized": (answer.AnswerSynthesized, _answer_synthesized),
    "answer.intent": (answer.AnswerIntent, _answer_intent),
    "answer.judged": (answer.AnswerJudged, _answer_judged),
    "answer.delivery": (answer.AnswerDelivery, _answer_delivery),
    "answer.revised": (answer.AnswerRevised, _answer_revised),
    "answer.verified": (answer.AnswerVerified, _answer_verified),
}
