"""The coverage floor: which terms of a request stand in a text, in any script.

A term is a word of the request that says what it is about: English words that say little, and the verb a request
begins with, are none. A term counts as covered when the text has a word that begins with most of it, or, if it is long,
one that contains most of it: that does for endings and compounds of any language what a stemmer does for one. Scripts
written without spaces are compared by pairs of characters. Longer words weigh more, because function words are short
wherever words have spaces.

It never says that a request is *not* met: synonyms, translations and code meet one without a word of it. It says when
nobody needs to be asked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forum_mcp.rules.imperatives import IMPERATIVES, POLITE
from forum_mcp.rules.stopwords import STOP
from forum_mcp.rules.words import split_words

__all__ = ["VERSION", "Coverage", "Term", "cover", "keeps"]

VERSION: Final = 1

_TEXT_CHARS: Final = 60_000
"""Characters looked at of one text, from its beginning."""

_HEAD_TERMS: Final = 150
_TAIL_TERMS: Final = 50
"""Of a long request the beginning and the end count: that is where people say what they want of what they pasted."""

_MISSING_MAX: Final = 50
_WEIGHT_MAX: Final = 12
_ECHO_CHARS: Final = 30
_KEPT_TERMS: Final = 500
_SHORT_WORD: Final = 6
_SHORTEST: Final = 3

_PART: Final = re.compile(r"[\n;\uff1b\u3002\uff01\uff1f\u0964\u061f]+|[.!?](?=\s)")
_PAIRS: Final = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f]+"
)


@dataclass(frozen=True, slots=True)
class Term:
    """A term: the folded word, its weight, and whether it is a pair of characters of a longer run."""

    word: str
    weight: int
    pair: bool


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a request a text covers.

    Attributes:
        passed: every part of the request that has terms is covered for the greater part.
        terms: distinct terms of the request.
        covered: those the text covers.
        missing: words it does not hold, as the request has them but folded, in order; at most 50.
    """

    passed: bool
    terms: int
    covered: frozenset[str]
    missing: tuple[str, ...]


class _Text:
    """The words of a text, ready to be looked up."""

    def __init__(self, text: str) -> None:
        words = {each for word in split_words(text[:_TEXT_CHARS]) for each in (word.whole, *word.parts)}
        self._joined = "\n" + "\n".join(sorted(words))
        short = [word for word in words if _SHORTEST < len(word) <= _SHORT_WORD]
        self._short = words | {word[:end] for word in short for end in (-1, -2) if len(word[:end]) >= _SHORTEST}

    def holds(self, term: Term) -> bool:
        """Tell whether the text has the term in some form; short words may differ by an ending of two letters."""
        length = len(term.word)
        if term.word in self._short:
            return True
        if term.pair or length < 5:
            return False
        if f"\n{term.word[: max(4, length * 2 // 3)]}" in self._joined:
            return True
        return length > 5 and term.word[: max(5, length - 2)] in self._joined


def cover(request: str, text: str) -> Coverage:
    """Return what of the request the text covers; a request that the text only repeats is not covered by that."""
    parts = _parts(request)
    held = _Text(_without_echo(text, request))
    passed = bool(parts)
    seen: set[str] = set()
    covered: set[str] = set()
    missing: list[str] = []
    for part in parts:
        there = [held.holds(term) for term in part]
        enough = _enough(part, there)
        passed &= enough
        for index, (term, is_there) in enumerate(zip(part, there, strict=True)):
            if is_there:
                covered.add(term.word)
            elif term.word not in seen and not (term.pair and enough):
                joins = index > 0 and not there[index - 1] and _joins(part[index - 1], term)
                if joins and missing:
                    missing[-1] += term.word[1:]
                else:
                    missing.append(term.word)
            seen.add(term.word)
    return Coverage(passed, len(seen), frozenset(covered), tuple(missing[:_MISSING_MAX]))


def keeps(text: str, shorter: str) -> bool:
    """Tell whether a shorter text keeps the greater part of what a text speaks of."""
    part = [*{term.word: term for term in _terms(text[:_TEXT_CHARS])}.values()][:_KEPT_TERMS]
    held = _Text(shorter)
    return _enough(part, [held.holds(term) for term in part])


def _parts(request: str) -> list[list[Term]]:
    """Return the terms of each part of a request (lines, sentences) that has any."""
    parts = [terms for part in _PART.split(request[: 4 * _TEXT_CHARS]) if (terms := _terms(part, asked=True))]
    total = sum(map(len, parts))
    if total <= _HEAD_TERMS + _TAIL_TERMS:
        return parts
    flat = [term for part in parts for term in part]
    return [flat[:_HEAD_TERMS], flat[-_TAIL_TERMS:]]


def _terms(text: str, *, asked: bool = False) -> list[Term]:
    """Return the terms of a text in order; ``asked``: it is a request, whose first verb says what to do."""
    found: list[Term] = []
    opening = asked
    for word in split_words(text):
        whole = word.whole
        if opening and (whole in POLITE or whole in IMPERATIVES or whole.isdecimal()):
            opening = whole not in IMPERATIVES
            continue
        opening = False
        pair = _PAIRS.fullmatch(whole) is not None
        if whole in STOP or (len(whole) < 2 and not pair):
            continue
        found.append(Term(whole, min(len(whole), _WEIGHT_MAX), pair))
    return found


def _enough(part: Sequence[Term], there: Sequence[bool]) -> bool:
    """Tell whether a part is covered: half of its words; of its pairs a third, since many cross from word to word."""
    total = sum(term.weight for term in part)
    held = sum(term.weight * (3 if term.pair else 2) for term, is_there in zip(part, there, strict=True) if is_there)
    return held >= total


def _joins(before: Term, term: Term) -> bool:
    return before.pair and term.pair and len(before.word) == 2 and before.word[-1] == term.word[0]


def _without_echo(text: str, request: str) -> str:
    """Return the text without the request where it is repeated word for word: an echo answers nothing."""
    whole = request.strip()
    lines = [line.strip() for line in whole.splitlines()]
    for echo in sorted({whole, *lines}, key=lambda each: (-len(each), each)):
        if len(echo) >= _ECHO_CHARS:
            text = text.replace(echo, " ")
    return text
