"""The front of the engine: every operation, once, for MCP, the CLI and Python."""

import logging
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self, Unpack

import anyio
import anyio.lowlevel

from forum_mcp.configs.nesting import refuse_nested
from forum_mcp.configs.settings import Settings
from forum_mcp.engine.advice import Advice
from forum_mcp.engine.approving import ResolutionTerms
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.daemon_client import ask_daemon
from forum_mcp.engine.forking import changed_plan, inherited, origin_of
from forum_mcp.engine.gate_desk import GateDesk
from forum_mcp.engine.history import History
from forum_mcp.engine.learning import LearnedView
from forum_mcp.engine.opening import Parts, opened
from forum_mcp.engine.options import RunOptions
from forum_mcp.engine.outcomes import cancellation
from forum_mcp.engine.requests import checked_request
from forum_mcp.engine.run_reader import RunReader
from forum_mcp.engine.run_starter import RunStarter
from forum_mcp.engine.run_views import roster_rows, route_view
from forum_mcp.engine.views import GatesView, ReplayView, RouteView, RunLine, RunsView, RunView, WorkItem, WorkView
from forum_mcp.engine.work_desk import WorkDesk
from forum_mcp.errors import AppendRefused, ExecutorsDiffer, LedgerUnreadable, RequestRefused, RunHeld
from forum_mcp.executors.base import Executor
from forum_mcp.ledger.entry import RunId
from forum_mcp.rules.routing import route
from forum_mcp.stores.base import RunRow

__all__ = ["Orchestrator"]

_log = logging.getLogger(__name__)

_RESUMED_MAX: Final = 1_000


