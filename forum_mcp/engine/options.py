"""What a caller may set for one run beside its request: one table for MCP, the CLI and Python."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import msgspec

from forum_mcp.configs.names import STEP_ROLES, STEPS
from forum_mcp.configs.settings import LimitSettings
from forum_mcp.errors import RequestRefused
from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.rules.contract import RULES, Contract, Steps

__all__ = ["RunOptions", "check_steps", "contract_for", "limits_for"]


class RunOptions(TypedDict, total=False):
    """Options of one run. What is left out, or None, is as the operator set it; a limit only lowers the operator's.

    Members:
        single: one task, no planning.
        lane: the lane, instead of routing.
        max_calls, max_seconds, max_parallel: limits; seconds are of active time.
        classify, escalate, panel, intent, delivery, verification, reuse: whether the step is taken
            (``configs.names.STEPS`` says what each does).
    """

    single: bool
    lane: str | None
    max_calls: int | None
    max_seconds: float | None
    max_parallel: int | None
    classify: bool | None
    escalate: bool | None
    panel: bool | None
    intent: bool | None
    delivery: bool | None
    verification: bool | None
    reuse: bool | None


def contract_for(terms: Contract, options: RunOptions) -> Contract:
    """Return the contract of one run: the operator's terms under the caller's options.

    Raises:
        RequestRefused: an option that is not known, a limit that is not above zero, or a step that nobody can do.
    """
    unknown = sorted(set(options) - set(RunOptions.__annotations__))
    if unknown:
        raise RequestRefused(f"option {unknown[0][:80]!r} is not known; options are: {', '.join(_names())}")
    parallel = options.get("max_parallel")
    if parallel is not None and parallel < 1:
        raise RequestRefused(f"max_parallel is {parallel}; give a number above 0")
    asked = {name: value for name in STEPS if isinstance(value := options.get(name), bool)}
    steps = msgspec.structs.replace(terms.steps, **asked)
    check_steps(steps, terms.roles)
    return msgspec.structs.replace(
        terms,
        steps=steps,
        roles=terms.roles if steps.escalate else _first_rungs(terms.roles),
        single=options.get("single", False),
        max_parallel=min(terms.max_parallel, parallel or terms.max_parallel),
    )


def check_steps(steps: Steps, roles: Mapping[str, Sequence[str]]) -> None:
    """Check that somebody can do every step that is taken.

    Raises:
        RequestRefused: a step's role has no executor.
    """
    for step, role in STEP_ROLES.items():
        if getattr(steps, step) and set(roles[role]) <= {RULES}:
            raise RequestRefused(
                f"step '{step}' needs the role {role}, which is bound to nobody; "
                f"leave the step off, or have the operator set {role} under [roles]"
            )


def limits_for(ceiling: LimitSettings, options: RunOptions) -> Amounts:
    """Return the limits of a run: the operator's, lowered by the caller's.

    Raises:
        RequestRefused: a limit is not above zero.
    """
    max_calls, max_seconds = options.get("max_calls"), options.get("max_seconds")
    for name, value in (("max_calls", max_calls), ("max_seconds", max_seconds)):
        if value is not None and not value > 0:
            raise RequestRefused(f"{name} is {value}; give a number above 0")
    seconds = ceiling.seconds if max_seconds is None else min(ceiling.seconds, max_seconds)
    return Amounts(
        calls=ceiling.calls if max_calls is None else min(ceiling.calls, max_calls), ms=max(1, round(seconds * 1000))
    )


def _first_rungs(roles: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the ladders cut to one rung; the panel's members are no rungs."""
    return {role: ladder if role == "panelists" else ladder[:1] for role, ladder in roles.items()}


def _names() -> list[str]:
    return sorted(RunOptions.__annotations__)
