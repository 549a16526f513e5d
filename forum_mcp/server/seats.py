"""Places that several clients share: so many there are, and nobody who has fewer than another goes without.

While there is room anybody may have as many as it likes. When there is none, whoever has the most gives one up to
whoever has at least two fewer: one client cannot shut the others out, and no two take a place from each other for ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

import anyio

__all__ = ["Seats"]


class Seats:
    """At most ``most`` places at the same moment."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: dict[anyio.CancelScope, str] = {}

    def held(self, who: str) -> int:
        """Return how many places somebody has."""
        return sum(holder == who for holder in self._taken.values())

    @contextmanager
    def seat(self, who: str) -> Generator[bool]:
        """Have a place for the length of the block; False: there is none.

        The block is cancelled when the place is given up, and what follows it goes on.
        """
        free = len(self._taken) < self._most or self._make_room(who)
        if not free:
            yield False
            return
        with anyio.CancelScope() as scope:
            self._taken[scope] = who
            try:
                yield True
            finally:
                self._taken.pop(scope, None)

    def _make_room(self, who: str) -> bool:
        """Have whoever holds the most give up the newest of its places, if that is fair."""
        [(fullest, most)] = Counter(self._taken.values()).most_common(1)
        if most < self.held(who) + 2:
            return False
        newest = next(scope for scope in reversed(self._taken) if self._taken[scope] == fullest)
        del self._taken[newest]
        newest.cancel()
        return True
