"""What speaks for a lane, and how strongly it is said to: terms with units of evidence. Integers only.

A *term* is a stem or two stems that follow each other (``memori leak``); a *root* is a beginning of words
(``datenbank``). The units say how the data names the term: as a strong keyword, a keyword, a word of the shipped
vocabulary, or in running text; the words of a phrase share its units, because each alone says less.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

from forum_mcp.rules.lanes import Lane
from forum_mcp.rules.stopwords import STOP
from forum_mcp.rules.words import fold, split_words, stem

__all__ = ["ROOT", "Evidence", "is_telling", "of_lane", "of_requests", "of_vocabulary"]

Evidence = dict[str, int]
"""Term, or root with a ``*`` at its end -> units."""

ROOT: Final = "*"

_STRONG: Final = 2_000
_KEYWORD: Final = 1_000
_VOCABULARY: Final = 800
_RUNNING: Final = 450
_RUNNING_PAIR: Final = 700
_MOST: Final = 6_000

_REQUEST: Final = 600
_SECOND: Final = 400

# Per mille of a phrase's units that each of its n telling words gets.
_SHARE: Final = (0, 1_000, 450, 300, 220, 180, 150)

# Written in hiragana alone are particles and endings of words.
_PARTICLES: Final = re.compile("[\u3040-\u309f]+")
_LETTERS: Final = frozenset("abdefghijklmnopqstuvwxyz")
"""Letters that name nothing; ``c`` and ``r`` are languages."""


def of_lane(lane: Lane) -> Evidence:
    """Return what a roster's own texts say for one lane."""
    found: Evidence = {}
    for keywords, units in ((lane.strong, _STRONG), (lane.keywords, _KEYWORD)):
        for keyword in keywords:
            _add_term(found, keyword, units)
    for text in (lane.description, *lane.examples):
        _add_text(found, text, 1_000)
    return found


def of_requests(requests: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, Evidence]:
    """Return lane -> evidence of labelled requests: each a text and the lanes that fit it, the best one first."""
    lanes: dict[str, Evidence] = {}
    for text, fitting in requests:
        for at, lane in enumerate(fitting):
            _add_text(lanes.setdefault(lane, {}), text, _REQUEST if at == 0 else _SECOND)
    return lanes


def of_vocabulary(tables: Iterable[Mapping[str, str]]) -> dict[str, Evidence]:
    """Return lane -> evidence of texts that list terms, separated by commas."""
    lanes: dict[str, Evidence] = {}
    for table in tables:
        for lane, text in table.items():
            found = lanes.setdefault(lane, {})
            for term in text.replace("\n", " ").split(","):
                bare = term.strip()
                if bare.endswith(ROOT):
                    _add(found, fold(bare), _VOCABULARY)
                elif bare:
                    _add_term(found, bare, _VOCABULARY)
    return lanes


def _add_term(found: Evidence, text: str, units: int) -> None:
    stems = _stems(text.casefold())
    telling = _telling(stems)
    for word in telling:
        _add(found, word, units * _SHARE[min(len(telling), len(_SHARE) - 1)] // 1_000)
    for pair in _pairs(stems, whole=len(stems) == 2):
        _add(found, pair, units)


def _add_text(found: Evidence, text: str, per_mille: int) -> None:
    stems = _stems(text)
    for pair in _pairs(stems, whole=False):
        _add(found, pair, _RUNNING_PAIR * per_mille // 1_000)
    for word in dict.fromkeys(_telling(stems)):
        _add(found, word, _RUNNING * per_mille // 1_000)


def _add(found: Evidence, term: str, units: int) -> None:
    found[term] = min(_MOST, found.get(term, 0) + units)


def _stems(text: str) -> list[tuple[str, str]]:
    return [(word.whole, stem(word.whole)) for word in split_words(text)]


def _telling(stems: list[tuple[str, str]]) -> list[str]:
    """Return the words that may speak on their own."""
    return [stemmed for word, stemmed in stems if is_telling(word)]


def _pairs(stems: list[tuple[str, str]], *, whole: bool) -> list[str]:
    """Return words that may speak together: neighbours that tell, or a term of their own (``look up``).

    What says nothing may stand between them: ``drag the tiles`` and ``drag tiles`` are one pair.
    """
    near = stems if whole else [word for word in stems if is_telling(word[0])]
    return [f"{first[1]} {second[1]}" for first, second in pairwise(near)]


def is_telling(word: str) -> bool:
    """Whether a folded word may speak for a lane on its own."""
    return word not in STOP and not word.isdecimal() and not _PARTICLES.fullmatch(word) and word not in _LETTERS
