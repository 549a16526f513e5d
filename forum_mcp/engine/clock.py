"""Time as the engine takes it: handed in, so that tests and the record own it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ActiveClock", "Clock"]


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time and randomness come from.

    Attributes:
        now_us: wall clock, microseconds since the epoch.
        monotonic_ms: milliseconds from any fixed point, never backwards.
        elapsed_s: seconds from any fixed point, as fine as can be had, for what is never recorded.
        entropy: n random bytes.
    """

    now_us: Callable[[], int] = lambda: time.time_ns() // 1_000
    monotonic_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000
    elapsed_s: Callable[[], float] = time.perf_counter
    entropy: Callable[[int], bytes] = os.urandom


class ActiveClock:
    """A run's active time: it goes on from what is recorded and stands still while the run waits for its caller."""

    def __init__(self, clock: Clock, start_ms: int) -> None:
        self._clock = clock
        self._base_ms = start_ms
        self._since: int | None = clock.monotonic_ms()

    def now_ms(self) -> int:
        """Return the run's active time, milliseconds."""
        if self._since is None:
            return self._base_ms
        return self._base_ms + self._clock.monotonic_ms() - self._since

    def pause(self) -> None:
        """Stand still."""
        self._base_ms, self._since = self.now_ms(), None

    def go_on(self) -> None:
        """Run again."""
        if self._since is None:
            self._since = self._clock.monotonic_ms()
