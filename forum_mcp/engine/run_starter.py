"""Starting a run: everything that can be refused is refused, then ``run.started`` is the first of its entries."""

import hashlib
import os
from collections.abc import Mapping

import msgspec

from forum_mcp.configs.nesting import refuse_nested
from forum_mcp.configs.settings import LimitSettings
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.forking import Origin, guarded
from forum_mcp.engine.options import RunOptions, check_options, check_prices, contract_for, limits_for
from forum_mcp.engine.requests import checked_plan, checked_request
from forum_mcp.engine.run_holder import RunHolder
from forum_mcp.errors import RequestRefused
from forum_mcp.ledger.entry import BodyRef, Draft, NewBody, RunId
from forum_mcp.ledger.kinds.run import RunStarted
from forum_mcp.rules.calls import JSON, TEXT
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.next import VERSIONS, environment
from forum_mcp.rules.policy import refusal
from forum_mcp.rules.roster import Roster

__all__ = ["RunStarter"]


class RunStarter:
    """Starts runs under one contract and roster."""

    def __init__(
        self, contract: Contract, roster: Roster, limits: LimitSettings, holder: RunHolder, clock: Clock
    ) -> None:
        self._contract = contract
        self._roster = roster
        self._limits = limits
        self._holder = holder
        self._clock = clock

    async def start(
        self,
        mode: str,
        request: str | None,
        plan: Mapping[str, object] | None,
        options: RunOptions,
        *,
        by: str,
        idempotency_key: str | None = None,
        origin: Origin | None = None,
    ) -> RunId:
        """Check everything that can be refused, then append ``run.started`` and hold the run.

        Raises:
            InvalidInput: the request, the plan or an option is refused; nothing was recorded.
        """
        refuse_nested(os.environ)
        check_options(options)
        self._check_lanes(options.get("workers") or {})
        lane = options.get("lane")
        if plan is not None and origin is None and (options.get("single") or lane is not None):
            raise RequestRefused("a plan names its own tasks and lanes; leave single and lane out")
        contract = contract_for(self._contract, options)
        if origin is not None:
            contract = guarded(contract, origin.contract)
        bodies = self._bodies(request, plan, contract)
        if lane is not None:
            self._check_lane(lane)
        limits = limits_for(self._limits, options)
        check_prices(contract, limits)
        seed = self._clock.entropy(32).hex()

        def started(fence: int) -> Draft:
            payload = RunStarted(
                mode=mode,
                fence=fence,
                seed=seed,
                rules=VERSIONS,
                environment=environment(),
                limits=limits,
                lane=lane,
                fork=None if origin is None else origin.fork,
            )
            parents = () if origin is None else (origin.fork.seq,)
            return Draft("run.started", by[:200], msgspec.to_builtins(payload), bodies, parents)

        run = self._new_run_id(idempotency_key)
        if not await self._holder.start(run, started):
            self._check_same(run, self._holder.scrubbed(started(0)))
        return run

    def _bodies(
        self, request: str | None, plan: Mapping[str, object] | None, contract: Contract
    ) -> dict[str, NewBody | BodyRef]:
        """Return the bodies of ``run.started``; a plan without a request is described in words of its own."""
        bodies: dict[str, NewBody | BodyRef] = {
            "contract": NewBody(JSON, contract.to_json()),
            "roster": NewBody(JSON, self._roster.to_json()),
        }
        if plan is not None:
            encoded, words = checked_plan(plan, self._roster, contract)
            bodies["plan"] = NewBody(JSON, encoded)
            request = request if request is not None else words
        bodies["request"] = NewBody(TEXT, checked_request(request).encode())
        return bodies

    def _check_same(self, run: RunId, again: Draft) -> None:
        """Refuse to answer a request with the run of another one, to which the same key was given."""
        state = self._holder.state(run)
        if state.incomplete:  # a redacted request is like every other
            return
        for name, recorded in (("request", state.request.encode()), ("plan", state.given_plan)):
            given = again.bodies.get(name)
            if recorded != (given.data if isinstance(given, NewBody) else None):
                raise RequestRefused(
                    f"the idempotency_key began run {run} with another {name}; give each request a key of its own, "
                    "or read that run"
                )

    def _new_run_id(self, idempotency_key: str | None) -> RunId:
        if idempotency_key is None:
            return RunId(self._clock.entropy(16).hex())
        if not idempotency_key.strip():
            raise RequestRefused("idempotency_key is empty, and all such requests would be one; leave it out")
        text = f"{self._holder.ledger.store.ledger_id}\n{idempotency_key}"
        return RunId(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])

    def _check_lanes(self, workers: Mapping[str, str]) -> None:
        for lane in workers:
            if lane != "*":
                self._check_lane(lane)

    def _check_lane(self, name: str) -> None:
        lane = self._roster.lanes.get(name)
        if lane is None:
            raise RequestRefused(f"lane {name[:80]!r} is not in the roster; lanes are: {', '.join(self._roster.lanes)}")
        if (why := refusal(self._contract.policy, lane)) is not None:
            raise RequestRefused(f"lane {name!r} is not permitted: {why}")
