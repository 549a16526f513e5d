"""The step ``verification``: somebody else's check of the finished answer, a command of the operator's say.

A command tells by its exit code, or by a JSON object with ``passed``; a model by the latter alone. An exit code other
than 0 fails whatever was printed, and silence with exit code 0 passes, as with any test program. The verdict is
recorded and never blocks.
"""

from typing import Final, Literal

from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds.answer import AnswerVerified
from forum_mcp.roles import verifier
from forum_mcp.roles.fence import cap
from forum_mcp.roles.prompt import Prompt
from forum_mcp.roles.reply import Unusable
from forum_mcp.roles.verifier import VerificationReply
from forum_mcp.rules.calls import TEXT, draft, terms_of
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.opinions import Unheard, ask_opinion
from forum_mcp.rules.run import Attempts, RunState

__all__ = ["VERSION", "decide_verification"]

VERSION: Final = 1
_REASON_CHARS: Final = 4_000


def decide_verification(state: RunState) -> Draft | Literal["settled"] | None:
    """Return the next entry of this step, ``settled`` when it is over, None while the verifier is asked."""
    attempts = state.review.verifying
    if state.review.verified_seq >= 0 or attempts.ladder[0] == RULES:
        return "settled"
    if attempts.progress == "replied" and (told := _told_by_exit_code(attempts)) is not None:
        return _verified(state, "passed" if told else "failed", "exit-code", attempts.reply)

    def ask(mark: str, problem: str | None) -> Prompt:
        terms = terms_of(state, attempts)
        if terms.type == "command":
            return verifier.as_json(state.request, state.review.answer)
        return verifier.ask(
            state.request,
            state.review.answer,
            mark=mark,
            limit=terms.input_bytes,
            problem=problem,
            last_reply=attempts.reply if problem is not None else None,
        )

    found = ask_opinion(state, attempts, ask, verifier.parse, _answer_as_it_stands(state))
    if isinstance(found, VerificationReply):
        return _verified(state, "passed" if found.passed else "failed", "reply", found.reason)
    if isinstance(found, Unheard):
        return _verified(state, "undecided", found.error or "reply", found.problem)
    return found


def _told_by_exit_code(attempts: Attempts) -> bool | None:
    """Return the verdict of a command's exit code, or None where its reply says more, or nothing ran."""
    outcome = attempts.outcome
    if outcome is None or outcome.exit_code is None:
        return None
    if outcome.error == "exit-code":
        return False
    if outcome.error not in (None, "empty-reply") or outcome.exit_code != 0:
        return None
    return True if isinstance(verifier.parse(attempts.reply), Unusable) else None


def _answer_as_it_stands(state: RunState) -> int:
    review = state.review
    return review.revised_seq if review.revised else state.answer_seq


def _verified(state: RunState, verdict: str, by: str, reason: str) -> Draft:
    bodies: dict[str, NewBody | BodyRef] = {}
    if reason.strip():
        bodies["reason"] = NewBody(TEXT, cap(reason.strip(), _REASON_CHARS).encode("utf-8", "replace"))
    actor = "engine" if verdict == "undecided" else "verifier"
    parents = (_answer_as_it_stands(state), state.review.verifying.seq)
    return draft("answer.verified", actor, AnswerVerified(verdict=verdict, by=by), *parents, bodies=bodies)
