"""From settings to the ladders of a contract: roles, lanes that differ, and outside checks, every name checked."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from forum_mcp.configs.names import ALL_ROLES
from forum_mcp.configs.settings import LaneSettings, Settings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Executor
from forum_mcp.rules.contract import RULES, LaneTerms, members
from forum_mcp.rules.criteria import CRITERIA_MAX, fault
from forum_mcp.rules.failures import ERROR_CLASSES
from forum_mcp.rules.roster import Roster

__all__ = ["check_policy", "lanes_of", "roles_of", "used_by"]

_MAY_BE_NOBODY: Final = ("panelists", "verifier")
_CAN_CHECK: Final = ("command", "scripted")


def roles_of(settings: Settings, executors: Mapping[str, Executor]) -> dict[str, list[str]]:
    """Return each role's ladder.

    Raises:
        ConfigRefused: a role is bound to nobody or to what is no executor, or the worker to rules.
    """
    ladders = {role: list(getattr(settings.roles, role)) for role in ALL_ROLES}
    for role, ladder in ladders.items():
        if not ladder and role not in _MAY_BE_NOBODY:
            raise ConfigRefused(f"role {role} is bound to nothing; executors are: {_known(executors)}")
        _check_ladder(f"role {role}", ladder, executors, works=role == "worker")
    return ladders


def lanes_of(settings: Settings, executors: Mapping[str, Executor], roster: Roster) -> dict[str, LaneTerms]:
    """Return what is special about each lane: its own table first, then its category's, then its tier's.

    Criteria add up, ladders replace each other.

    Raises:
        ConfigRefused: a name that the roster does not have, a ladder as for a role, a criterion that makes no sense.
    """
    known: dict[str, dict[str, str]] = {
        "lanes": {name: name for name in roster.lanes},
        "categories": {name: lane.category for name, lane in roster.lanes.items()},
        "tiers": {name: lane.tier for name, lane in roster.lanes.items()},
    }
    found: dict[str, LaneTerms] = {}
    for table, belongs in known.items():
        tables: dict[str, LaneSettings] = getattr(settings, table)
        for name, each in tables.items():
            where = f"{table}.{name}"
            if name not in belongs.values():
                raise ConfigRefused(f"{where} is not in the roster; {_hint(name, belongs.values())}")
            _check_ladder(f"{where}.worker", each.worker, executors, works=True)
            _check_ladder(f"{where}.validator", each.validator, executors, works=False)
            _check_criteria(f"{where}.done_when", each.done_when, settings.checks)
        for lane, name in belongs.items():
            if name in tables:
                found[lane] = _over(found.get(lane, LaneTerms()), tables[name])
    return found


def _over(stronger: LaneTerms, weaker: LaneSettings) -> LaneTerms:
    return LaneTerms(
        worker=stronger.worker or weaker.worker,
        validator=stronger.validator or weaker.validator,
        done_when=[*stronger.done_when, *weaker.done_when],
    )


def _check_criteria(where: str, criteria: list[str], checks: Mapping[str, str]) -> None:
    """Check that every criterion of the operator's makes sense.

    Raises:
        ConfigRefused: one does not.
    """
    if len(criteria) > CRITERIA_MAX:
        raise ConfigRefused(f"{where} has {len(criteria)} criteria; at most {CRITERIA_MAX} are taken")
    for line in criteria:
        if (why := fault(line, checks)) is not None:
            raise ConfigRefused(f"{where}: {why}")


def check_policy(settings: Settings, executors: Mapping[str, Executor]) -> None:
    """Check the checks, the criteria of every task, and what leads up a ladder.

    Raises:
        ConfigRefused: a check whose executor cannot make one, a criterion, a word that is no error class.
    """
    for name, executor in settings.checks.items():
        if executor not in executors:
            raise ConfigRefused(
                f"checks.{name} is bound to {executor!r}, which is no executor; {_hint(executor, executors)}"
            )
        if executors[executor].type not in _CAN_CHECK:
            raise ConfigRefused(
                f"checks.{name} is bound to {executor!r} of type {executors[executor].type!r}, which has no exit code; "
                "bind it to an executor of type 'command'"
            )
    _check_criteria("policy.done_when", settings.policy.done_when, settings.checks)
    for word in settings.policy.escalate_on:
        if word not in ("verdict", *ERROR_CLASSES):
            raise ConfigRefused(
                f"policy.escalate_on names {word[:60]!r}; expected 'verdict' or an error class; "
                f"{_hint(word, ('verdict', *ERROR_CLASSES))}"
            )


def used_by(roles: Mapping[str, list[str]], lanes: Mapping[str, LaneTerms], checks: Mapping[str, str]) -> list[str]:
    """Return every executor that may be asked, each once, in order of name."""
    ladders = [*roles.values(), *(ladder for lane in lanes.values() for ladder in (lane.worker, lane.validator))]
    named = {name for ladder in ladders for rung in ladder for name in members(rung)}
    return sorted((named | set(checks.values())) - {RULES})


def _check_ladder(what: str, ladder: list[str], executors: Mapping[str, Executor], *, works: bool) -> None:
    for rung in ladder:
        names = members(rung)
        types = {executors[name].type for name in names if name in executors}
        if len(names) > 1 and (RULES in names or "host" in types):
            raise ConfigRefused(f"{what} has the rung {rung!r}; 'rules' and 'host' take no turns; give each a rung")
        if len(set(names)) < len(names):
            raise ConfigRefused(f"{what} has the rung {rung!r}, which names an executor twice; name it once")
        for name in names:
            if name not in executors and name != RULES:
                raise ConfigRefused(f"{what} is bound to {name!r}; executors are: {_known(executors)}")
    if works and RULES in ladder:
        raise ConfigRefused(f"{what} is bound to 'rules', which do no work; bind it to an executor or to 'host'")


def _known(executors: Iterable[str]) -> str:
    return ", ".join(sorted({RULES, *executors}))


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of: {', '.join(names)}"
