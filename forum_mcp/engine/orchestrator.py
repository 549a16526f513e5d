"""The front of the engine: every operation, once, for MCP, the CLI and Python."""

import logging
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self, Unpack

import anyio
import anyio.lowlevel

from forum_mcp.configs.nesting import refuse_nested
from forum_mcp.configs.paths import default_ledger
from forum_mcp.configs.settings import Settings
from forum_mcp.engine.advice import Advice
from forum_mcp.engine.assembly import contract_of, executors_of, roster_of
from forum_mcp.engine.assistance import Assistance
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.custody import growth
from forum_mcp.engine.daemon_client import ask_daemon
from forum_mcp.engine.event_scrubbing import scrubber_of
from forum_mcp.engine.forking import changed_plan, inherited, origin_of
from forum_mcp.engine.gate_desk import GateDesk
from forum_mcp.engine.history import History
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.options import RunOptions
from forum_mcp.engine.outcomes import cancellation
from forum_mcp.engine.run_holder import RunHolder
from forum_mcp.engine.run_starter import RunStarter
from forum_mcp.engine.run_views import finished_line, run_line, run_state, run_view
from forum_mcp.engine.views import GatesView, ReplayView, RunLine, RunsView, RunView
from forum_mcp.engine.work_desk import WorkDesk
from forum_mcp.errors import AppendRefused, ExecutorsDiffer, LedgerUnreadable, NotFound, RequestRefused, RunHeld
from forum_mcp.executors.base import Executor
from forum_mcp.executors.sampler import Sampler
from forum_mcp.ledger.entry import RunId
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.roster import Roster
from forum_mcp.rules.run import RunState
from forum_mcp.stores.base import RunRow

__all__ = ["Orchestrator"]

_log = logging.getLogger(__name__)

_WAIT_MAX_S: Final = 3_600.0
_RESUMED_MAX: Final = 1_000


