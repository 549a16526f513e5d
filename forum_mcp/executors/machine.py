"""The memory and the places that several local models share in one process.

A model is loaded by its first call and stays. When the next one does not fit beside those that are loaded, the one that
was used longest ago and is idle goes; while none is idle, the call waits, within its own time limit.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import anyio

__all__ = ["Guest", "Machine", "TooLarge"]

_ANY: Final = 1 << 20


class TooLarge(Exception):
    """A model needs more memory than the machine gives to all of them; the text says how much."""


class Guest(Protocol):
    """A model that may be loaded."""

    @property
    def memory_mb(self) -> int:
        """What it takes when it is loaded, 10^6 bytes, as declared or estimated."""
        ...

    async def unload(self) -> None:
        """Give the memory back; the next call loads it again."""
        ...


class Machine:
    """What all local models of this process may take together; None is any amount."""

    def __init__(self, memory_mb: int | None = None, max_parallel: int | None = None) -> None:
        self._memory_mb = memory_mb
        self._places = anyio.Semaphore(max_parallel or _ANY)
        self._changed = anyio.Condition()
        # Guest -> calls it serves now, longest unused first.
        self._loaded: dict[Guest, int] = {}

    @asynccontextmanager
    async def seat(self, guest: Guest) -> AsyncGenerator[None]:
        """Hold one of the places, with the guest's memory, for one call; wait for both.

        Raises:
            TooLarge: it never fits.
        """
        async with self._places:
            await self._take(guest)
            try:
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    async with self._changed:
                        self._loaded[guest] -= 1
                        self._changed.notify_all()

    async def _take(self, guest: Guest) -> None:
        if self._memory_mb is not None and guest.memory_mb > self._memory_mb:
            raise TooLarge(f"the model needs {guest.memory_mb} MB, and all local models may take {self._memory_mb} MB")
        async with self._changed:
            while guest not in self._loaded and not await self._make_room(guest.memory_mb):
                await self._changed.wait()
            self._loaded[guest] = self._loaded.pop(guest, 0) + 1

    async def _make_room(self, memory_mb: int) -> bool:
        """Unload idle models until this much is free; return False, having unloaded none, when that is not enough."""
        if self._memory_mb is None:
            return True
        missing = sum(each.memory_mb for each in self._loaded) + memory_mb - self._memory_mb
        idle = [each for each, calls in self._loaded.items() if calls == 0]
        if missing > sum(each.memory_mb for each in idle):
            return False
        for each in idle:
            if missing <= 0:
                break
            missing -= each.memory_mb
            # Not half: a model that is neither loaded nor counted would be loaded beside what takes its place.
            with anyio.CancelScope(shield=True):
                await each.unload()
                del self._loaded[each]
        return True