class Orchestrator:
    """One open forum: a ledger, a roster, executors, and the runs this process holds.

    Made by ``open``; not to be used after it is left.
    """

    def __init__(self, parts: Parts) -> None:
        self.ledger = parts.ledger
        """The record."""
        self.sampler = parts.sampler
        """Where questions to a client's model wait for a client."""
        self.witnesses = parts.settings.custody.witnesses
        """Verifier keys of the third parties whose signatures count."""
        self.takes_approvals = parts.settings.gates.allow_tool
        """Whether a tool call may resolve a gate."""
        self.asks_approvals = True
        """Whether the person behind whoever calls may resolve a gate."""
        self.history = History()
        """What was read of runs that are over."""
        self._settings = parts.settings
        self._roster = parts.roster
        self._contract = parts.contract
        self._holder = parts.holder
        self._reader = RunReader(parts.holder)
        self._work = WorkDesk(parts.holder, parts.clock)
        self._gates = GateDesk(parts.holder, parts.clock)
        self._starter = RunStarter(parts.contract, parts.roster, parts.settings.limits, parts.holder, parts.clock)
        self._advice = Advice(parts.ledger, self.history)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, *, executors: Mapping[str, Executor] | None = None, clock: Clock | None = None
    ) -> AsyncGenerator[Self]:
        """Open the ledger (made on first use) and hold a place for runs; leaving lets them go in order.

        ``executors`` stand for the configured ones of their names.

        Raises:
            ConfigRefused, RosterRefused: the settings do not make a working whole.
            LedgerError: the ledger cannot be used.
        """
        async with opened(settings, executors=executors, clock=clock) as parts:
            yield cls(parts)

    def route(self, request: str) -> RouteView:
        """Route a request; records nothing.

        Raises:
            RequestRefused: the request is empty or too long.
        """
        return route_view(route(checked_request(request), self._roster), self._roster)

    def roster(self) -> list[dict[str, object]]:
        """Return the lanes: name, category, tier, description, keywords, and whether policy permits them."""
        return roster_rows(self._roster, self._contract.policy)

    async def plan(
        self,
        request: str | None = None,
        *,
        plan: Mapping[str, object] | None = None,
        wait_s: float = 45.0,
        by: str = "person:local",
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Open a run that rests once its plan is accepted; ``submit(plan=run_id)`` goes on.

        Raises:
            InvalidInput: the request, the plan or an option is refused; nothing was recorded.
        """
        run = await self._starter.start("plan", request, plan, options, by=by)
        return await self.quoted(await self.run(run, wait_s=wait_s))

    async def quoted(self, view: RunView) -> RunView:
        """Return the view of a planned run with what it is likely to take, by what tasks like its own took before."""
        return await self._advice.quoted(view)

    async def learned(self) -> LearnedView:
        """Return which lanes and models earned passing verdicts, at what cost: advice that changes nothing."""
        return await self._advice.learned()

    async def submit(
        self,
        request: str | None = None,
        *,
        plan: Mapping[str, object] | str | None = None,
        idempotency_key: str | None = None,
        wait_s: float = 45.0,
        by: str = "person:local",
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Start a run and wait at most ``wait_s`` seconds for it to end or to need its caller.

        ``plan`` is a plan of the caller's own, or the id of a run that rests after its plan. An ``idempotency_key``
        that was used before joins that run, if request and plan are the same. ``by`` is the actor that is recorded.
        ``detach``: the daemon of these settings, started if need be, holds the run, which then goes on when this
        process ends.

        Raises:
            InvalidInput: the request, the plan or an option is refused; nothing was recorded.
            NotFound: the ledger has no run of that id.
            RunHeld: another live process goes on with the planned run.
            ExecutorsDiffer: the planned run was begun with executors that this process does not have.
        """
        if isinstance(plan, str):
            plan = self._reader.known(plan)  # refused here, before a daemon is started for it
        if detach:
            refuse_nested(os.environ)
            told = {"request": request, "plan": plan, "idempotency_key": idempotency_key, "by": by, "options": options}
            return await self.run(await ask_daemon(self._settings, {"do": "submit", **told}), wait_s=wait_s)
        if isinstance(plan, str):
            if request is not None or any(given not in (None, False) for given in options.values()):
                raise RequestRefused(
                    f"run {plan[:80]} was begun with its request and options; submit it without any of them"
                )
            if self._holder.state(RunId(plan)).phase != "rest":
                raise RequestRefused(f"run {plan} does not rest after its plan; read it with run(run_id)")
            refuse_nested(os.environ)
            await self._holder.resume(RunId(plan), mode="submit")
            return await self.run(plan, wait_s=wait_s)
        run = await self._starter.start("submit", request, plan, options, by=by, idempotency_key=idempotency_key)
        return await self.run(run, wait_s=wait_s)

    async def run(self, run_id: str, *, wait_s: float = 0.0) -> RunView:
        """Return a run as its record tells it, waiting at most ``wait_s`` seconds for it to end or need its caller.

        Raises:
            NotFound: the ledger has no such run.
        """
        return await self._reader.wait(self._reader.known(run_id), wait_s)

    def runs(self, *, limit: int = 20, before: int | None = None) -> RunsView:
        """List runs, newest first; ``before`` is the cursor a page ends with."""
        rows = self.ledger.store.runs(limit + 1, before)
        return RunsView(runs=self.lines(rows[:limit]), before=rows[limit - 1].first_seq if len(rows) > limit else None)

    def lines(self, rows: Sequence[RunRow]) -> list[RunLine]:
        """Return runs of the ledger as they stand in a list, in the order given."""
        return self._reader.lines(rows)

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "person:local") -> RunView:
        """Cancel a run and wait until what it had under way is ended.

        Raises:
            NotFound: the ledger has no such run.
        """
        run = self._reader.known(run_id)
        try:
            await self._holder.report(run, cancellation(by, reason))
        except AppendRefused:
            if self._holder.state(run).phase != "finished":
                raise
        return await self.run(run_id, wait_s=5.0)

    async def resume(self, run_id: str, *, wait_s: float = 45.0, detach: bool = False) -> RunView:
        """Go on with a run that no live process holds; settled tasks are not run again.

        ``detach``: the daemon of these settings holds it from now on, as with ``submit``.

        Raises:
            NotFound: the ledger has no such run.
            RunHeld: another live process holds it.
            ExecutorsDiffer: it was begun with executors that this process does not have.
        """
        refuse_nested(os.environ)
        run = self._reader.known(run_id)
        if self._holder.state(run).phase not in ("finished", "rest"):
            if detach:
                await ask_daemon(self._settings, {"do": "resume", "run_id": run_id})
            else:
                await self._holder.resume(run)
        return await self.run(run_id, wait_s=wait_s)

    async def resume_all(self, *, detach: bool = False) -> list[RunLine]:
        """Take up every interrupted run among the newest 1,000, and return them as they were; wait for none.

        One whose executors this process does not have, or whose terms are gone, stays as it is, and a warning says so.
        """
        interrupted: list[RunLine] = []
        for row in self.ledger.store.runs(_RESUMED_MAX):
            await anyio.lowlevel.checkpoint()  # one that is not over is folded: others have their turn in between
            interrupted += [line for line in self.lines([row]) if line.state == "interrupted"]
        left: list[RunLine] = []
        for line in interrupted:
            try:
                await self.resume(line.run_id, wait_s=0.0, detach=detach)
            except RunHeld:
                _log.info("run %s was taken up by another process in the meantime", line.run_id)
            except (ExecutorsDiffer, LedgerUnreadable) as error:
                _log.warning("%s", error)
                left.append(line)
        return [line for line in interrupted if line not in left]

    async def fork(
        self,
        run_id: str,
        *,
        seq: int | None = None,
        request: str | None = None,
        plan: Mapping[str, object] | None = None,
        wait_s: float = 45.0,
        by: str = "person:local",
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Start a run from an entry of another one (default: its newest), with what is given changed.

        Tasks that had passed by then and whose key is unchanged are reused, each citing the entry that settled it.
        ``detach``: the daemon of these settings holds the new run, as with ``submit``.

        Raises:
            NotFound: the ledger has no such run.
            InvalidInput: the entry is not the run's, or the request, the plan or an option is refused.
        """
        origin = origin_of(self.ledger.store, self._reader.known(run_id), seq)
        if detach:
            refuse_nested(os.environ)
            told = {"run_id": run_id, "seq": origin.fork.seq, "request": request, "plan": plan, "by": by}
            order = {"do": "fork", **told, "options": options}
            return await self.run(await ask_daemon(self._settings, order), wait_s=wait_s)
        run = await self._starter.start(
            "submit",
            request if request is not None else origin.request,
            changed_plan(origin, request, plan),
            inherited(origin, options, plan),
            by=by,
            origin=origin,
        )
        return await self.run(run, wait_s=wait_s)

    def may_lend(self, run_id: str) -> bool:
        """Tell whether the model of whoever uses this forum may be asked for a run."""
        return self.ledger.store.newest(RunId(run_id)) is not None

    def holds(self) -> list[str]:
        """Return the ids of the runs this process holds, oldest first."""
        return [held.folded.run for held in self._holder.held_runs()]

    def sees(self, run_id: str) -> bool:
        """Tell whether whoever uses this forum may read a run."""
        return True

    def gates(self, run_id: str | None = None) -> GatesView:
        """List the gates that wait for an approval, of one run or of the newest ones.

        Raises:
            NotFound: the ledger has no such run.
        """
        return self._gates.pending(None if run_id is None else self._reader.known(run_id))

    async def resolve(
        self,
        gate: int,
        *,
        approved: bool,
        by: str = "person:local",
        take_up: bool = True,
        wait_s: float = 0.0,
        **terms: Unpack[ResolutionTerms],
    ) -> RunView:
        """Approve or reject a gate, alone unless a wider ``scope`` is given; see ``approving.ResolutionTerms``.

        ``take_up``: go on with the run here when no process holds it.

        Raises:
            NotFound: there is no such gate.
            RequestRefused: the scope or its end cannot be.
            AppendRefused: the gate is not open any more, or asks for something else.
        """
        run = await self._gates.resolve(gate, approved=approved, by=by, take_up=take_up, **terms)
        return await self.run(run, wait_s=wait_s)

    async def work_next(
        self, run_id: str | None = None, *, limit: int = 1, item: int | None = None, client: str = "host"
    ) -> WorkView:
        """Hand out the next items on offer, of one run or of any; or ``item`` again, whose answer was lost.

        Where nothing is on offer but ``client`` has an item that it did not hand back, ``next`` names that.

        Raises:
            NotFound: the ledger has no such run, or no such item.
            AttemptClosed: ``item`` has its outcome already.
        """
        run = None if run_id is None else self._reader.known(run_id)
        return await self._work.next(run, limit=limit, item=item, client=client)

    def work_open(self, run_id: str) -> list[WorkItem]:
        """Return the items of a run that nobody has taken; they stay on offer.

        Raises:
            NotFound: the ledger has no such run.
        """
        return self._work.on_offer(self._reader.known(run_id))

    async def work_complete(self, item: int, result: str, *, client: str = "host", wait_s: float = 5.0) -> WorkView:
        """Take a result back; the view says what to do next.

        Raises:
            NotFound: no such item.
            RequestRefused: the result is larger than an item may be.
            AttemptClosed: the item has its outcome already.
        """
        return await self._taken_back(await self._work.take_back(item, client, result=result, reason=None), wait_s)

    async def work_fail(self, item: int, reason: str, *, client: str = "host", wait_s: float = 5.0) -> WorkView:
        """Take back that the assistant cannot or will not do the item.

        Raises:
            NotFound: no such item.
            AttemptClosed: the item has its outcome already.
        """
        return await self._taken_back(await self._work.take_back(item, client, result=None, reason=reason), wait_s)

    async def work_progress(self, item: int, note: str = "", *, client: str = "host") -> WorkView:
        """Record that the item is still being done, and how far it is; it is kept for ``client`` anew.

        Raises:
            NotFound: no such item.
            AttemptClosed: the item has its outcome already, or went to somebody else.
        """
        return self._work.view([], [await self._work.prolong(item, client, note)], item)

    async def _taken_back(self, run: RunId, wait_s: float) -> WorkView:
        await self.run(run, wait_s=wait_s)
        return self._work.view([], [run])

    def replay(self, until: int | str | None = None, run_id: str | None = None) -> ReplayView:
        """Rebuild the state after the entry ``until`` (a seq, or a time) and return it; runs nothing.

        Raises:
            NotFound: no such entry or run.
        """
        return self.ledger.replay(until, run_id)
