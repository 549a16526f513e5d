"""How much two texts say the same, in integers: sketches of their words.

A sketch is the smallest hashes of the text's runs of words (MinHash of shingles, Broder 1997): two texts that share
most of their runs share most of their sketch, whatever their length. Integers and a fixed hash: the same everywhere.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from forum_mcp.rules.words import split_words

__all__ = ["ALIKE_PERCENT", "VERSION", "alike", "canonical", "likeness_percent", "sketch"]

VERSION: Final = 1
ALIKE_PERCENT: Final = 90
"""From here on two results say the same."""

_RUN: Final = 3
_KEPT: Final = 64
_CHARS: Final = 50_000


@lru_cache(maxsize=4_096)
def canonical(text: str) -> str:
    """Return what a text asks for: its words, folded, without numbers, so that "round 2" is "round 3"."""
    return " ".join(word for word in _words(text) if not word.isdigit())


def sketch(text: str) -> frozenset[int]:
    """Return the sketch of a text: at most 64 numbers of 64 bits; of a text without words, none."""
    words = _words(text)
    runs = {" ".join(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1))} if words else set[str]()
    hashes = (int.from_bytes(blake2b(run.encode("utf-8", "replace"), digest_size=8).digest()) for run in runs)
    return frozenset(sorted(hashes)[:_KEPT])


def likeness_percent(one: frozenset[int], other: frozenset[int]) -> int:
    """Return how much of two texts is the same, 0 to 100; two texts without words are the same."""
    if not one and not other:
        return 100
    kept = sorted(one | other)[:_KEPT]
    shared = one & other
    return 100 * sum(each in shared for each in kept) // len(kept)


def alike(one: frozenset[int], other: frozenset[int]) -> bool:
    """Tell whether two results say the same."""
    return likeness_percent(one, other) >= ALIKE_PERCENT


def _words(text: str) -> list[str]:
    return [word.whole for word in split_words(text[:_CHARS])]
