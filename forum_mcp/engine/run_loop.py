"""The run loop: one run held by this process, which decides, appends, performs and waits.

    one transaction (``stepping.py``): fold what is new, append the event, append every decision it makes possible
    perform each call that was started; its outcome is the next event

An event comes from outside the rules: an outcome, a timer, a cancel. Everything the loop knows is the record:
a run that is resumed after its process died enters here with a folded state and nothing else.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

import anyio
import anyio.abc
import msgspec

from forum_mcp.engine.approving import gate_deadline
from forum_mcp.engine.clock import ActiveClock, Clock
from forum_mcp.engine.folding import Folded
from forum_mcp.engine.grounds import TEXT_GONE, check_complete
from forum_mcp.engine.outcomes import Event, open_call, outcome_event
from forum_mcp.engine.performer import Performer
from forum_mcp.engine.recorder import Recorder
from forum_mcp.engine.run_views import run_state
from forum_mcp.engine.stepping import Steps
from forum_mcp.errors import (
    AttemptClosed,
    DecisionRefused,
    EntryRefused,
    Fenced,
    ForumError,
    GateClosed,
    LedgerUnreadable,
)
from forum_mcp.executors.base import Outcome
from forum_mcp.ledger.entry import Draft
from forum_mcp.ledger.kinds.call import CallStarted
from forum_mcp.ledger.kinds.run import RunInterrupted, TimerFired
from forum_mcp.rules import gates
from forum_mcp.rules.failures import ErrorClass
from forum_mcp.rules.next import next_deadline_ms
from forum_mcp.rules.run import RunState
from forum_mcp.stores.base import Lease, Stored

__all__ = ["HeldRun"]

_log = logging.getLogger(__name__)

_LOOK_S = 60.0


class HeldRun:
    """One run held by this process."""

    def __init__(
        self,
        folded: Folded,
        lease: Lease,
        recorder: Recorder,
        performer: Performer,
        clock: Clock,
        sign: Callable[[int], None],
    ) -> None:
        """Take a run to hold; ``sign`` records a checkpoint that the entry of the given seq makes due."""
        self.folded = folded
        self.lease = lease
        self.changed = anyio.Event()
        """Set and replaced each time the state moves; readers wait on it."""
        self.gone = anyio.Event()
        """Set when the process holds the run no longer."""
        self._performer = performer
        self._clock = clock
        self._sign = sign
        self._wave_seq = folded.state.wave_seq
        self._active = ActiveClock(clock, folded.state.t_ms)
        self._steps = Steps(folded, lease, recorder, clock, self._active, self._follow_up)
        self._wake = anyio.Event()
        self._read_on = False
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._endings: dict[int, ErrorClass] = {}
        self._reason = "shutdown"
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def quiet(self) -> bool:
        """True when nothing of this run is under way in this process: it is over, rests, or waits for its caller."""
        state = self.folded.state
        return state.phase in ("finished", "rest") or (
            not self._scopes and bool(state.open or state.gates) and not state.timers
        )

    @property
    def leaving(self) -> bool:
        """True when the run is about to be no longer held here; ``gone`` follows."""
        return self._steps.over or not self._steps.deciding or self.folded.state.phase in ("finished", "rest")

    async def hold(self, started: Callable[[], None]) -> None:
        """Hold the run until it is sealed, rests, or is let go; call ``started`` once it can take steps."""
        try:
            async with anyio.create_task_group() as self._group:
                try:
                    started()
                    await self.step()
                    while not self._done():
                        self._sign_settled_wave()  # here, and not with the step: the calls it started have begun
                        events = await self._next_event()
                        self._follow_up(()) if events is None else await self._step_on(*events)
                finally:
                    self._steps.deciding = False
                    self._group.cancel_scope.cancel()
        except* Fenced:
            self._steps.over = True
            _log.warning("run %s was taken over by another process", self.folded.run)
        except* Exception:
            self._reason = "fault"
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._end()

    async def _step_on(self, *events: Event) -> None:
        """Take a step of the loop itself; a deadline whose gate was resolved in the meantime is none any more."""
        try:
            await self.step(*events)
        except GateClosed as late:
            _log.info("run %s: %s", self.folded.run, late)

    async def step(self, *events: Event) -> None:
        """Record events and what is decided on them; see ``Steps.take``."""
        await self._steps.take(*events)

    def _sign_settled_wave(self) -> None:
        """Have a checkpoint recorded when a step settled a wave: one, however many it settled.

        The checkpoint that follows the end of a run covers the waves that were settled with it.
        """
        state = self.folded.state
        if state.wave_seq > self._wave_seq and state.phase != "finished":
            self._sign(state.wave_seq)
        self._wave_seq = state.wave_seq

    def _follow_up(self, made: Sequence[Stored]) -> None:
        """Do what the record says now."""
        if self._steps.deciding:
            self._leave_if_stuck()
        for stored in made:
            if stored.entry.kind == "call.started":
                self._begin_call(stored)
        self._end_calls()
        self._active.pause() if self.quiet else self._active.go_on()
        self.announce()

    def _leave_if_stuck(self) -> None:
        """Let a run go that rests on a text which is gone; what was done of it is kept."""
        try:
            check_complete(self.folded.state)
        except LedgerUnreadable as error:
            _log.error("%s", error)
            self._reason = TEXT_GONE
            self.let_go()

    def _begin_call(self, stored: Stored) -> None:
        payload = msgspec.convert(stored.entry.data, CallStarted)
        item = self.folded.state.open.get(stored.entry.seq)
        if item is not None and item.type != "host" and self._group is not None:
            self._scopes[stored.entry.seq] = anyio.CancelScope()
            self._group.start_soon(self._perform, stored, payload, self.folded.fresh_bodies(stored.entry))

    async def _perform(self, stored: Stored, payload: CallStarted, bodies: Mapping[str, bytes]) -> None:
        """Perform one call and append its outcome, whatever ended it."""
        seq = stored.entry.seq
        scope = self._scopes[seq]
        started_ms = self._clock.monotonic_ms()
        outcome: Outcome | None = None
        try:
            with scope:
                if not scope.cancel_called:
                    outcome = await self._performer.perform(stored, payload, bodies)
        except anyio.get_cancelled_exc_class():
            self._steps.deciding = False  # not this call is ended but all that runs here
            raise
        finally:
            if outcome is None:
                outcome = Outcome(error=self._endings.get(seq, "interrupted"))
            with anyio.CancelScope(shield=True):
                await self._conclude(seq, payload, outcome, self._clock.monotonic_ms() - started_ms)
            self._wake.set()  # its own step decided what follows; the loop has the deadlines and the end to look at

    async def _conclude(self, seq: int, payload: CallStarted, outcome: Outcome, duration_ms: int) -> None:
        """Append the outcome. One that cannot be kept leaves the attempt open: the next step finds it in doubt."""
        try:
            await self._append_outcome(seq, payload, outcome, duration_ms)
        except ForumError as error:
            _log.warning("the outcome of call %d was not recorded: %s", seq, error)
            self._read_on = True
        finally:
            del self._scopes[seq]
            self._endings.pop(seq, None)

    async def _append_outcome(self, seq: int, payload: CallStarted, outcome: Outcome, duration_ms: int) -> None:
        """Append the outcome, or that it cannot be recorded.

        Where nothing can be decided on either, the run stops here: what was paid for is kept, nobody is asked again.
        """
        event = outcome_event(seq, payload, outcome, duration_ms)
        try:
            return await self.step(event)
        except EntryRefused as error:
            unfit = Outcome(error="executor-crashed", detail=f"the outcome cannot be recorded: {error}")
        try:
            await self.step(outcome_event(seq, payload, unfit, duration_ms))
        except DecisionRefused as error:
            _log.error("run %s stops here: %s", self.folded.run, error)
            self._reason = "fault"
            self.let_go()
            await self.step(event)

    async def _next_event(self) -> Sequence[Event] | None:
        """Wait for a wake-up or the nearest deadline; return the timer that fired, if one did.

        None when the wake-up was of this process: there is nothing in the record that the state does not have.
        """
        while True:
            due = None if self.quiet else next_deadline_ms(self.folded.state)
            wait_s = float("inf") if due is None else max(0.0, (due[0] - self._active.now_ms()) / 1000)
            closing = gates.due(self.folded.state)
            if closing is not None:  # the wall clock may be set anew: it is looked at once a minute
                wait_s = min(wait_s, _LOOK_S, max(0.0, (closing[0] - self._clock.now_us()) / 1_000_000))
            with anyio.move_on_after(wait_s):
                await self._wake.wait()
            if self._wake.is_set():
                read_on, self._read_on, self._wake = self._read_on, False, anyio.Event()
                return () if read_on else None
            if due is not None and self._active.now_ms() >= due[0]:
                fired = Draft("timer.fired", "engine", msgspec.to_builtins(TimerFired(due_ms=due[0])), {}, (due[1],))
                return (lambda _, fired=fired: fired,)
            if closing is not None and self._clock.now_us() >= closing[0]:
                return (lambda state, closing=closing: gate_deadline(state, *closing),)

    def _end_calls(self) -> None:
        """End what the record says must not go on, and what it says goes on although nobody here performs it.

        The first are the calls of a cancelled run and of one past its time limit; the second are attempts whose outcome
        could not be kept, or that somebody else's entry opened.
        """
        if self._group is None or not self._steps.deciding:
            return
        state = self.folded.state
        why: ErrorClass | None = None
        if state.cancelled_seq >= 0:
            why = "cancelled"
        elif state.stopped == "ms":
            why = "time-limit"
        for seq, item in state.open.items():
            if seq in self._scopes:
                if why is not None:
                    self._endings.setdefault(seq, why)
                    self._scopes[seq].cancel()
            elif seq not in self._endings and (why is not None or item.type != "host"):
                self._endings[seq] = why or "in-doubt"
                self._group.start_soon(self._close_call, seq, self._endings[seq])

    async def _close_call(self, seq: int, why: ErrorClass) -> None:
        def event(state: RunState) -> Draft:
            open_call(state, seq)
            return Draft("call.finished", "engine", {"call": seq, "error": why}, {}, (seq,))

        try:
            await self.step(event)
        except AttemptClosed:
            _log.info("call %d had its outcome while it was being closed", seq)
        self.wake()

    def wake(self) -> None:
        """Make the loop look at the record again."""
        self._read_on = True
        self._wake.set()

    def let_go(self) -> None:
        """End what runs here; each outcome and the interruption are recorded, and the run stays resumable."""
        self._steps.deciding = False
        for seq, scope in self._scopes.items():
            self._endings.setdefault(seq, "interrupted")
            scope.cancel()
        self._wake.set()

    async def _end(self) -> None:
        """Record that a run that is not over goes on no more; afterwards no step is taken."""
        try:
            stuck = self._reason == TEXT_GONE  # whoever it waits for, nobody goes on with it
            if not self._steps.over and (stuck or run_state(self.folded.state, live=False) == "interrupted"):
                data = msgspec.to_builtins(RunInterrupted(fence=self.lease.fence, reason=self._reason))
                await self.step(lambda state: Draft("run.interrupted", "engine", data, {}, (state.started_seq,)))
        except ForumError as error:
            _log.warning("the interruption of run %s was not recorded: %s", self.folded.run, error)
        finally:
            await self._steps.end()
            self.announce()

    def _done(self) -> bool:
        return self.folded.state.phase in ("finished", "rest") or (not self._steps.deciding and not self._scopes)

    def announce(self) -> None:
        """Let everybody who waits on ``changed`` look again."""
        self.changed.set()
        self.changed = anyio.Event()
