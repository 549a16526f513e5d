"""Group commit: appends that wait at the same moment share one durable transaction.

The embedded store commits inline: a commit costs less than a hop to a thread. Each work runs in a savepoint of its
own, so one refused append does not undo its neighbours.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import anyio
import anyio.lowlevel

from forum_mcp.stores.base import Store, Transaction

__all__ = ["Recorder"]

T = TypeVar("T")


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

    def __init__(self, store: Store) -> None:
        self.store = store
        self._waiting: _Batch | None = None

    async def record(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` under the write lock and return its value once it is durable.

        A caller that is cancelled while it waits does not undo its work: what was handed in is committed.

        Raises:
            Exception: whatever ``work`` raised, or what the commit raised.
        """
        ticket, batch = _Ticket(work), self._waiting
        if batch is None:
            batch = self._waiting = _Batch()
            batch.tickets.append(ticket)
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                self._waiting = None
                self._commit(batch)
        else:
            batch.tickets.append(ticket)
            await batch.done.wait()
        if isinstance(ticket.result, BaseException):
            raise ticket.result
        return cast(T, ticket.result)

    def _commit(self, batch: _Batch) -> None:
        try:
            results: list[object] = list(self.store.transact_all([ticket.work for ticket in batch.tickets]))
        except Exception as error:  # each waiting caller gets it
            results = [error] * len(batch.tickets)
        for ticket, result in zip(batch.tickets, results, strict=True):
            ticket.result = result
        batch.done.set()
