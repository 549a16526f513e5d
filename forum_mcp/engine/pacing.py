"""How many reports share a transaction, when more wait than it needs.

Two things pull: a commit costs the same for one report and for many, and the calls that a report leads to do not begin
before its transaction is committed. So a transaction takes as many as keep it busy for some times as long as its commit
takes: the disk's price is then never more than a part of the whole, and nobody waits for more work than that. What the
last transaction took stands for the next. Nothing of this is recorded, and no decision depends on it.
"""

import sys
from collections.abc import Callable
from typing import Final

__all__ = ["Pace"]

_WORTH: Final = 4
"""How many times as long as its commit a transaction's own work may take."""


class Pace:
    """The pace of one run's transactions, by a clock in seconds."""

    def __init__(self, elapsed_s: Callable[[], float]) -> None:
        self._elapsed_s = elapsed_s
        self._share = sys.maxsize
        self._begun_s = self._worked_s = 0.0

    def begin(self) -> None:
        """Note that a transaction's work begins."""
        self._begun_s = self._elapsed_s()

    def end(self) -> None:
        """Note that its work is done and its commit begins."""
        self._worked_s = self._elapsed_s()

    def committed(self, reports: int) -> None:
        """Note that the transaction, of so many reports, is durable."""
        work_s, commit_s = self._worked_s - self._begun_s, self._elapsed_s() - self._worked_s
        self._share = max(1, round(_WORTH * commit_s * reports / work_s)) if work_s else sys.maxsize

    def share(self, waiting: int) -> int:
        """Return how many of the reports that wait go into the next transaction."""
        # A rest of less than a share would cost a commit of its own.
        return self._share if waiting >= 2 * self._share else waiting
