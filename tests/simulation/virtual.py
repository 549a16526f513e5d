"""An event loop whose time is a number: it leaps to the next deadline instead of waiting for it."""

import asyncio  # noqa: TID251 the loop under anyio is what is made virtual
import selectors
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import anyio

__all__ = ["Deadlock", "VirtualLoop", "in_virtual_time"]

T = TypeVar("T")


class Deadlock(AssertionError):
    """Everybody waits and no deadline is set."""


class _Leaping(selectors.BaseSelector):
    """A selector that never sleeps: when nothing is ready, the time it was to wait is over."""

    def __init__(self, leap: Callable[[float], None]) -> None:
        self._inner = selectors.DefaultSelector()
        self._leap = leap

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._inner.select(0)
        if not ready:
            if timeout is None:
                raise Deadlock("everybody waits and no deadline is set")
            self._leap(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in virtual time, seconds from 0."""

    def __init__(self) -> None:
        self._virtual_s = 0.0
        super().__init__(_Leaping(self._leap))

    def time(self) -> float:
        """Return the virtual time, seconds."""
        return self._virtual_s

    def _leap(self, seconds: float) -> None:
        self._virtual_s += max(0.0, seconds)


def in_virtual_time(main: Callable[[], Awaitable[T]]) -> T:
    """Run ``main`` in a loop of its own and return its value; no real time passes while it waits."""
    return anyio.run(main, backend="asyncio", backend_options={"loop_factory": VirtualLoop})
