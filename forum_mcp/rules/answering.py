"""From settled tasks to a sealed run: the decisions of the phases ``answer`` and ``seal``."""

from typing import Final

from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds.answer import AnswerSynthesized
from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.ledger.kinds.run import RunFinished
from forum_mcp.roles import synthesizer
from forum_mcp.roles.fence import cap
from forum_mcp.roles.prompt import Prompt
from forum_mcp.rules.budget import spent_up
from forum_mcp.rules.calls import TEXT, draft, fence_token, follow, terms_of
from forum_mcp.rules.contract import RULES
from forum_mcp.rules.run import RunState, TaskState

__all__ = ["VERSION", "decide_answer", "remark_of", "results_of", "seal"]

VERSION: Final = 1
_PARENTS: Final = 250
_ANSWER_CHARS: Final = 4_000_000
"""Most characters of results in an answer made by rules: far below the largest body that a ledger takes."""


def decide_answer(state: RunState) -> Draft | None:
    """Return the answer from results that count as ok, the Synthesizer's call, or the end of a run without results."""
    done = results_of(state)
    if not done:
        return seal(state)
    if len(state.tasks) == 1 or state.answering.ladder[0] == RULES or _refused(state):
        return _by_rules(state, done)
    found = follow(state, state.answering, lambda mark: _ask(state, done, mark), *_verdicts(done), climb=True)
    if found == "reply" and _usable(state):
        return _answer(state, done, state.answering.reply, state.answering.reply_ref, "synthesizer")
    if found == "reply" or found == "exhausted":
        return _by_rules(state, done)
    return found


def _usable(state: RunState) -> bool:
    """Tell whether the Synthesizer's reply is an answer: not blank, and no copy of the prompt's fences."""
    attempts = state.answering
    return bool(attempts.reply.strip()) and fence_token(state, attempts) not in attempts.reply


def _refused(state: RunState) -> bool:
    """Tell whether a stopped run has nothing kept back for a synthesis that was not begun."""
    return (
        state.stopped is not None and state.answering.progress == "idle" and spent_up(state, "synthesize") is not None
    )


def _verdicts(done: list[TaskState]) -> list[int]:
    return [held.settled_seq for held in done][:_PARENTS]


def _ask(state: RunState, done: list[TaskState], mark: str) -> Prompt:
    results = [(held.plan.instruction, held.output) for held in done]
    return synthesizer.ask(state.request, results, mark=mark, limit=terms_of(state, state.answering).input_bytes)


def _by_rules(state: RunState, done: list[TaskState]) -> Draft:
    if len(state.tasks) == 1:
        return _answer(state, done, done[0].output, done[0].output_ref, "rules")
    share = _ANSWER_CHARS // len(done)
    text = synthesizer.by_rules([(held.plan.id, held.plan.instruction, cap(held.output, share)) for held in done])
    return _answer(state, done, text, None, "rules")


def _answer(state: RunState, done: list[TaskState], text: str, ref: BodyRef | None, by: str) -> Draft:
    remark = remark_of(state)
    text = cap(text, 2 * _ANSWER_CHARS)
    body: NewBody | BodyRef = NewBody(TEXT, (f"{text}\n\n{remark}" if remark else text).encode("utf-8", "replace"))
    if ref is not None and not remark:
        body = ref
    return draft(
        "answer.synthesized",
        "synthesizer" if by == "synthesizer" else "engine",
        AnswerSynthesized(
            by=by,
            tasks_ok=len(done),
            tasks_failed=len(_named(state, "failed")),
            tasks_skipped=len(_named(state, "skipped")),
            unvalidated=len(_unvalidated(state)),
        ),
        *_verdicts(done),
        state.answering.seq,
        bodies={"answer": body},
    )


def remark_of(state: RunState) -> str:
    """Return the lines at the end of an answer that name what it does not rest on; empty if there is nothing."""
    return synthesizer.remark(
        failed=_named(state, "failed"), skipped=_named(state, "skipped"), unvalidated=_unvalidated(state)
    )


def results_of(state: RunState) -> list[TaskState]:
    """Return the tasks that count as ok, in plan order: what an answer is made from."""
    return [held for held in state.tasks.values() if held.status == "ok"]


def _named(state: RunState, status: str) -> list[str]:
    return [name for name, held in state.tasks.items() if held.status == status]


def _unvalidated(state: RunState) -> list[str]:
    return [name for name, held in state.tasks.items() if held.status == "ok" and held.verdict == "undecided"]


def seal(state: RunState) -> Draft:
    """Return ``run.finished``: succeeded when every task counts as ok and there is an answer."""
    failed, skipped = _named(state, "failed"), _named(state, "skipped")
    if state.cancelled_seq >= 0:
        end, error = "cancelled", None
    elif state.answer_seq >= 0 and not failed and not skipped:
        end, error = "succeeded", None
    else:
        end, error = "failed", _error(state, failed)
    spend = state.spend
    return draft(
        "run.finished",
        "engine",
        RunFinished(
            state=end,
            tasks_ok=len(_named(state, "ok")),
            tasks_failed=len(failed),
            tasks_skipped=len(skipped),
            unvalidated=len(_unvalidated(state)),
            spent=Amounts(
                calls=spend.calls,
                ms=state.t_ms,
                tokens=spend.tokens if spend.tokens_known else None,
                microusd=spend.microusd if spend.cost_known else None,
            ),
            error=error,
        ),
        *_causes(state, failed),
    )


def _error(state: RunState, failed: list[str]) -> str:
    if state.error is not None:
        return state.error
    if state.stopped is not None:
        return f"budget-{state.stopped}"
    return "tasks-failed" if state.answer_seq >= 0 or failed else "no-result"


def _causes(state: RunState, failed: list[str]) -> list[int]:
    if state.answer_seq >= 0 and state.cancelled_seq < 0:
        return [state.answer_seq]
    ends = [state.tasks[name].settled_seq for name in failed][:_PARENTS]
    return [
        state.started_seq,
        state.plan_seq,
        state.refusal_seq,
        state.stopped_seq,
        state.cancelled_seq,
        *ends,
    ]
