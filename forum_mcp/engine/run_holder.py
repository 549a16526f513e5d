"""The runs this process holds: how one is started, taken up again and let go."""

import logging
from collections.abc import Callable, Mapping
from typing import cast

import anyio
import anyio.abc
import msgspec

from forum_mcp.engine.clock import Clock
from forum_mcp.engine.event_scrubbing import scrub_event
from forum_mcp.engine.folding import Folded
from forum_mcp.engine.grounds import check_complete, check_whole
from forum_mcp.engine.leases import holder_id, renew_lease, take_lease
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.outcomes import Event
from forum_mcp.engine.performer import Performer
from forum_mcp.engine.recorder import Recorder
from forum_mcp.engine.run_loop import HeldRun
from forum_mcp.engine.run_views import is_live
from forum_mcp.engine.scrubbing import Scrubber
from forum_mcp.errors import ExecutorsDiffer, Fenced, ForumError, LedgerUnreadable, RunHeld
from forum_mcp.executors.base import Executor, Outcome
from forum_mcp.ledger.entry import Draft, RunId
from forum_mcp.ledger.kinds.run import RunResumed
from forum_mcp.rules.run import CONTEXT, RunState
from forum_mcp.stores.base import Lease, Transaction

__all__ = ["RunHolder"]

_log = logging.getLogger(__name__)

_NOTICE_S = 0.2
_RENEW_US = 5_000_000
_CLOSE_S = 1.5
_LOOK_S = 1.0
_READ_MAX = 32


