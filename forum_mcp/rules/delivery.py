"""The step ``delivery``: can the answer be shorter without saying less?

The concision floor comes first. Where it passes nobody is asked; where it does not, the Reviser writes a shorter
answer, which counts only if it is shorter, covers every term of the request that the answer covers, and keeps the
greater part of the answer's own terms. The lines that name what the answer does not rest on are the engine's and stay.
"""

from typing import Final, Literal

from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds.answer import AnswerDelivery, AnswerRevised
from forum_mcp.roles import reviser
from forum_mcp.roles.prompt import Prompt
from forum_mcp.rules.answering import remark_of, results_of
from forum_mcp.rules.calls import TEXT, draft, fence_token, terms_of
from forum_mcp.rules.concision import examine
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.coverage import cover, keeps
from forum_mcp.rules.opinions import Unheard, ask_text
from forum_mcp.rules.run import RunState

__all__ = ["VERSION", "decide_delivery"]

VERSION: Final = 1


def decide_delivery(state: RunState) -> Draft | Literal["settled"] | None:
    """Return the next entry of this step, ``settled`` when it is over, None while the Reviser is asked."""
    review = state.review
    if review.delivery_seq < 0:
        return _floor(state)
    if not review.faults or review.revised_seq >= 0:
        return "settled"
    answer, remark = _apart(state)
    if review.revising.ladder[0] == RULES:
        shorter = reviser.by_rules(answer)
        if shorter == answer:
            return _kept(state, "rules", "nothing-to-cut")
        return _weighed(state, answer, shorter, remark, "rules")
    return _revision(state, answer, remark)


def _floor(state: RunState) -> Draft:
    answer, _ = _apart(state)
    found = examine(answer, state.request, [held.output for held in results_of(state)])
    payload = AnswerDelivery(
        passed=not found.faults, chars=found.chars, repeated_ppm=found.repeated_ppm, faults=list(found.faults)
    )
    return draft("answer.delivery", "engine", payload, state.answer_seq)


def _apart(state: RunState) -> tuple[str, str]:
    """Return the answer and the remark that the engine put under it."""
    remark, answer = remark_of(state), state.review.answer
    if remark and answer.endswith(remark):
        return answer.removesuffix(remark).rstrip("\n"), remark
    return answer, ""


def _revision(state: RunState, answer: str, remark: str) -> Draft | None:
    attempts = state.review.revising

    def ask(mark: str) -> Prompt:
        limit = terms_of(state, attempts).input_bytes
        return reviser.ask(state.request, answer, faults=state.review.faults or (), mark=mark, limit=limit)

    if attempts.progress == "idle" and len(answer.encode()) > terms_of(state, attempts).input_bytes:
        return _kept(state, "rules", "too-long")
    step = ask_text(state, attempts, ask, state.review.delivery_seq)
    if isinstance(step, Unheard):
        return _kept(state, "rules", "no-reply")
    if step != "reply":
        return step
    reply = attempts.reply.strip()
    if not reply or fence_token(state, attempts) in reply:
        return _kept(state, "reviser", "unusable")
    return _weighed(state, answer, reply, remark, "reviser")


def _weighed(state: RunState, answer: str, shorter: str, remark: str, by: str) -> Draft:
    if len(shorter) >= len(answer):
        return _kept(state, by, "not-shorter")
    before, after = cover(state.request, answer), cover(state.request, shorter)
    if before.covered - after.covered or not keeps(answer, shorter):
        return _kept(state, by, "covers-less")
    text = f"{shorter}\n\n{remark}" if remark else shorter
    return _revised(state, AnswerRevised(accepted=True, by=by, chars=len(shorter)), NewBody(TEXT, text.encode()))


def _kept(state: RunState, by: str, because: str) -> Draft:
    answer, _ = _apart(state)
    return _revised(state, AnswerRevised(accepted=False, by=by, chars=len(answer), because=because), None)


def _revised(state: RunState, payload: AnswerRevised, body: NewBody | None) -> Draft:
    bodies: dict[str, NewBody | BodyRef] = {} if body is None else {"answer": body}
    actor = "reviser" if payload.by == "reviser" else "engine"
    review = state.review
    return draft("answer.revised", actor, payload, review.delivery_seq, review.revising.seq, bodies=bodies)
