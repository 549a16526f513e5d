"""Holding a run: the loop that decides, appends, performs and waits.

    one transaction: fold what is new, append the event, append every decision it makes possible
    perform each call that was started; its outcome is the next event

An event comes from outside the rules: an outcome, a timer, a cancel. Everything the loop knows is the record:
a run that is resumed after its process died enters here with a folded state and nothing else.
"""

import logging
from collections.abc import Sequence

import anyio
import anyio.abc
import msgspec

from forum_mcp.engine.clock import ActiveClock, Clock
from forum_mcp.engine.folding import Folded
from forum_mcp.engine.leases import check
from forum_mcp.engine.outcomes import Event, Performer, open_call, outcome_event
from forum_mcp.engine.recorder import Recorder
from forum_mcp.errors import AttemptClosed, Fenced, ForumError, StaleAppend
from forum_mcp.executors.base import Outcome
from forum_mcp.ledger.entry import Draft
from forum_mcp.ledger.kinds.call import CallStarted
from forum_mcp.ledger.kinds.run import RunInterrupted, TimerFired
from forum_mcp.rules.failures import ErrorClass
from forum_mcp.rules.next import next_deadline_ms
from forum_mcp.rules.run import RunState
from forum_mcp.stores.base import Lease, Stored, Transaction

__all__ = ["Held"]

_log = logging.getLogger(__name__)


class Held:
    """One run held by this process."""

    def __init__(self, folded: Folded, lease: Lease, recorder: Recorder, performer: Performer, clock: Clock) -> None:
        self.folded = folded
        self.lease = lease
        self.changed = anyio.Event()
        """Set and replaced each time the state moves; readers wait on it."""
        self._recorder = recorder
        self._performer = performer
        self._clock = clock
        self._active = ActiveClock(clock, folded.state.t_ms)
        self._wake = anyio.Event()
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._endings: dict[int, ErrorClass] = {}
        self._closing = False
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def quiet(self) -> bool:
        """True when nothing of this run is under way in this process: it is over, rests, or waits for its caller."""
        state = self.folded.state
        return state.phase in ("finished", "rest") or (not self._scopes and bool(state.open) and not state.timers)

    async def hold(self) -> None:
        """Hold the run until it is sealed, rests, or is let go."""
        async with anyio.create_task_group() as self._group:
            try:
                await self.step()
                while not self._done():
                    await self.step(*await self._next_event())
            except Fenced as error:
                _log.warning("%s", error)
                self._closing = True
            finally:
                self._group.cancel_scope.cancel()
                self.announce()

    async def step(self, *events: Event) -> Sequence[Stored]:
        """Append events and every decision they make possible in one transaction; start what was decided.

        Raises:
            AttemptClosed: an event is the outcome of an attempt that has one.
            Fenced: another process took the run.
        """
        while True:
            try:
                made = await self._recorder.record(lambda tx: self._advance(tx, events))
                break
            except StaleAppend:
                self.folded.refold()
            except BaseException:
                self.folded.refold()
                raise
        for stored in made:
            if stored.entry.kind == "call.started" and self._group is not None:
                payload = msgspec.convert(stored.entry.data, CallStarted)
                if payload.type != "host":
                    self._scopes[stored.entry.seq] = anyio.CancelScope()
                    self._group.start_soon(self._perform, stored, payload)
        self._end_calls()
        self._active.pause() if self.quiet else self._active.go_on()
        self.announce()
        return made

    def _advance(self, tx: Transaction, events: Sequence[Event]) -> list[Stored]:
        check(tx, self.lease)
        self.folded.catch_up(tx)
        t_ms, at_us = self._active.now_ms(), self._clock.now_us()
        try:
            for event in events:
                self.folded.append(tx, event(self.folded.state), t_ms=t_ms, at_us=at_us)
            return [] if self._closing else [*self.folded.decide(tx, t_ms=t_ms, at_us=at_us)]
        except BaseException:
            self.folded.spoil()
            raise

    async def _perform(self, stored: Stored, payload: CallStarted) -> None:
        """Perform one call and append its outcome, whatever ended it."""
        seq = stored.entry.seq
        started_ms = self._clock.monotonic_ms()
        outcome = Outcome(error="interrupted")
        with self._scopes[seq]:
            outcome = await self._performer.perform(stored, payload)
        if self._scopes[seq].cancelled_caught:
            outcome = Outcome(error=self._endings.get(seq, "interrupted"))
        duration_ms = self._clock.monotonic_ms() - started_ms
        with anyio.CancelScope(shield=True):
            try:
                await self.step(outcome_event(seq, payload, outcome, duration_ms))
            except ForumError as error:
                _log.warning("the outcome of call %d was not recorded: %s", seq, error)
            finally:
                del self._scopes[seq]
                self._wake.set()

    async def _next_event(self) -> Sequence[Event]:
        """Wait for a wake-up or the nearest deadline; return the timer that fired, if one did."""
        while True:
            due = None if self.quiet else next_deadline_ms(self.folded.state)
            wait_s = float("inf") if due is None else max(0.0, (due[0] - self._active.now_ms()) / 1000)
            with anyio.move_on_after(wait_s):
                await self._wake.wait()
            if self._wake.is_set():
                self._wake = anyio.Event()
                return ()
            if due is not None and self._active.now_ms() >= due[0]:
                fired = Draft("timer.fired", "engine", msgspec.to_builtins(TimerFired(due_ms=due[0])), {}, (due[1],))
                return (lambda _, fired=fired: fired,)

    def _end_calls(self) -> None:
        """End what the record says must not go on: a cancelled run's calls, and all calls past the time limit."""
        state = self.folded.state
        why: ErrorClass | None = None
        if state.cancelled_seq >= 0:
            why = "cancelled"
        elif state.stopped == "ms":
            why = "time-limit"
        if why is None or self._group is None or self._closing:
            return
        for seq, item in state.open.items():
            if seq in self._endings:
                continue
            self._endings[seq] = why
            if seq in self._scopes:
                self._scopes[seq].cancel()
            elif item.type == "host":
                self._group.start_soon(self._close_host_call, seq, why)

    async def _close_host_call(self, seq: int, why: ErrorClass) -> None:
        def event(state: RunState) -> Draft:
            open_call(state, seq)
            return Draft("call.finished", "engine", {"call": seq, "error": why}, {}, (seq,))

        try:
            await self.step(event)
        except AttemptClosed:
            _log.info("call %d was handed back while it was being closed", seq)
        self._wake.set()

    def wake(self) -> None:
        """Make the loop look at the record again."""
        self._wake.set()

    async def let_go(self, reason: str) -> None:
        """End what runs here, record each outcome and the interruption, and leave the run resumable."""
        self._closing = True
        running = list(self._scopes)
        for seq in running:
            self._endings.setdefault(seq, "interrupted")
            self._scopes[seq].cancel()
        while self._scopes:
            await self._wake.wait()
            self._wake = anyio.Event()
        if self.folded.state.phase not in ("finished", "rest") and (running or not self.folded.state.open):
            data = msgspec.to_builtins(RunInterrupted(fence=self.lease.fence, reason=reason))
            await self.step(lambda state: Draft("run.interrupted", "engine", data, {}, (state.started_seq,)))
        self._wake.set()

    def _done(self) -> bool:
        return self.folded.state.phase in ("finished", "rest") or (self._closing and not self._scopes)

    def announce(self) -> None:
        """Let everybody who waits on ``changed`` look again."""
        self.changed.set()
        self.changed = anyio.Event()