class RunHolder:
    """The runs this process holds, and the appends it makes to runs that others hold."""

    def __init__(self, ledger: Ledger, executors: Mapping[str, Executor], scrubber: Scrubber, clock: Clock) -> None:
        self.ledger = ledger
        self.recorder = Recorder(ledger.store)
        self.changed = anyio.Event()
        """Set and replaced when another process has committed, or a held run has ended."""
        self._executors = executors
        self._scrubber = scrubber
        self._clock = clock
        self._holder = holder_id(clock.entropy(4).hex())
        self._held: dict[RunId, HeldRun] = {}
        self._read: dict[RunId, Folded] = {}
        self._taking = anyio.Lock()
        self._closing = False
        self._token = ledger.store.change_token()

    def held(self, run: RunId) -> HeldRun | None:
        """Return the run if this process holds it."""
        return self._held.get(run)

    def held_runs(self) -> list[HeldRun]:
        """Return the runs this process holds, oldest first."""
        return list(self._held.values())

    def state(self, run: RunId) -> RunState:
        """Return the run's state: the live one of a held run, else folded from the record.

        Raises:
            NotFound: the ledger has no such run.
        """
        held = self._held.get(run)
        if held is not None:
            return held.folded.state
        folded = self._read.pop(run, None)
        if folded is None:
            folded = Folded(self.ledger.store, run, self._scrubber)
        else:
            folded.follow()
        self._remember(folded)
        return folded.state

    def _remember(self, folded: Folded) -> None:
        """Keep a folded run, the newest last, so that one somebody waits for is not folded from its start."""
        self._read[folded.run] = folded
        if len(self._read) > _READ_MAX:
            del self._read[next(iter(self._read))]

    def live(self, run: RunId) -> bool:
        """Tell whether some process, this one included, holds the run."""
        return run in self._held or is_live(self.ledger.store.lease(run), self._clock.now_us())

    async def watch(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Notice foreign appends and renew leases until cancelled; held runs live in this task's group."""
        async with anyio.create_task_group() as self._group:
            task_status.started()
            renewed_us = self._clock.now_us()
            looked_s = anyio.current_time()
            while True:
                await anyio.sleep(_NOTICE_S)
                token = self.ledger.store.change_token()
                changed, self._token = token != self._token, token
                if changed:
                    for held in self.held_runs():
                        held.wake()
                if changed or anyio.current_time() - looked_s > _LOOK_S:  # a lease that runs out changes no entry
                    looked_s = anyio.current_time()
                    self._notify()
                if self._held and self._clock.now_us() - renewed_us > _RENEW_US:
                    renewed_us = self._clock.now_us()
                    await self._renew(renewed_us)

    def scrubbed(self, draft: Draft) -> Draft:
        """Return an event as it is recorded: without the secrets this process knows."""
        return scrub_event(draft, self._scrubber)

    async def start(self, run: RunId, started: Callable[[int], Draft]) -> bool:
        """Append ``run.started`` (given the fencing number) and hold the run; False when it was begun before."""
        store = self.ledger.store

        def work(tx: Transaction) -> tuple[Folded, Lease] | None:
            if tx.newest(run) is not None:
                return None
            lease = take_lease(tx, run, self._holder, self._clock.now_us())
            folded = Folded(store, run, self._scrubber, RunState(run))
            folded.append(tx, started(lease.fence), t_ms=0, at_us=self._clock.now_us())
            return folded, lease

        begun: tuple[Folded, Lease] | None = None
        with anyio.CancelScope(shield=True):  # what is begun is held, though its caller goes away
            begun = await self.recorder.record(work)
            if begun is not None:
                await self._hold(*begun)
        return begun is not None

    async def resume(self, run: RunId, *events: Event, mode: str | None = None) -> bool:
        """Take the run's lease, record that it goes on, what is in doubt and the news, and hold it.

        Return False when there was nothing to take up: this process holds the run, or it is over.

        Raises:
            AppendRefused: the record has moved past an event; nothing was taken up.
            RunHeld: another live process holds it.
            ExecutorsDiffer: it was begun with executors that this process does not have.
            NotFound: the ledger has no such run.
            LedgerUnreadable: what the run is decided from is gone.
        """
        async with self._taking:
            held = self._held.get(run)
            if held is not None and not held.leaving:
                return False
            if held is not None:
                await held.gone.wait()
            folded = Folded(self.ledger.store, run, self._scrubber)

            def work(tx: Transaction) -> Lease | None:
                folded.catch_up(tx)
                state = folded.state
                if state.phase == "finished":
                    return None
                check_whole(state)
                lease = take_lease(tx, run, self._holder, self._clock.now_us())
                doubtful = [seq for seq, item in state.open.items() if item.type != "host"]
                data = msgspec.to_builtins(RunResumed(fence=lease.fence, in_doubt=doubtful, mode=mode))
                draft = Draft("run.resumed", "engine", data, {}, (state.started_seq,))
                folded.append(tx, draft, t_ms=state.t_ms, at_us=self._clock.now_us())
                for event in events:
                    folded.append(tx, event(folded.state), t_ms=state.t_ms, at_us=self._clock.now_us())
                if folded.state.cancelled_seq < 0:
                    check_complete(folded.state)
                    self._check_executors(folded.state)
                return lease

            lease: Lease | None = None
            with anyio.CancelScope(shield=True):
                lease = await self.recorder.record(work)
                if lease is not None:
                    await self._hold(folded, lease)
            return lease is not None

    async def report(self, run: RunId, *events: Event, take_up: bool = True) -> None:
        """Append events to a run: through the loop if this process holds it, beside it if another does.

        A run that nobody holds is taken up first, unless ``take_up`` is False: whoever brings it news goes on with it.
        One that cannot be taken up here keeps the news all the same.

        Raises:
            AppendRefused: the record has moved past an event.
        """
        while True:
            held = self._held.get(run)
            if held is None:
                try:
                    if take_up and not self._closing and await self.resume(run, *events):
                        return
                except (RunHeld, ExecutorsDiffer, LedgerUnreadable):  # nobody goes on with it here; the news is kept
                    pass
                if run not in self._held:
                    await self.append(run, *events)
                    return
            elif not held.leaving:
                try:
                    await held.step(*events)
                    held.wake()
                    return
                except Fenced:
                    held.wake()
            if held is not None:
                await held.gone.wait()

    def _check_executors(self, state: RunState) -> None:
        """Refuse a run that would fail here, task by task, for want of what it was begun with.

        Raises:
            ExecutorsDiffer: an executor that may still be called is missing here, or is another one.
        """
        assert state.contract is not None
        performer = Performer(self.ledger.store, self._executors, self._scrubber, state.contract)
        reads_on = state.phase in ("route", "context", "rest")
        for name, terms in state.contract.executors.items():
            if terms.type == "host" or (name.startswith(CONTEXT) and not reads_on):
                continue
            found = performer.executor(name)
            if isinstance(found, Outcome):
                raise ExecutorsDiffer(f"run {state.run} cannot go on here: {found.detail}, or fork the run")

    async def append(self, run: RunId, *events: Event) -> None:
        """Append events beside the run's holder, deciding nothing.

        Raises:
            AppendRefused: the record has moved past an event.
        """
        folded = Folded(self.ledger.store, run, self._scrubber)

        def work(tx: Transaction) -> None:
            folded.catch_up(tx)
            for event in events:
                folded.append(tx, event(folded.state), t_ms=folded.state.t_ms, at_us=self._clock.now_us())

        await self.recorder.record(work)

    async def close(self) -> None:
        """Let every held run go, in order and within a deadline; what is left is in doubt and resumable."""
        self._closing = True
        with anyio.move_on_after(_CLOSE_S, shield=True):
            for held in self.held_runs():
                held.let_go()
            while self._held:
                await self.changed.wait()
        self.recorder.give_up()  # else a write lock that another process keeps would keep this one from ending

    async def _hold(self, folded: Folded, lease: Lease) -> None:
        assert folded.state.contract is not None
        performer = Performer(self.ledger.store, self._executors, self._scrubber, folded.state.contract)
        held = HeldRun(folded, lease, self.recorder, performer, self._clock, self._sign)
        self._held[folded.run] = held
        await self._group.start(self._run, held)
        self._notify()

    async def _run(self, held: HeldRun, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Hold one run to its end here; whatever goes wrong stays with that run."""
        run = held.folded.run
        try:
            await held.hold(task_status.started)
            self._remember(held.folded)
        except Exception as error:
            refusals = _refusals(error)
            if refusals:
                _log.error("run %s stopped here: %s; it can be resumed", run, refusals[0])
            else:
                _log.exception("run %s stopped here; it can be resumed", run)
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await self._release(held)
                except ForumError as error:
                    _log.warning("run %s was not released in order: %s", run, error)
                self._held.pop(run, None)
                held.gone.set()
                held.announce()
                self._notify()

    async def _release(self, held: HeldRun) -> None:
        lease = held.lease
        now = self.ledger.store.lease(lease.run)
        if now is None or (now.holder, now.fence) != (lease.holder, lease.fence):
            return  # taken over: the run's end is another's to sign
        try:
            if (finished := held.folded.state.finished_seq) >= 0:
                self.ledger.record_checkpoint((finished,))
        finally:
            if now.expires_us > 0:  # else it ended with the run, in one transaction
                await self.recorder.record(lambda tx: tx.drop_lease(lease.run, lease.fence))

    def _sign(self, parent: int) -> None:
        """Record a checkpoint; one that cannot be signed or recorded is logged and stops no run."""
        try:
            self.ledger.record_checkpoint((parent,))
        except ForumError as error:
            _log.warning("no checkpoint was recorded after entry %d: %s", parent, error)

    async def _renew(self, now_us: int) -> None:
        for held in self.held_runs():
            lease = held.lease
            try:
                await self.recorder.record(lambda tx, lease=lease: renew_lease(tx, lease, now_us))  # type: ignore[misc]
            except ForumError as error:
                _log.warning("the lease of run %s was not renewed: %s", lease.run, error)
                held.wake()

    def _notify(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


def _refusals(error: BaseException) -> list[ForumError]:
    """Return what stopped a run, when all of it is refusals of ours (a full disk is one); else nothing."""
    if isinstance(error, ForumError):
        return [error]
    if not isinstance(error, BaseExceptionGroup):
        return []
    parts = [_refusals(part) for part in cast("BaseExceptionGroup[BaseException]", error).exceptions]
    return [refusal for part in parts for refusal in part] if all(parts) else []
