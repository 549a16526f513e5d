"""How often a decision on given evidence was right: the reliability curve of tests/data/routing, as integers."""

from itertools import pairwise
from typing import Final

__all__ = ["CURVE", "confidence_ppm", "strength"]

_BEST_MOST: Final = 12_000
"""More evidence than this makes nobody surer; long requests have it without being clearer."""

CURVE: Final = (
    (0, 0),
    (275, 44_000),
    (2_265, 444_000),
    (3_477, 682_000),
    (4_375, 839_000),
    (5_254, 883_000),
    (6_419, 987_000),
    (8_640, 996_000),
    (13_158, 998_000),
)
"""(strength, confidence in parts per million), rising; fitted by ``python -m tests.bench.routing calibrate``."""


def strength(best: int, ahead: int, elsewhere: int, clearest: int) -> int:
    """Return one figure for the evidence, in thousandths of a natural logarithm, at least 0.

    Args:
        best: evidence for the best lane.
        ahead: by how much it is ahead of the next lane.
        elsewhere: evidence for the request to be about anything at all, or about daily life.
        clearest: by how much the clearest term speaks louder for the best lane than for any other.
    """
    return max(0, min(best, _BEST_MOST) + (ahead - elsewhere + clearest) * 4 // 5)


def confidence_ppm(best: int, ahead: int, elsewhere: int, clearest: int) -> int:
    """Return the share of labelled requests with such evidence whose best lane was right, in parts per million."""
    figure = strength(best, ahead, elsewhere, clearest)
    for (left, low), (right, high) in pairwise(CURVE):
        if figure < right:
            return low + (high - low) * (figure - left) // (right - left)
    return CURVE[-1][1]
