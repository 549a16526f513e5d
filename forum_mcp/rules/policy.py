"""What a plan may use: lanes and categories permitted, and how many tasks.

A deny list wins over an allow list. When an allow list has members, a lane is permitted only if one of the two allow
lists names it, itself or by its category; without allow lists every lane is.
"""

from difflib import get_close_matches
from typing import Final

import msgspec

from forum_mcp.errors import ConfigRefused
from forum_mcp.rules.lanes import Lane, Roster

__all__ = ["VERSION", "Policy", "check", "refusal"]

VERSION: Final = 1


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is permitted, and what counts.

    Attributes:
        allow_lanes, deny_lanes, allow_categories, deny_categories, max_tasks: what a plan may use.
        undecided: how a verdict that nobody could give counts: ``pass``, ``escalate`` or ``fail``.
        done_when: criteria of every task beside its own.
        checks: the outside checks a criterion may name, each with the executor that runs it.
        escalate_on: ``verdict`` and error classes that lead up the ladder; empty is all of them.
        validator_differs: who did a task does not judge it, and neither does the same model under another name.
        cut_prompt: ``flag`` records the suspicion that a prompt was not read whole, ``fail`` counts it.
        loop_after: results without news, one after the other, that end a branch; 0 is never.
    """

    allow_lanes: list[str] = []
    deny_lanes: list[str] = []
    allow_categories: list[str] = []
    deny_categories: list[str] = []
    max_tasks: int = 2_000
    undecided: str = "pass"
    done_when: list[str] = []
    checks: dict[str, str] = {}
    escalate_on: list[str] = []
    validator_differs: bool = False
    cut_prompt: str = "flag"
    loop_after: int = 3


def refusal(policy: Policy, lane: Lane) -> str | None:
    """Return why a lane is not permitted, in words its author can use, or None when it is."""
    subject = f"lane '{lane.name}' (category '{lane.category}') is not permitted"
    remedy = "use another lane, or have the operator change the policy"
    if lane.name in policy.deny_lanes:
        return f"{subject}: policy.deny_lanes names it; {remedy}"
    if lane.category in policy.deny_categories:
        return f"{subject}: policy.deny_categories names its category; {remedy}"
    if not policy.allow_lanes and not policy.allow_categories:
        return None
    if lane.name in policy.allow_lanes or lane.category in policy.allow_categories:
        return None
    permitted = [f"lanes {', '.join(policy.allow_lanes)}"] if policy.allow_lanes else []
    if policy.allow_categories:
        permitted.append(f"categories {', '.join(policy.allow_categories)}")
    return f"{subject}: the policy permits only {' and '.join(permitted)}; {remedy}"


def check(policy: Policy, roster: Roster) -> None:
    """Check that every name the policy holds is one of the roster's: a misspelt ``deny`` would permit in silence.

    Raises:
        ConfigRefused: a lane or category that the roster does not have.
    """
    lanes = sorted(roster.lanes)
    categories = sorted({lane.category for lane in roster.lanes.values()})
    for member, names, known in (
        ("allow_lanes", policy.allow_lanes, lanes),
        ("deny_lanes", policy.deny_lanes, lanes),
        ("allow_categories", policy.allow_categories, categories),
        ("deny_categories", policy.deny_categories, categories),
    ):
        for name in names:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean '{close[0]}'?" if close else f"expected one of: {', '.join(known)}"
                raise ConfigRefused(f"policy.{member} names '{name[:60]}', which the roster does not have; {hint}")
