"""How work that takes long says how far it is."""

from collections.abc import Callable

__all__ = ["Heed", "unheard"]

Heed = Callable[[int, int], None]
"""Called time and again with (how many are done, of how many in all); 0 in all: nobody knows."""


def unheard(done: int, total: int) -> None:
    """Take no notice: nobody is watching."""
