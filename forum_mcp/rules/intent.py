"""The step ``intent``: does the answer give what the request asked for?

The coverage floor comes first. Where it passes nobody is asked; where it does not, it has shown nothing yet, and the
IntentJudge, if there is one, is given the judged results. Whatever comes out is recorded and never blocks.
"""

from typing import Final, Literal

import msgspec

from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds.answer import AnswerIntent, AnswerJudged
from forum_mcp.roles import judge
from forum_mcp.roles.judge import IntentReply
from forum_mcp.roles.prompt import Prompt
from forum_mcp.rules.answering import results_of
from forum_mcp.rules.calls import JSON, TEXT, draft, terms_of
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.coverage import cover
from forum_mcp.rules.opinions import Unheard, ask_opinion
from forum_mcp.rules.run import RunState

__all__ = ["VERSION", "decide_intent", "judged_text"]

VERSION: Final = 1
_RESULTS_MAX: Final = 100


def decide_intent(state: RunState) -> Draft | Literal["settled"] | None:
    """Return the next entry of this step, ``settled`` when it is over, None while the judge is asked."""
    review = state.review
    if review.intent_seq < 0:
        return _floor(state)
    if review.covered or review.judged_seq >= 0 or review.judging.ladder[0] == RULES:
        return "settled"
    return _judgement(state)


def judged_text(state: RunState) -> str:
    """Return the text that answers the request: rules that put an answer together quote the request in headings."""
    if state.review.by == "rules":
        return "\n\n".join(held.output for held in results_of(state))
    return state.review.answer


def _floor(state: RunState) -> Draft:
    found = cover(state.request, judged_text(state))
    results = cover(state.request, "\n\n".join(held.output for held in results_of(state)))
    payload = AnswerIntent(
        passed=found.passed,
        terms=found.terms,
        covered=len(found.covered),
        lost=len(results.covered - found.covered),
    )
    bodies: dict[str, NewBody | BodyRef] = {}
    if found.missing:
        bodies["missing"] = NewBody(JSON, msgspec.json.encode(found.missing))
    return draft("answer.intent", "engine", payload, state.answer_seq, bodies=bodies)


def _judgement(state: RunState) -> Draft | None:
    review = state.review
    attempts = review.judging
    results = [(held.settled_seq, held.plan.instruction, held.output) for held in results_of(state)[:_RESULTS_MAX]]

    def ask(mark: str, problem: str | None) -> Prompt:
        return judge.ask(
            state.request,
            review.answer,
            results,
            missing=review.missing,
            mark=mark,
            limit=terms_of(state, attempts).input_bytes,
            problem=problem,
            last_reply=attempts.reply if problem is not None else None,
        )

    shown = [seq for seq, _, _ in results]
    found = ask_opinion(state, attempts, ask, lambda reply: judge.parse(reply, shown), review.intent_seq)
    if isinstance(found, IntentReply):
        return _judged(state, found)
    return _undecided(state, found.problem) if isinstance(found, Unheard) else found


def _judged(state: RunState, reply: IntentReply) -> Draft:
    bodies: dict[str, NewBody | BodyRef] = {}
    if reply.reason:
        bodies["reason"] = NewBody(TEXT, reply.reason.encode("utf-8", "replace"))
    if reply.missing:
        bodies["missing"] = NewBody(JSON, msgspec.json.encode(reply.missing))
    payload = AnswerJudged(verdict="met" if reply.met else "unmet", by="judge", cites=reply.cites)
    review = state.review
    return draft("answer.judged", "judge", payload, review.intent_seq, review.judging.seq, *reply.cites, bodies=bodies)


def _undecided(state: RunState, why: str) -> Draft:
    reason = NewBody(TEXT, why.encode("utf-8", "replace"))
    payload = AnswerJudged(verdict="undecided", by="rules")
    review = state.review
    return draft("answer.judged", "engine", payload, review.intent_seq, review.judging.seq, bodies={"reason": reason})
