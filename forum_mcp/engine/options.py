"""What a caller may set for one run beside its request: one table for MCP, the CLI and Python."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

import msgspec

from forum_mcp.configs.names import STEP_ROLES, STEPS
from forum_mcp.configs.section import AMOUNT_MAX
from forum_mcp.configs.settings import AmountSettings, LimitSettings
from forum_mcp.engine.ladders import used_by
from forum_mcp.errors import RequestRefused
from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.roles.reply import fault_of
from forum_mcp.rules.contract import RULES, ContextTerms, Contract, Gates, LaneTerms, Steps
from forum_mcp.rules.policy import Policy
from forum_mcp.rules.run import CONTEXT

__all__ = ["RunOptions", "amounts_of", "check_options", "check_prices", "check_steps", "contract_for", "limits_for"]


class RunOptions(TypedDict, total=False):
    """Options of one run. What is left out, or None, is as the operator set it; a limit only lowers the operator's.

    Members:
        single: one task, no planning.
        lane: the lane, instead of routing.
        context: names of context providers the run is given, in place of those it has without asking.
        max_calls, max_seconds, max_total_tokens, max_usd, max_parallel: limits; seconds are of active time.
        workers: executors that do the tasks of a lane, in place of the operator's: lane -> name, ``*`` for all others.
        approve: ``run`` or ``wave``, which then wait for approval; approve_above_usd: each multiple of it does.
        classify, escalate, panel, intent, delivery, verification, reuse: whether the step is taken
            (``configs.names.STEPS`` says what each does).
    """

    single: bool | None
    lane: str | None
    context: list[str] | None
    max_calls: int | None
    max_seconds: float | None
    max_total_tokens: int | None
    max_usd: float | None
    max_parallel: int | None
    workers: dict[str, str] | None
    approve: str | None
    approve_above_usd: float | None
    classify: bool | None
    escalate: bool | None
    panel: bool | None
    intent: bool | None
    delivery: bool | None
    verification: bool | None
    reuse: bool | None


def check_options(options: RunOptions) -> None:
    """Check names and types; nothing is converted.

    Raises:
        RequestRefused: an option is not known, or of another type.
    """
    unknown = sorted(set(options) - set(RunOptions.__annotations__))
    if unknown:
        raise RequestRefused(f"option {unknown[0][:80]!r} is not known; options are: {', '.join(_names())}")
    try:
        msgspec.convert(dict(options), RunOptions)
    except msgspec.ValidationError as error:
        raise RequestRefused(f"an option is of another type; {fault_of(error)}; nothing is converted") from None


def contract_for(terms: Contract, options: RunOptions) -> Contract:
    """Return the contract of one run: the operator's terms under the caller's options.

    Raises:
        RequestRefused: a context that is not known, a limit that is not above zero, or a step that nobody can do.
    """
    parallel = options.get("max_parallel")
    if parallel is not None and parallel < 1:
        raise RequestRefused(f"max_parallel is {parallel}; give a number above 0")
    asked = {name: value for name in STEPS if isinstance(value := options.get(name), bool)}
    steps = msgspec.structs.replace(terms.steps, **asked)
    check_steps(steps, terms.roles)
    context = _chosen(terms, options.get("context"))
    terms = _with_workers(terms, options.get("workers") or {})
    roles = terms.roles if steps.escalate else _first_rungs(terms.roles, terms.policy)
    lanes = terms.lanes if steps.escalate else _first_rungs_of_lanes(terms)
    used = {*used_by(roles, lanes, terms.policy.checks), *(f"{CONTEXT}{name}" for name in context)}
    return msgspec.structs.replace(
        terms,
        context=context,
        executors={name: each for name, each in terms.executors.items() if name in used},
        steps=steps,
        gates=_gates(terms.gates, options),
        roles=roles,
        lanes=lanes,
        single=options.get("single") or False,
        max_parallel=min(terms.max_parallel, parallel or terms.max_parallel),
    )


def _with_workers(terms: Contract, workers: Mapping[str, str]) -> Contract:
    """Return the terms with other workers: lane -> executor, or ``*`` for every lane without one of its own."""
    roles, lanes = dict(terms.roles), dict(terms.lanes)
    for lane, executor in workers.items():
        if executor not in terms.executors or executor.startswith(CONTEXT):
            known = ", ".join(name for name in terms.executors if not name.startswith(CONTEXT))
            raise RequestRefused(f"worker {executor[:80]!r} is no executor; they are: {known}")
        if lane == "*":
            roles["worker"] = [executor]
        else:
            lanes[lane] = msgspec.structs.replace(lanes.get(lane, LaneTerms()), worker=[executor])
    return msgspec.structs.replace(terms, roles=roles, lanes=lanes, workers=dict(workers))


def _chosen(terms: Contract, asked: Sequence[str] | None) -> dict[str, ContextTerms]:
    """Return the context of a run: what it asks for, else what every run has."""
    if asked is None:
        return {name: each for name, each in terms.context.items() if each.always}
    for name in asked:
        if name not in terms.context:
            known = f"it is one of: {', '.join(terms.context)}" if terms.context else "the operator defined none"
            raise RequestRefused(
                f"context {str(name)[:80]!r} is not known; {known}; see [context.NAME] of the settings"
            )
    return {name: terms.context[name] for name in dict.fromkeys(asked)}


def _gates(operators: Gates, options: RunOptions) -> Gates:
    """Return the operator's gates and the caller's: a caller adds gates and takes none away."""
    approve, above = options.get("approve"), options.get("approve_above_usd")
    if approve not in (None, "run", "wave"):
        raise RequestRefused(f"approve is {approve[:40]!r}; expected 'run' or 'wave'")
    _check_amount("approve_above_usd", above)
    return msgspec.structs.replace(
        operators,
        run=operators.run or approve == "run",
        wave=operators.wave or approve == "wave",
        cost_microusd=_lower(operators.cost_microusd, _micro(above)),
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
        RequestRefused: a limit is not above zero, or more than a record can hold.
    """
    usd, seconds = options.get("max_usd"), options.get("max_seconds")
    given = (
        ("max_calls", options.get("max_calls")),
        ("max_seconds", seconds),
        ("max_total_tokens", options.get("max_total_tokens")),
        ("max_usd", usd),
    )
    for name, value in given:
        _check_amount(name, value)
    return Amounts(
        calls=_lower(ceiling.calls, options.get("max_calls")),
        ms=_lower(_milli(ceiling.seconds), None if seconds is None else _milli(seconds)),
        tokens=_lower(ceiling.tokens, options.get("max_total_tokens")),
        microusd=_lower(_micro(ceiling.usd), _micro(usd)),
    )


