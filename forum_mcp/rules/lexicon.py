"""A roster compiled for routing: which words and phrases speak for which lanes, and how loudly. Integers only.

A term's weight for a lane comes from where the roster names it (``strong``, ``keywords``, a word of a phrase, the
description, an example; the loudest place counts) times how much of the term's total weight is that lane's own: a term
that every lane uses tells nothing. The share enters as its square root, so that a word two lanes rightly claim still
counts for both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Final

from forum_mcp.rules.lanes import Lane, Roster
from forum_mcp.rules.stopwords import GENERIC, STOP
from forum_mcp.rules.words import split_words, stem

__all__ = ["FULL", "Lexicon", "Postings", "compile_roster"]

FULL: Final = 1_000
"""Weight of one strong keyword that no other lane has."""

_STRONG: Final = 1_000
_KEYWORD: Final = 600
_DESCRIPTION: Final = 200
_EXAMPLE: Final = 120
_PHRASE_WORD: Final = 180
_WHOLE_EXAMPLE: Final = 3_000
_PHRASE_BONUS: Final = (0, 0, 350, 700)
"""Added per mille for a phrase of two, and of three or more words: the longer, the less by chance."""

_PHRASE_MAX: Final = 6

Postings = tuple[tuple[int, int], ...]
"""(index of the lane, weight), by index."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Terms and what they weigh.

    Attributes:
        lanes: names of the lanes that can be chosen, sorted; postings hold indexes into it.
        words: stem -> postings.
        phrases: first stem -> (all stems, postings), longest first.
        known: every stem that stands in a word or a phrase, to tell a known whole from one to take apart.
    """

    lanes: tuple[str, ...]
    words: dict[str, Postings]
    phrases: dict[str, tuple[tuple[tuple[str, ...], Postings], ...]]
    known: frozenset[str]


@lru_cache(maxsize=16)
def compile_roster(roster: Roster) -> Lexicon:
    """Return the lexicon of a roster; equal rosters share one."""
    names = tuple(sorted(name for name in roster.lanes if name != roster.fallback))
    weights: dict[tuple[str, ...], dict[int, int]] = {}
    for index, name in enumerate(names):
        for term, weight in _terms(roster.lanes[name]):
            lanes = weights.setdefault(term, {})
            lanes[index] = max(weight, lanes.get(index, 0))
    words: dict[str, Postings] = {}
    phrases: dict[str, list[tuple[tuple[str, ...], Postings]]] = {}
    for term, lanes in weights.items():
        postings = _postings(lanes)
        if len(term) == 1:
            words[term[0]] = postings
        else:
            phrases.setdefault(term[0], []).append((term, postings))
    ordered = {
        first: tuple(sorted(found, key=lambda each: (-len(each[0]), each[0]))) for first, found in phrases.items()
    }
    return Lexicon(names, words, ordered, frozenset(part for term in weights for part in term))


def _postings(lanes: dict[int, int]) -> Postings:
    total = sum(lanes.values())
    return tuple(
        (index, weight * isqrt(1_000_000 * weight // total) // 1_000) for index, weight in sorted(lanes.items())
    )


def _terms(lane: Lane) -> Iterable[tuple[tuple[str, ...], int]]:
    """Yield each term of a lane with its weight; the same term may come more than once."""
    for keywords, weight in ((lane.strong, _STRONG), (lane.keywords, _KEYWORD)):
        for keyword in keywords:
            term = tuple(stem(word.whole) for word in split_words(keyword.casefold()))[:_PHRASE_MAX]
            if len(term) > 1:
                weight_of_phrase = weight + weight * _PHRASE_BONUS[min(len(term), 3)] // 1_000
                yield term, weight_of_phrase
                for word in split_words(keyword):
                    if _speaks(word.whole):
                        yield (stem(word.whole),), _PHRASE_WORD
            elif term:
                yield term, weight
    for example in lane.examples:
        term = tuple(stem(word.whole) for word in split_words(example.casefold()))
        if len(term) > 1:
            yield term, _WHOLE_EXAMPLE
    for texts, weight in (((lane.description,), _DESCRIPTION), (lane.examples, _EXAMPLE)):
        for text in texts:
            for word in split_words(text.casefold()):
                if _speaks(word.whole):
                    yield (stem(word.whole),), weight


def _speaks(word: str) -> bool:
    """Whether a word out of running text may speak for a lane."""
    return len(word) > 1 and word not in STOP and word not in GENERIC and not word.isdecimal()
