"""The context seam: what the operator lets a run read, read by calls of its own and shown to whom it concerns.

A provider is an executor of one purpose: its reading has an intent and an outcome in the record like any call, is
scrubbed like any outcome and ends with the run. It takes nothing from the budget. What it gave, cut to its bound, is an
entry, and every prompt that held it names that entry.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from forum_mcp.ledger.entry import BodyRef, Draft, Entry, NewBody
from forum_mcp.ledger.kinds.context import ContextProvided
from forum_mcp.roles.fence import cap
from forum_mcp.roles.prompt import Prompt
from forum_mcp.rules.calls import TEXT, draft, follow
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.run import CONTEXT, Attempts, ContextState, RunState
from forum_mcp.rules.transitions import Bodies, Handler, text_of

__all__ = ["HANDLERS", "VERSION", "begin", "decide_context", "fitting", "read_again", "with_context"]

VERSION: Final = 1


def begin(state: RunState, contract: Contract) -> None:
    """Take up the providers of a contract."""
    state.contexts = {name: ContextState(Attempts(CONTEXT + name, [CONTEXT + name])) for name in contract.context}


def read_again(state: RunState, seq: int) -> bool:
    """Let every provider be read anew, because of the entry at ``seq``; tell whether there is any."""
    for held in state.contexts.values():
        held.attempts, held.settled = Attempts(held.attempts.purpose, held.attempts.ladder, cause=seq), False
    return bool(state.contexts)


def decide_context(state: RunState) -> Draft | None:
    """Return the next call or entry of a provider, or None while all that are left are being read."""
    for name, held in state.contexts.items():
        if not held.settled and (found := _read(state, name, held)) is not None:
            return found
    return None


def _read(state: RunState, name: str, held: ContextState) -> Draft | None:
    assert state.contract is not None
    attempts = held.attempts
    step = follow(state, attempts, lambda _: Prompt("", state.request), state.route_seq, climb=False)
    if step == "exhausted":
        error = attempts.outcome.error if attempts.outcome is not None else None
        failed = ContextProvided(context=name, error=error or "budget")
        return draft("context.provided", "engine", failed, state.route_seq, attempts.seq)
    if step != "reply":
        return step
    limit = state.contract.context[name].max_chars
    text = attempts.reply
    provided = ContextProvided(context=name, chars=len(text), cut=len(text) > limit)
    body: NewBody | BodyRef | None = attempts.reply_ref
    if provided.cut or body is None:
        body = NewBody(TEXT, cap(text, limit).encode("utf-8", "replace"))
    return draft("context.provided", "engine", provided, attempts.seq, bodies={"text": body})


def fitting(state: RunState, lane: str, asked: Sequence[str] | None = None) -> list[tuple[str, str, int]]:
    """Return the context of a prompt in a lane: (name, text, seq of its entry); ``asked`` names it for one task."""
    assert state.contract is not None
    return [
        (name, held.text, held.seq)
        for name, held in state.contexts.items()
        if held.text and (name in asked if asked is not None else _concerns(state.contract.context[name].lanes, lane))
    ]


def _concerns(lanes: Sequence[str], lane: str) -> bool:
    return not lanes or lane in lanes


def with_context(prompt: Prompt, context: Sequence[tuple[str, str, int]]) -> Prompt:
    """Return the prompt with the entries that it holds."""
    return replace(prompt, context=tuple(seq for _, _, seq in context))


def _context_provided(state: RunState, entry: Entry, data: ContextProvided, bodies: Bodies) -> None:
    held = state.contexts.get(data.context)
    if state.phase != "context" or held is None or held.settled:
        return
    held.settled, held.error, held.attempts.reply = True, data.error, ""
    if data.error is None:
        held.seq, held.chars, held.text = entry.seq, data.chars, text_of(state, bodies, "text")
        text = entry.bodies.get("text")
        held.commit = "" if text is None else text.commit
    if all(each.settled for each in state.contexts.values()):
        state.phase = "plan" if state.plan is None else "tasks"


HANDLERS: Final[dict[str, Handler]] = {"context.provided": (ContextProvided, _context_provided)}
