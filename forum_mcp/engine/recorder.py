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
    __slots__ = ("done", "result", "work")

    def __init__(self, work: Callable[[Transaction], object]) -> None:
        self.work = work
        self.done = anyio.Event()
        self.result: object = None


class Recorder:
    """Runs works on a store, gathering those that wait into one commit."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._waiting: list[_Ticket] = []

    async def record(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` under the write lock and return its value once it is durable.

        A caller that is cancelled while it waits does not undo its work: what was handed in is committed.

        Raises:
            Exception: whatever ``work`` raised, or what the commit raised.
        """
        ticket = _Ticket(work)
        self._waiting.append(ticket)
        if len(self._waiting) == 1:
            try:
                await anyio.lowlevel.checkpoint()
            finally:
                self._commit()
        await ticket.done.wait()
        if isinstance(ticket.result, BaseException):
            raise ticket.result
        return cast(T, ticket.result)

    def _commit(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            results: list[object] = list(self.store.transact_all([ticket.work for ticket in batch]))
        except Exception as error:  # each waiting caller gets it
            results = [error] * len(batch)
        for ticket, result in zip(batch, results, strict=True):
            ticket.result = result
            ticket.done.set()
