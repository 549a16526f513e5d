"""Asking for an opinion: a reply in JSON that a run can do without.

An opinion is asked for on the ladder of its role, with one repair a rung that shows the model its error. Nobody's
silence, no unusable reply and no limit of a budget ends a run for want of one: what was not heard is a value like any.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from forum_mcp.ledger.entry import Draft
from forum_mcp.roles.prompt import Prompt
from forum_mcp.roles.reply import Unusable
from forum_mcp.rules.calls import Ask, follow, repair
from forum_mcp.rules.run import Attempts, RunState

__all__ = ["VERSION", "Unheard", "ask_opinion", "ask_text"]

VERSION: Final = 1
_NO_ROOM: Final = "the budget has no room for it"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unheard:
    """Nobody said anything usable; ``error`` is the class of the last call if it had one, ``problem`` says why."""

    problem: str
    error: str | None = None


def ask_opinion(
    state: RunState,
    attempts: Attempts,
    ask: Callable[[str, str | None], Prompt],
    parse: Callable[[str], T | Unusable],
    *parents: int,
) -> Draft | T | Unheard | None:
    """Return the next entry, the opinion, or that there is none; None while somebody is asked.

    ``ask``: (token of the fences, problem of the last reply or None) -> the prompt. ``parents``: what asks for it.
    """
    step = ask_text(state, attempts, lambda mark: ask(mark, None), *parents)
    if step != "reply":
        return step
    found = parse(attempts.reply)
    if not isinstance(found, Unusable):
        return found
    problem = found.problem
    again = repair(state, attempts, lambda mark: ask(mark, problem), attempts.seq)
    return Unheard(problem) if again == "exhausted" or _is_a_stop(again) else again


def ask_text(state: RunState, attempts: Attempts, ask: Ask, *parents: int) -> Draft | Unheard | Literal["reply"] | None:
    """Return the next entry, ``reply`` when there is one, or that there is none; None while somebody is asked."""
    step = follow(state, attempts, ask, *parents, climb=True)
    if step == "exhausted":
        error = attempts.outcome.error if attempts.outcome is not None else None
        return Unheard("nobody gave a reply" if error is None else f"the last call ended with {error}", error)
    return Unheard(_NO_ROOM, "budget") if _is_a_stop(step) else step


def _is_a_stop(step: Draft | Literal["reply"] | None) -> bool:
    return isinstance(step, Draft) and step.kind == "budget.stopped"
