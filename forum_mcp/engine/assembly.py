"""From settings to what an engine needs: the roster, the executors and the contract they make."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from forum_mcp.configs.context import ContextSettings
from forum_mcp.configs.paths import shown
from forum_mcp.configs.roster import shipped_roster_text
from forum_mcp.configs.settings import ExecutorSettings, Settings
from forum_mcp.engine.event_scrubbing import recorded_identity
from forum_mcp.engine.ladders import check_policy, lanes_of, roles_of
from forum_mcp.engine.options import amounts_of, check_steps
from forum_mcp.engine.pricing import price_of
from forum_mcp.engine.scrubbing import Scrubber
from forum_mcp.errors import ConfigRefused, RequestRefused, RosterRefused
from forum_mcp.executors import build
from forum_mcp.executors.base import Executor
from forum_mcp.executors.context import build as build_context
from forum_mcp.executors.machine import Machine
from forum_mcp.executors.sampler import Sampler
from forum_mcp.rules.contract import ContextTerms, Contract, ExecutorTerms, Gates, Steps
from forum_mcp.rules.policy import Policy, check
from forum_mcp.rules.roster import Roster, parse
from forum_mcp.rules.run import CONTEXT

__all__ = ["contract_of", "executors_of", "roster_of"]

_INPUT_BYTES: Final = 24_000
_LOCAL_INPUT_BYTES: Final = 8_000


def roster_of(settings: Settings) -> Roster:
    """Return the shipped roster with the user's over it.

    Raises:
        RosterRefused: a roster cannot be read or has a fault.
    """
    roster = _shipped()
    if settings.roster is None:
        return roster
    name = shown(Path(settings.roster))
    try:
        text = Path(settings.roster).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RosterRefused(
            f"roster {name} cannot be read ({error.__class__.__name__}); give the path of a UTF-8 TOML file"
        ) from None
    return parse(text, name, roster)


@cache
def _shipped() -> Roster:
    """Return the shipped roster; a roster is immutable and reading one costs more than opening a ledger."""
    return parse(shipped_roster_text(), "the shipped roster")


def executors_of(
    settings: Settings, given: Mapping[str, Executor], sampler: Sampler | None = None
) -> dict[str, Executor]:
    """Return the configured executors; ``host`` is always there, and one that is ``given`` stands for its name.

    ``sampler``: where the questions of ``sampling`` ones go.

    Raises:
        ConfigRefused: an executor lacks what its type needs.
    """
    table = {"host": ExecutorSettings(type="host", max_parallel=16, attempts=1), **settings.executors}
    machine = Machine(settings.local.memory_mb, settings.local.max_parallel)
    readers = {f"{CONTEXT}{name}": build_context(name, each) for name, each in settings.context.items()}
    built = {name: build(name, each, machine, sampler) for name, each in table.items() if name not in given}
    return {**readers, **built, **given}


def contract_of(settings: Settings, executors: Mapping[str, Executor], roster: Roster, scrubber: Scrubber) -> Contract:
    """Return the terms of every run under these settings; the contract of one run holds what it may use of them.

    Raises:
        ConfigRefused: a ladder or a check names an executor that does not exist or cannot do it, the policy, a table of
            lanes or a context provider names what the roster does not have, or a criterion makes no sense.
    """
    ladders = roles_of(settings, executors)
    lanes = lanes_of(settings, executors, roster)
    check_policy(settings, executors)
    steps = Steps(**settings.steps.model_dump())
    try:
        check_steps(steps, ladders)
    except RequestRefused as error:
        raise ConfigRefused(str(error)) from None
    return Contract(
        executors={
            **{
                name: _terms(name, settings, executors[name], scrubber)
                for name in sorted(executors)
                if not name.startswith(CONTEXT)
            },
            **{
                f"{CONTEXT}{name}": _reading_terms(each, executors[f"{CONTEXT}{name}"], scrubber)
                for name, each in settings.context.items()
            },
        },
        roles=ladders,
        lanes=lanes,
        policy=_policy_of(settings, roster),
        max_parallel=settings.max_parallel,
        local_only=settings.local_only,
        steps=steps,
        task_limits=amounts_of(settings.limits.task),
        day_limits=amounts_of(settings.limits.day),
        project=settings.project,
        context=_context_of(settings, roster),
        gates=_gates_of(settings, roster),
    )


def _gates_of(settings: Settings, roster: Roster) -> Gates:
    given = settings.gates
    for lane in given.lanes:
        if lane not in roster.lanes:
            raise ConfigRefused(f"gates.lanes names '{lane[:60]}', which the roster does not have")
    return Gates(
        run=given.run,
        wave=given.wave,
        lanes=given.lanes,
        cost_microusd=None if given.above_usd is None else max(1, round(given.above_usd * 1_000_000)),
        timeout_ms=max(1, round(given.timeout_s * 1_000)),
    )


def _context_of(settings: Settings, roster: Roster) -> dict[str, ContextTerms]:
    for name, each in settings.context.items():
        for lane in each.lanes:
            if lane not in roster.lanes:
                raise ConfigRefused(
                    f"context.{name} names lane {lane[:80]!r}, which the roster does not have; "
                    f"lanes are: {', '.join(roster.lanes)}"
                )
    return {
        name: ContextTerms(max_chars=each.max_chars, lanes=each.lanes, always=each.always)
        for name, each in settings.context.items()
    }


def _policy_of(settings: Settings, roster: Roster) -> Policy:
    policy = Policy(**settings.policy.model_dump(), checks=settings.checks)
    check(policy, roster)
    return policy


def _input_bytes(kind: str, context_tokens: int | None) -> int:
    """Return how much untrusted text a prompt may hold: half of the context, at four bytes a token."""
    if context_tokens is None:
        return _LOCAL_INPUT_BYTES if kind == "local" else _INPUT_BYTES
    return context_tokens * 2


def _reading_terms(settings: ContextSettings, reader: Executor, scrubber: Scrubber) -> ExecutorTerms:
    return ExecutorTerms(
        type=reader.type,
        model=None,
        egress=reader.egress,
        identity=recorded_identity(reader, scrubber),
        timeout_ms=int(settings.timeout_s * 1000),
        max_tokens=None,
        attempts=1,
        max_parallel=1,
        input_bytes=_INPUT_BYTES,
        effects="none",
    )


def _terms(name: str, settings: Settings, executor: Executor, scrubber: Scrubber) -> ExecutorTerms:
    each = settings.executors.get(name)
    return ExecutorTerms(
        type=executor.type,
        model=executor.model,
        egress=executor.egress,
        identity=recorded_identity(executor, scrubber),
        timeout_ms=int((each.timeout_s if each else 86_400.0) * 1000),
        max_tokens=each.max_tokens if each else None,
        attempts=each.attempts if each else 1,
        max_parallel=each.max_parallel if each else 16,
        input_bytes=_input_bytes(executor.type, each.context_tokens if each else None),
        effects="idempotent" if executor.type == "command" else "none",
        price=price_of(executor, each),
        per_minute=each.per_minute if each else None,
        keeps_cut=executor.identity().get("cut_replies") == "keep",
    )
