"""What a caller asks for, checked before anything is recorded."""

from collections.abc import Mapping
from typing import Final

import msgspec

from forum_mcp.errors import PlanRefused, RequestRefused
from forum_mcp.ledger.canonical import UNREADABLE
from forum_mcp.rules import plan as plans
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.roster import Roster

__all__ = ["REQUEST_CHARS", "checked_plan", "checked_request"]

REQUEST_CHARS: Final = 100_000
"""Longest request, characters."""


def checked_request(request: str | None) -> str:
    """Return the request.

    Raises:
        RequestRefused: it is missing, blank, too long, or holds a lone surrogate.
    """
    if request is None or not request.strip():
        raise RequestRefused("the request is empty; say in a sentence what is to be done")
    if len(request) > REQUEST_CHARS:
        raise RequestRefused(
            f"the request has {len(request)} characters; at most {REQUEST_CHARS} are taken: put long material in a file"
        )
    try:
        request.encode()
    except UnicodeEncodeError as error:
        raise RequestRefused(
            f"the request is not text; character {error.start} is a lone surrogate, which is what a byte that is not "
            "UTF-8 becomes; send UTF-8"
        ) from None
    return request


def checked_plan(plan: Mapping[str, object], roster: Roster, contract: Contract) -> tuple[bytes, str]:
    """Return the bytes of a caller's plan and, for a caller that gave no request, its instructions as one text.

    Raises:
        PlanRefused: it is not a valid DAG of permitted lanes.
    """
    try:
        encoded = msgspec.json.encode(dict(plan), order="sorted")
    except (TypeError, *UNREADABLE) as error:
        raise PlanRefused(f"the plan cannot be recorded: {error}; use valid Unicode text and JSON values") from None
    reply = plans.decode(encoded)  # what is recorded is checked: a NaN is no number any more
    plans.accept(reply, roster, contract.policy, contract.context)
    return encoded, "\n".join(task.instruction for task in reply.tasks)[:REQUEST_CHARS]