def check_prices(contract: Contract, limits: Amounts) -> None:
    """Check that a run whose dollars are limited knows what each of its executors costs.

    Raises:
        RequestRefused: the price of an executor is not known.
    """
    limited = (
        limits.microusd,
        contract.task_limits.microusd,
        contract.day_limits.microusd,
        contract.gates.cost_microusd,
    )
    if all(each is None for each in limited):
        return
    for name, terms in contract.executors.items():
        if terms.price is None and not name.startswith(CONTEXT):
            raise RequestRefused(
                f"US dollars are limited and nobody knows what executor '{name}' costs; "
                f"leave the limit out, or have the operator set price under [executors.{name}]"
            )


def amounts_of(settings: AmountSettings) -> Amounts:
    """Return configured amounts in the units of the record."""
    return Amounts(calls=settings.calls, tokens=settings.tokens, microusd=_micro(settings.usd))


def _check_amount(name: str, value: float | None) -> None:
    if value is not None and not 0 < value <= AMOUNT_MAX:
        raise RequestRefused(f"{name} is {value}; give a number above 0 and at most {AMOUNT_MAX:,}")


def _lower(ceiling: int | None, asked: int | None) -> int | None:
    return min((value for value in (ceiling, asked) if value is not None), default=None)


def _milli(seconds: float) -> int:
    return max(1, round(seconds * 1_000))


def _micro(usd: float | None) -> int | None:
    return None if usd is None else max(1, round(usd * 1_000_000))


def _first_rungs(roles: Mapping[str, list[str]], policy: Policy) -> dict[str, list[str]]:
    """Return the ladders cut to one rung.

    The panel's members are no rungs, and of Validators that must differ from the worker each may be the first that
    does: the rules take that one only.
    """
    whole = {"panelists", *(["validator"] if policy.validator_differs else [])}
    return {role: ladder if role in whole else ladder[:1] for role, ladder in roles.items()}


def _first_rungs_of_lanes(terms: Contract) -> dict[str, LaneTerms]:
    cut: dict[str, LaneTerms] = {}
    for name, lane in terms.lanes.items():
        ladders = _first_rungs({"worker": lane.worker, "validator": lane.validator}, terms.policy)
        cut[name] = msgspec.structs.replace(lane, worker=ladders["worker"], validator=ladders["validator"])
    return cut


def _names() -> list[str]:
    return sorted(RunOptions.__annotations__)
