"""How work that takes long tells how far it is."""

from collections.abc import Callable

__all__ = ["OnProgress", "no_progress"]

OnProgress = Callable[[int, int], None]
"""Called time and again with (how many are done, of how many in all); 0 in all: nobody knows."""


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""
