"""The forum as one principal of a shared server may use it.

A principal reads the entries of the runs it began and the bodies they cite; of every other entry there is the leaf
hash. Checkpoints, roots and proofs are open: they prove the record and hold nothing of it. What may be *done*
depends on scopes.

It is made of two parts: the ledger as the principal reads it, and the whole forum, which does what is judged here. An
operation that does not stand here is one that no principal has.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, Unpack

from forum_mcp.engine.advice import Advice
from forum_mcp.engine.approving import ResolutionTerms
from forum_mcp.engine.learning import LearnedView
from forum_mcp.engine.options import RunOptions
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.principal import ADMIN, APPROVE, SUBMIT, Principal
from forum_mcp.engine.principal_ledger import PrincipalLedger
from forum_mcp.engine.reading import known_run
from forum_mcp.engine.views import GatesView, RouteView, RunsView, RunView, WorkItem, WorkView
from forum_mcp.executors.sampler import Sampler
from forum_mcp.ledger.entry import RunId
from forum_mcp.stores.principal import Owners

__all__ = ["PrincipalForum"]

_RUNS_LOOKED_AT: Final = 20


class PrincipalForum:
    """The ``Forum`` port for one principal: a run of somebody else is not found, whatever operation asks for it."""

    def __init__(self, whole: Orchestrator, principal: Principal, owners: Owners) -> None:
        self._whole = whole
        self._principal = principal
        self._owners = owners
        self._ledger = PrincipalLedger(whole.ledger, principal, owners)
        self._advice = Advice(self._ledger, whole.history)

    @property
    def ledger(self) -> PrincipalLedger:
        """The record, as the principal may read it."""
        return self._ledger

    @property
    def sampler(self) -> Sampler:
        """Where questions to a client's model wait for a client; ``may_lend`` says for which runs."""
        return self._whole.sampler

    @property
    def witnesses(self) -> Sequence[str]:
        """Verifier keys of the third parties whose signatures count."""
        return self._whole.witnesses

    @property
    def takes_approvals(self) -> bool:
        """Whether a tool call may resolve a gate."""
        return self._principal.may(APPROVE)

    @property
    def asks_approvals(self) -> bool:
        """Whether the person behind the client may resolve a gate."""
        return self._principal.may(APPROVE)

    def route(self, request: str) -> RouteView:
        """Route a request; records nothing."""
        return self._whole.route(request)

    def roster(self) -> list[dict[str, object]]:
        """Return the lanes, and whether policy permits them."""
        return self._whole.roster()

    async def plan(
        self,
        request: str | None = None,
        *,
        plan: Mapping[str, object] | None = None,
        wait_s: float = 45.0,
        by: str = "",
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Plan a request in the principal's name."""
        self._principal.need(SUBMIT)
        _reuse_nothing(options)
        begun = await self._whole.plan(request, plan=plan, wait_s=wait_s, by=self._principal.actor, **options)
        return await self.quoted(begun)

    async def quoted(self, view: RunView) -> RunView:
        """Return the view of a planned run with what it is likely to take, by what the principal's own runs took."""
        return await self._advice.quoted(view)

    async def learned(self) -> LearnedView:
        """Return which lanes and models earned passing verdicts in the principal's own runs."""
        return await self._advice.learned()

    async def submit(
        self,
        request: str | None = None,
        *,
        plan: Mapping[str, object] | str | None = None,
        idempotency_key: str | None = None,
        wait_s: float = 45.0,
        by: str = "",
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Start a run in the principal's name; its idempotency keys are its own."""
        self._principal.need(SUBMIT)
        _reuse_nothing(options)
        return await self._whole.submit(
            request,
            plan=self._own(plan) if isinstance(plan, str) else plan,
            idempotency_key=None if idempotency_key is None else self._own_key(idempotency_key),
            wait_s=wait_s,
            by=self._principal.actor,
            detach=detach,
            **options,
        )

    async def run(self, run_id: str, *, wait_s: float = 0.0) -> RunView:
        """Return a run of the principal, waiting at most ``wait_s`` seconds for it to end or need its caller."""
        return await self._whole.run(self._own(run_id), wait_s=wait_s)

    def runs(self, *, limit: int = 20, before: int | None = None) -> RunsView:
        """List the principal's runs, newest first."""
        rows = self._ledger.store.runs(limit + 1, before)
        more = rows[limit - 1].first_seq if len(rows) > limit else None
        return RunsView(runs=self._whole.lines(rows[:limit]), before=more)

    def sees(self, run_id: str) -> bool:
        """Tell whether a run is the principal's."""
        return self._ledger.store.newest(RunId(run_id)) is not None

    def may_lend(self, run_id: str) -> bool:
        """Tell whether the principal began the run: to look at another's lends it no model."""
        return self._owners.of(self._ledger.store, RunId(run_id)) == self._principal.actor

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "") -> RunView:
        """Cancel a run of the principal."""
        self._principal.need(SUBMIT)
        return await self._whole.cancel(self._own(run_id), reason=reason, by=self._principal.actor)

    async def resume(self, run_id: str, *, wait_s: float = 45.0, detach: bool = False) -> RunView:
        """Go on with a run of the principal."""
        self._principal.need(SUBMIT)
        return await self._whole.resume(self._own(run_id), wait_s=wait_s, detach=detach)

    async def fork(
        self,
        run_id: str,
        *,
        seq: int | None = None,
        request: str | None = None,
        plan: Mapping[str, object] | None = None,
        wait_s: float = 45.0,
        by: str = "",
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Fork a run of the principal."""
        self._principal.need(SUBMIT)
        _reuse_nothing(options)
        return await self._whole.fork(
            self._own(run_id),
            seq=seq,
            request=request,
            plan=plan,
            wait_s=wait_s,
            by=self._principal.actor,
            detach=detach,
            **options,
        )

    def gates(self, run_id: str | None = None) -> GatesView:
        """List the open gates of the principal's runs, of one or of the newest 20."""
        runs = [row.run for row in self._ledger.store.runs(_RUNS_LOOKED_AT)] if run_id is None else [self._own(run_id)]
        found = [gate for run in runs for gate in self._whole.gates(run).gates]
        return GatesView(gates=sorted(found, key=lambda gate: (gate.deadline_us, gate.gate)))

    async def resolve(
        self,
        gate: int,
        *,
        approved: bool,
        by: str = "",
        take_up: bool = True,
        wait_s: float = 0.0,
        **terms: Unpack[ResolutionTerms],
    ) -> RunView:
        """Resolve a gate of one of the principal's runs; a whole class of gates needs ``forum:admin``."""
        self._principal.need(ADMIN if terms.get("scope") == "class" else APPROVE)
        by = self._principal.actor
        own = self._own_entry(gate)
        return await self._whole.resolve(own, approved=approved, by=by, take_up=take_up, wait_s=wait_s, **terms)

    async def work_next(
        self, run_id: str | None = None, *, limit: int = 1, item: int | None = None, client: str = ""
    ) -> WorkView:
        """Hand out items of the principal's runs."""
        self._principal.need(SUBMIT)
        mine = self._principal.name
        if item is not None:
            return await self._whole.work_next(item=self._own_entry(item), client=mine)
        if run_id is not None:
            return await self._whole.work_next(self._own(run_id), limit=limit, client=mine)
        view = WorkView(items=[], runs={}, next=None, checkpoint=self._ledger.newest_checkpoint())
        for row in reversed(self._ledger.store.runs(_RUNS_LOOKED_AT)):
            found = await self._whole.work_next(row.run, limit=limit, client=mine)
            if found.items:
                return found
            view = found if found.next is not None and found.next.tool == "work" else view
        return view

    def work_open(self, run_id: str) -> list[WorkItem]:
        """Return the items of a run of the principal that nobody has taken."""
        return self._whole.work_open(self._own(run_id))

    async def work_complete(self, item: int, result: str, *, client: str = "", wait_s: float = 5.0) -> WorkView:
        """Take a result back for one of the principal's runs."""
        self._principal.need(SUBMIT)
        mine = self._principal.name
        return await self._whole.work_complete(self._own_entry(item), result, client=mine, wait_s=wait_s)

    async def work_fail(self, item: int, reason: str, *, client: str = "", wait_s: float = 5.0) -> WorkView:
        """Take back that an item of one of the principal's runs cannot be done."""
        self._principal.need(SUBMIT)
        mine = self._principal.name
        return await self._whole.work_fail(self._own_entry(item), reason, client=mine, wait_s=wait_s)

    async def work_progress(self, item: int, note: str = "", *, client: str = "") -> WorkView:
        """Record that an item of one of the principal's runs is still being done."""
        self._principal.need(SUBMIT)
        return await self._whole.work_progress(self._own_entry(item), note, client=self._principal.name)

    def _own(self, run_id: str) -> RunId:
        """Return the id of a run of the principal.

        Raises:
            NotFound: it has no such run.
        """
        return known_run(self._ledger.store, run_id)

    def _own_entry(self, seq: int) -> int:
        """Return the seq of an entry that the principal may read.

        Raises:
            NotFound: there is no such entry, or it is withheld.
        """
        return self._ledger.store.entry(seq).entry.seq

    def _own_key(self, key: str) -> str:
        if not key.strip():
            return key  # which is refused
        return hashlib.sha256(f"{self._principal.name}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _reuse_nothing(options: RunOptions) -> None:
    """Have no work of other runs taken over: that it was done already would tell what others have had done."""
    options["reuse"] = False
