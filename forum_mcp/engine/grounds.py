"""What a run goes on from: the texts and terms its state rests on, which a redaction may take at any time.

An empty text in the place of one that is gone would be decided on as if somebody had written it, and nobody could
derive the decision again. So a run stops there, whoever holds it.
"""

from typing import Final

from forum_mcp.errors import LedgerUnreadable
from forum_mcp.rules.run import RunState

__all__ = ["TEXT_GONE", "check_complete", "check_whole", "is_stuck"]

TEXT_GONE: Final = "text-gone"
"""Why such a run is interrupted."""


def is_stuck(state: RunState) -> bool:
    """Tell whether a run that is not over can only be cancelled, because a text it goes on from is gone."""
    return state.incomplete and state.cancelled_seq < 0 and state.phase != "finished"


def check_complete(state: RunState) -> None:
    """Refuse a run that would go on with an empty text where a body was, deciding what nobody can derive again.

    Raises:
        LedgerUnreadable: a body that its state rests on is gone.
    """
    if is_stuck(state):
        raise LedgerUnreadable(
            f"run {state.run} cannot go on: a text that it goes on from was redacted or is gone; cancel it, and fork "
            "it or begin a new run"
        )


def check_whole(state: RunState) -> None:
    """Refuse a run whose decisions nobody can make any more.

    Raises:
        LedgerUnreadable: its contract, roster or plan is gone, or not of this version.
    """
    if state.contract is None or state.roster is None or (state.plan_seq >= 0 and state.plan is None):
        raise LedgerUnreadable(
            f"run {state.run} cannot go on: its contract, roster or plan is gone or not of this version; begin a new "
            "run with the same request"
        )
