"""Forks: a new run from an entry of another one, with something changed; what did not change is reused.

A fork is the same run again but for what is given: what its caller asked for is inherited, what guarded it stays in
force, and everything else (executors, policy, prices, ceilings) is as the operator has it now.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from forum_mcp.configs.names import STEPS
from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.options import RunOptions
from forum_mcp.errors import RequestRefused
from forum_mcp.ledger.canonical import UNREADABLE
from forum_mcp.ledger.entry import RunId
from forum_mcp.ledger.kinds.run import Fork
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.run import RunState
from forum_mcp.stores.base import Store

__all__ = ["Origin", "changed_plan", "guarded", "inherited", "origin_of"]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a fork starts: the entry, the request, the plan if there was one by then, and the terms of that run."""

    fork: Fork
    request: str
    plan: dict[str, object] | None
    contract: Contract
    options: RunOptions
    """What it was begun with, beside its gates."""


def origin_of(store: Store, run: RunId, seq: int | None) -> Origin:
    """Return where a fork of a run starts: after the entry ``seq`` of the run, or after its newest.

    Raises:
        NotFound: the ledger has no such run.
        RequestRefused: the entry is not one of the run's, or what the fork would rest on is gone.
    """
    newest = fold_run(store, run)
    at = newest.last_seq if seq is None else seq
    if not newest.started_seq <= at <= newest.last_seq or store.entry(at).entry.run != run:
        raise RequestRefused(
            f"entry {at} is none of run {run}, whose entries are {newest.started_seq} to {newest.last_seq}; "
            "list them with ledger_show(run_id)"
        )
    state = newest if at == newest.last_seq else fold_run(store, run, at + 1)
    if state.contract is None or not state.request or (state.plan_seq >= 0 and state.plan is None):
        raise RequestRefused(
            f"run {run} cannot be forked at entry {at}: its contract, request or plan was redacted or is gone"
        )
    return Origin(
        fork=Fork(run=run, seq=at),
        request=state.request,
        plan=_plan(store, state),
        contract=state.contract,
        options=_options(state, state.contract),
    )


def _options(state: RunState, contract: Contract) -> RunOptions:
    limits, steps = state.limits, {name: getattr(contract.steps, name) for name in STEPS}
    return cast(
        "RunOptions",
        {
            "single": contract.single,
            "lane": state.given_lane,
            "context": list(contract.context),
            "workers": contract.workers,
            "max_parallel": contract.max_parallel,
            "max_calls": limits.calls,
            "max_seconds": None if limits.ms is None else limits.ms / 1_000,
            "max_total_tokens": limits.tokens,
            "max_usd": None if limits.microusd is None else limits.microusd / 1_000_000,
            **steps,
        },
    )


def inherited(origin: Origin, options: RunOptions, plan: Mapping[str, object] | None) -> RunOptions:
    """Return the options of a fork: the given ones, and the origin's where none is given.

    A worker that is given for every lane stands for all that the origin had; a plan of the caller's own names its own
    tasks and lanes.
    """
    given = {name: value for name, value in options.items() if value is not None}
    kept: dict[str, object] = {**origin.options}
    if plan is not None:
        del kept["single"], kept["lane"]
    workers = options.get("workers") or {}
    if "*" not in workers:
        given["workers"] = {**origin.contract.workers, **workers}
    return cast("RunOptions", {**kept, **given})


def guarded(contract: Contract, origin: Contract) -> Contract:
    """Return the terms of a fork with what guarded its origin: a fork is never less guarded than what it redoes."""
    ours, theirs = contract.gates, origin.gates
    gates = msgspec.structs.replace(
        ours,
        run=ours.run or theirs.run,
        wave=ours.wave or theirs.wave,
        lanes=list(dict.fromkeys([*ours.lanes, *theirs.lanes])),
        cost_microusd=min((each for each in (ours.cost_microusd, theirs.cost_microusd) if each), default=None),
    )
    return msgspec.structs.replace(contract, gates=gates, local_only=contract.local_only or origin.local_only)


def _plan(store: Store, state: RunState) -> dict[str, object] | None:
    """Return the plan that was accepted, or that the caller had given where none was yet."""
    data = state.given_plan
    if state.plan_seq >= 0:
        body = store.body(store.entry(state.plan_seq).entry.bodies["plan"].commit)
        data = None if body is None else body.data
    try:
        return None if data is None else msgspec.json.decode(data, type=dict[str, object])
    except UNREADABLE as error:
        raise RequestRefused(f"the plan of run {state.run} cannot be read; fork it with a plan or a request") from error


def changed_plan(origin: Origin, request: str | None, plan: Mapping[str, object] | None) -> Mapping[str, object] | None:
    """Return the plan of the fork: the given one; none where the request changed; else the origin's."""
    if plan is not None or request is not None:
        return plan
    return origin.plan