class Orchestrator(Assistance, Advice):
    """One open forum: a ledger, a roster, executors, and the runs this process holds.

    Made by ``open``; not to be used after it is left.
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: Settings,
        roster: Roster,
        executors: Mapping[str, Executor],
        contract: Contract,
        holder: RunHolder,
        clock: Clock,
        sampler: Sampler,
    ) -> None:
        self.ledger = ledger
        self.sampler = sampler
        """Where questions to a client's model wait for a client."""
        self._settings = settings
        self.witnesses = settings.custody.witnesses
        """Verifier keys of the third parties whose signatures count."""
        self.takes_approvals = settings.gates.allow_tool
        """Whether a tool call may resolve a gate."""
        self.asks_approvals = True
        """Whether the person behind whoever calls may resolve a gate."""
        self._roster = roster
        self._executors = executors
        self._contract = contract
        self._holder = holder
        self._desk = WorkDesk(holder, clock)
        self._gates = GateDesk(holder, clock)
        self._starter = RunStarter(contract, roster, settings.limits, holder, clock)
        self._clock = clock
        self._history = History()

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
        clock = clock or Clock()
        roster = roster_of(settings)
        sampler = Sampler()
        built = executors_of(settings, executors or {}, sampler)
        scrubber = scrubber_of(settings, os.environ)
        contract = contract_of(settings, built, roster, scrubber)
        ledger = Ledger.open(
            settings.ledger or default_ledger(),
            now_us=clock.now_us,
            entropy=clock.entropy,
            checkpoint_every=settings.custody.checkpoint_every,
        )
        if (grown := growth(ledger, settings.custody.warn_mb)) is not None:
            _log.warning("%s", grown)
        holder = RunHolder(ledger, built, scrubber, clock)
        try:
            async with anyio.create_task_group() as group:
                await group.start(holder.watch)
                try:
                    yield cls(ledger, settings, roster, built, contract, holder, clock, sampler)
                finally:
                    await holder.close()
                    group.cancel_scope.cancel()
        except BaseExceptionGroup as errors:
            if len(errors.exceptions) == 1:  # the caller's own error, which only passed through the group
                raise errors.exceptions[0] from None
            raise
        finally:
            with anyio.CancelScope(shield=True):
                for executor in built.values():
                    await executor.aclose()
            ledger.close()

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
            plan = self._run_id(plan)  # the daemon sees every run; whoever asks here may not
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
        run = self._run_id(run_id)
        await anyio.lowlevel.checkpoint()  # a caller that asks again and again leaves room for what it asks about
        with anyio.move_on_after(min(max(wait_s, 0.0), _WAIT_MAX_S)):
            while not self._settled(run):
                held = self._holder.held(run)
                await (held.changed if held is not None else self._holder.changed).wait()
        return self._view(self._holder.state(run))

    def runs(self, *, limit: int = 20, before: int | None = None) -> RunsView:
        """List runs, newest first; ``before`` is the cursor a page ends with."""
        rows = self.ledger.store.runs(limit + 1, before)
        lines = [self._line(row) for row in rows[:limit]]
        return RunsView(runs=lines, before=rows[limit - 1].first_seq if len(rows) > limit else None)

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "person:local") -> RunView:
        """Cancel a run and wait until what it had under way is ended.

        Raises:
            NotFound: the ledger has no such run.
        """
        run = self._run_id(run_id)
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
        run = self._run_id(run_id)
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
        rows = self.ledger.store.runs(_RESUMED_MAX)
        interrupted: list[RunLine] = []
        for row in rows:
            await anyio.lowlevel.checkpoint()  # one that is not over is folded: others have their turn in between
            line = self._line(row)
            if line.state == "interrupted":
                interrupted.append(line)
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
        origin = origin_of(self.ledger.store, self._run_id(run_id), seq)
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
        return self._gates.pending(None if run_id is None else self._run_id(run_id))

    async def resolve(
        self,
        gate: int,
        *,
        approved: bool,
        by: str = "person:local",
        how: str = "api",
        scope: str = "once",
        until_us: int | None = None,
        digest: str | None = None,
        reason: str = "",
        take_up: bool = True,
        wait_s: float = 0.0,
    ) -> RunView:
        """Approve or reject a gate: this one (``once``), its class in this run (``run``), or ``class`` until a time.

        ``digest`` is the commitment of what was read; when given it must be the gate's. ``how`` says how it is known
        who decided. ``take_up``: go on with the run here when no process holds it.

        Raises:
            NotFound: there is no such gate.
            RequestRefused: the scope or its end cannot be.
            AppendRefused: the gate is not open any more, or asks for something else.
        """
        run = await self._gates.resolve(
            gate,
            approved=approved,
            by=by,
            how=how,
            scope=scope,
            until_us=until_us,
            digest=digest,
            reason=reason,
            take_up=take_up,
        )
        return await self.run(run, wait_s=wait_s)

    def replay(self, until: int | str | None = None, run_id: str | None = None) -> ReplayView:
        """Rebuild the state after the entry ``until`` (a seq, or a time) and return it; runs nothing.

        Raises:
            NotFound: no such entry or run.
        """
        return self.ledger.replay(until, run_id)

    def _run_id(self, run_id: str) -> RunId:
        if self.ledger.store.newest(RunId(run_id)) is None:
            raise NotFound(f"run {run_id[:80]!a} is not in this ledger; list runs to see those that are")
        return RunId(run_id)

    def _line(self, row: RunRow) -> RunLine:
        done = finished_line(self.ledger.store, row)
        return done or run_line(self._holder.state(row.run), live=self._holder.live(row.run))

    def _settled(self, run: RunId) -> bool:
        """Tell whether waiting is of no use: the run is over, rests, waits for its caller, or nobody holds it."""
        held = self._holder.held(run)
        if held is not None:
            word = run_state(held.folded.state, live=True)
            return word == "waiting" and held.quiet and held.folded.state.phase != "rest"
        return not self._holder.live(run) or run_state(self._holder.state(run), live=True) != "running"

    def _view(self, state: RunState) -> RunView:
        live = self._holder.live(state.run)
        return run_view(self.ledger.store, state, live=live, checkpoint=self.ledger.newest_checkpoint())
