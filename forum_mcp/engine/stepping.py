"""One step of a held run: events and every decision they make possible, in one transaction.

Steps that wait at the same moment share one transaction and decide together, as many as are worth its commit
(``pacing.py``): the calls that the first of them lead to begin while the others are decided. A step reads nothing but
the record: what other processes appended meanwhile is folded first.
"""

from collections.abc import Callable, Sequence
from functools import partial

import anyio

from forum_mcp.engine.clock import ActiveClock, Clock
from forum_mcp.engine.folding import Folded
from forum_mcp.engine.grounds import is_stuck
from forum_mcp.engine.leases import check_lease
from forum_mcp.engine.outcomes import Event
from forum_mcp.engine.pacing import Pace
from forum_mcp.engine.recorder import Recorder
from forum_mcp.errors import Fenced, StaleAppend
from forum_mcp.stores.base import Lease, Stored, Transaction

__all__ = ["Steps"]


class _Report:
    """Events of one step that wait to be recorded, and what came of it."""

    __slots__ = ("done", "error", "events", "roused")

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.done = False
        self.error: Exception | None = None
        self.roused: anyio.Event | None = None

    def rouse(self) -> None:
        """Let its step go on: it was recorded with others, or has to be recorded now."""
        if self.roused is not None:
            self.roused.set()


class Steps:
    """The steps of one run, taken by the process that holds its lease."""

    def __init__(
        self,
        folded: Folded,
        lease: Lease,
        recorder: Recorder,
        clock: Clock,
        active: ActiveClock,
        follow_up: Callable[[Sequence[Stored]], None],
    ) -> None:
        """Take steps of a folded run; ``follow_up`` is given what each transaction appended, once it is durable."""
        self.deciding = True
        """False once events are still recorded, but nothing is decided here any more."""
        self.over = False
        """True once no step is taken any more."""
        self._folded = folded
        self._lease = lease
        self._recorder = recorder
        self._clock = clock
        self._active = active
        self._follow_up = follow_up
        self._turn = anyio.Lock(fast_acquire=True)
        self._led = False
        """True while one of the reports has, or waits for, the turn: the others wait to be roused."""
        self._reports: list[_Report] = []
        self._pace = Pace(clock.elapsed_s)

    async def take(self, *events: Event) -> None:
        """Take one step. It is whole: a caller that is cancelled while it takes one still has its calls started.

        Raises:
            AttemptClosed: an event is the outcome of an attempt that has one.
            Fenced: another process took the run, or this one let it go.
        """
        report = _Report(events)
        self._reports.append(report)
        try:
            while self._led and not report.done:
                report.roused = anyio.Event()
                await report.roused.wait()
            if not report.done:
                await self._lead(report)
        finally:
            if report in self._reports:
                self._reports.remove(report)
            if self._reports and not self._led:
                self._reports[0].rouse()
        if report.error is not None:
            raise report.error

    async def _lead(self, report: _Report) -> None:
        self._led = True
        try:
            async with self._turn:
                with anyio.CancelScope(shield=True):
                    await self._record(report)
        finally:
            self._led = False

    async def end(self) -> None:
        """Take no further step, once the one under way is whole."""
        async with self._turn:
            self.over = True

    async def _record(self, report: _Report) -> None:
        """Record what waits together with ``report``; where that cannot be, ``report`` by itself."""
        alone = False
        while not report.done:
            taken = [report]
            try:
                made = await self._recorder.record(partial(self._advance, taken, alone))
            except StaleAppend:
                self._folded.refold()
                continue
            except Exception as error:
                self._folded.refold()
                if len(taken) > 1:
                    alone = True
                    continue
                report.done, report.error = True, error
                return
            except BaseException:
                self._folded.refold()
                raise
            if made:  # else it was too little to go by
                self._pace.committed(max(1, sum(1 for each in taken if each.events)))
            for each in taken:
                each.done = True
                each.rouse()
            self._reports = [each for each in self._reports if not each.done]
            self._follow_up(made)

    def _advance(self, taken: list[_Report], alone: bool, tx: Transaction) -> list[Stored]:
        """Append events and decisions. Unless ``alone``, ``taken`` is filled up with what else waits."""
        self._pace.begin()
        if not alone:
            others = [each for each in self._reports if each is not taken[0]]
            brings = [each for each in others if each.events]
            taken += brings[: self._pace.share(len(brings) + 1) - 1]
            taken += [each for each in others if not each.events]  # a look at the record is had by the way
        if self.over:
            raise Fenced(f"run {self._folded.run} is not held here any more; read its state again")
        check_lease(tx, self._lease)
        self._folded.catch_up(tx)
        t_ms, at_us = self._active.now_ms(), self._clock.now_us()
        try:
            for each in taken:
                for event in each.events:
                    self._folded.append(tx, event(self._folded.state), t_ms=t_ms, at_us=at_us)
            decides = self.deciding and not is_stuck(self._folded.state)
            made = [*self._folded.decide(tx, t_ms=t_ms, at_us=at_us)] if decides else []
            if self._folded.state.phase == "finished":
                tx.drop_lease(self._lease.run, self._lease.fence)
        except BaseException:
            self._folded.spoil()
            raise
        self._pace.end()
        return made
