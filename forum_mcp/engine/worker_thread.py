"""Work on the whole record beside the event loop: a long verification holds up no other call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from forum_mcp.engine.ledger_reader import LedgerReader

__all__ = ["AT_ONCE", "in_worker_thread"]

T = TypeVar("T")

AT_ONCE: Final = 2
"""Works at the same moment; each costs a core for as long as it takes."""

_limiter: Final = anyio.CapacityLimiter(AT_ONCE)


async def in_worker_thread(ledger: LedgerReader, work: Callable[[], T]) -> T:
    """Return what ``work`` gives, run in a thread where it reads the ledger's file over a connection of its own.

    A ledger in memory has one connection, which must not be held from elsewhere: there the work is done at once.
    A caller that is cancelled goes; the work, which writes nothing, ends by itself.
    """
    if ledger.store.path is None:
        return work()
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=_limiter)
