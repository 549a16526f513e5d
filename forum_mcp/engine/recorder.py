"""Group commit: appends that wait at the same moment share one durable transaction.

The embedded store commits inline: a commit costs less than a hop to a thread. Each work runs in a savepoint of its
own, so one refused append does not undo its neighbours. Where another process does not let go of the write lock, the
works wait, in their order, and the program goes on meanwhile: it reads, answers and ends.
"""

from collections.abc import Callable
from typing import Final, TypeVar, cast

import anyio
import anyio.lowlevel

from forum_mcp.errors import LedgerLocked
from forum_mcp.stores.base import Store, Transaction

__all__ = ["LOCKED_S", "Recorder"]

T = TypeVar("T")

LOCKED_S: Final = 45.0
"""How long works wait for another process's write lock, seconds; a client gives a call up after 60."""

_PAUSE_S: Final = 0.05


class _Ticket:
    __slots__ = ("result", "work")

    def __init__(self, work: Callable[[Transaction], object]) -> None:
        self.work = work
        self.result: object = None


class _Batch:
    """Works that are committed together; ``done`` is set for all of them at once."""

    __slots__ = ("done", "tickets")

    def __init__(self) -> None:
        self.tickets: list[_Ticket] = []
        self.done = anyio.Event()


class Recorder:
    """Runs works on a store, gathering those that wait into one commit."""

    def __init__(self, store: Store, *, locked_s: float = LOCKED_S) -> None:
        self.store = store
        self._locked_s = locked_s
        self._waiting: _Batch | None = None

    async def record(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` under the write lock and return its value once it is durable.

        A caller that is cancelled while it waits does not undo its work: what was handed in is committed.

        Raises:
            LedgerLocked: another process held the write lock all the time.
            Exception: whatever ``work`` raised, or what the commit raised.
        """
        ticket, batch = _Ticket(work), self._waiting
        if batch is None:
            batch = self._waiting = _Batch()
            batch.tickets.append(ticket)
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                if not self._commit(batch, 0.0):
                    await self._commit_in_turn(batch)
        else:
            batch.tickets.append(ticket)
            await batch.done.wait()
        if isinstance(ticket.result, BaseException):
            raise ticket.result
        return cast(T, ticket.result)

    def give_up(self) -> None:
        """Wait for another process's write lock no longer: who waits is refused at its next turn."""
        self._locked_s = 0.0

    async def _commit_in_turn(self, batch: _Batch) -> None:
        """Commit when the other process is done; what comes meanwhile joins the batch."""
        began = anyio.current_time()
        with anyio.CancelScope(shield=True):  # what was handed in is committed, whoever goes away
            while True:
                await anyio.sleep(_PAUSE_S)
                if self._commit(batch, anyio.current_time() - began):
                    return

    def _commit(self, batch: _Batch, waited_s: float) -> bool:
        """Commit the batch, or fail it; False while it has to wait for its turn."""
        self._waiting = None
        try:
            results: list[object] = list(self.store.transact_all([ticket.work for ticket in batch.tickets]))
        except LedgerLocked:
            if waited_s < self._locked_s:
                self._waiting = batch
                return False
            results = [LedgerLocked(round(waited_s))] * len(batch.tickets)
        except Exception as error:  # each waiting caller gets it
            results = [error] * len(batch.tickets)
        for ticket, result in zip(batch.tickets, results, strict=True):
            ticket.result = result
        batch.done.set()
        return True
