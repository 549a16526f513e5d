"""The router: which lane a request belongs to, why, and whether to say so at all.

Version 2 adds up, per lane, the weights of the distinct words and pairs of words of the request (see ``lexicon``),
a word beside a known pair it is part of for less than alone, compares the best lane with the next, asks whether one
word alone is clear, takes off what is said of anything and of daily life, and looks up how often a decision on such
evidence was right on labelled requests: that is the confidence, and below a threshold the router abstains.
Arithmetic is on integers only, ties go by the lane's name, and nothing outside the request, the roster and the
shipped table counts, so that a recorded route derives again bit for bit.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from forum_mcp.rules.confidence import confidence_ppm
from forum_mcp.rules.evidence import is_telling
from forum_mcp.rules.lanes import Roster
from forum_mcp.rules.lexicon import Lexicon, Postings, compile_roster
from forum_mcp.rules.typos import ATTEMPTS_MAX, meant
from forum_mcp.rules.words import split_words, stem

__all__ = ["CANDIDATES_MAX", "VERSION", "Candidate", "Route", "Weighed", "decide", "route", "weighed"]

VERSION: Final = 2

CANDIDATES_MAX: Final = 5
_TERMS_MAX: Final = 8

_HEAD_WORDS: Final = 300
_TAIL_WORDS: Final = 100
"""Of a long request the beginning and the end count: that is where people say what they want of what they pasted."""

_TEXT_MAX: Final = 20_000
"""Characters looked at, at each end of a very long request."""

_ROOT_MIN: Final = 4
_HALF_SCORE: Final = 3_000
"""Evidence that makes half of the full score: one word that only one lane lists."""

_IN_PAIR_PER_MILLE: Final = 700
"""What a word counts beside a known pair it is part of: ``load balancer`` is not much of a load test."""

_MISSPELT_PER_MILLE: Final = 500

_CONFIDENT_PPM: Final = 550_000
"""A lane is named where it is likelier right than wrong, and a bit more; docs/explanation/routing.md has the cost."""

_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lane that was weighed. ``terms``: what of the request spoke for it, folded, strongest first."""

    lane: str
    score_ppm: int
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes. All figures in parts per million.

    Attributes:
        lane: the lane decided on, or None when the router abstains.
        chosen: the lane, or the roster's fallback.
        score_ppm: how much speaks for the best lane, whatever else does; 0 when nothing matched.
        margin_ppm: how far the best lane's evidence is ahead of the next lane's.
        confidence_ppm: share of labelled requests with evidence like this whose best lane was right.
        candidates: the best lanes, at most five, best first.
    """

    lane: str | None
    chosen: str
    score_ppm: int
    margin_ppm: int
    confidence_ppm: int
    candidates: tuple[Candidate, ...]

    def explanation(self) -> bytes:
        """Return canonical JSON of the route and its candidates."""
        return _ENCODER.encode({"v": VERSION, "route": self})


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the terms of a text add up to, in thousandths.

    Attributes:
        ranked: numbers of the lanes that anything speaks for, best first.
        totals: evidence by lane number.
        elsewhere: evidence for the request to be about anything at all, or about daily life.
        clearest: by how much the clearest term speaks louder for the best lane than for any other; at least 0.
    """

    ranked: tuple[int, ...]
    totals: tuple[int, ...]
    elsewhere: int
    clearest: int

    @property
    def best(self) -> int:
        """Evidence for the best lane."""
        return self.totals[self.ranked[0]] if self.ranked else 0

    @property
    def ahead(self) -> int:
        """By how much the best lane is ahead of the next."""
        return self.best - (self.totals[self.ranked[1]] if len(self.ranked) > 1 else 0)


_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def route(text: str, roster: Roster) -> Route:
    """Return where a request goes; never raises on a text."""
    return _decided(text, compile_roster(roster), roster.fallback)


def decide(text: str, lexicon: Lexicon) -> str | None:
    """Return the lane that a lexicon of any making decides on, or None."""
    return _decided(text, lexicon, "").lane


def _decided(text: str, lexicon: Lexicon, fallback: str) -> Route:
    found = _match(_words(text, lexicon), lexicon)
    sums = _summed(found, lexicon)
    if not sums.ranked:
        return Route(None, fallback, 0, 0, 0, ())
    confidence = confidence_ppm(sums.best, sums.ahead, sums.elsewhere, sums.clearest)
    decided = lexicon.lanes[sums.ranked[0]] if confidence >= _CONFIDENT_PPM and sums.ahead > 0 else None
    candidates = tuple(
        Candidate(lexicon.lanes[index], _score(sums.totals[index]), _spoke_for(index, found))
        for index in sums.ranked[:CANDIDATES_MAX]
    )
    margin = sums.ahead * _PPM // sums.best
    return Route(decided, decided or fallback, _score(sums.best), margin, confidence, candidates)


def weighed(text: str, lexicon: Lexicon) -> Weighed:
    """Return what a text's terms add up to."""
    return _summed(_match(_words(text, lexicon), lexicon), lexicon)


def _summed(found: list[tuple[str, Postings]], lexicon: Lexicon) -> Weighed:
    totals = [0] * (len(lexicon.lanes) + 1)
    for _, postings in found:
        for at in range(0, len(postings), 2):
            totals[postings[at]] += postings[at + 1]
    elsewhere = totals.pop()
    ranked = sorted((lane for lane, total in enumerate(totals) if total), key=lambda lane: (-totals[lane], lane))
    clearest = max((_lead(postings, ranked[0]) for _, postings in found), default=0) if ranked else 0
    return Weighed(tuple(ranked), tuple(totals), elsewhere, max(0, clearest))


def _lead(postings: Postings, lane: int) -> int:
    """Return by how much a term speaks louder for a lane than for any other, the fallback too."""
    own = other = 0
    for at in range(0, len(postings), 2):
        if postings[at] == lane:
            own = postings[at + 1]
        else:
            other = max(other, postings[at + 1])
    return own - other


def _score(total: int) -> int:
    return total * _PPM // (total + _HALF_SCORE)


def _words(text: str, lexicon: Lexicon) -> list[tuple[str, str]]:
    """Return (folded word, stem) in order; a whole that nobody knows gives way to its parts."""
    if len(text) > 2 * _TEXT_MAX:
        text = f"{text[:_TEXT_MAX]} {text[-_TEXT_MAX:]}"
    words: list[tuple[str, str]] = []
    for word in split_words(text):
        whole = stem(word.whole)
        if whole in lexicon.words or len(word.parts) == 1:
            words.append((word.whole, whole))
        else:
            words.extend((part, stem(part)) for part in word.parts)
    if len(words) > _HEAD_WORDS + _TAIL_WORDS:
        del words[_HEAD_WORDS:-_TAIL_WORDS]
    return words


def _match(words: list[tuple[str, str]], lexicon: Lexicon) -> list[tuple[str, Postings]]:
    """Return the distinct terms found, as written, with what they weigh."""
    found: dict[str, tuple[str, Postings]] = {}
    unknown: list[str] = []
    in_pairs: set[str] = set()
    before = telling = ("", "")
    for word in words:
        written, stemmed = word
        tells = is_telling(written)
        for first in (before, telling) if tells and telling is not before else (before,):
            pair = f"{first[1]} {stemmed}"
            if pair in lexicon.words and pair not in found:
                found[pair] = (f"{first[0]} {written}", lexicon.words[pair])
                in_pairs.update((first[1], stemmed))
        before = word
        if not tells:
            continue
        telling = word
        if stemmed in found:
            continue
        if stemmed in lexicon.words:
            found[stemmed] = (written, lexicon.words[stemmed])
        elif root := _root(written, lexicon):
            found[stemmed] = (written, lexicon.roots[root])
        else:
            unknown.append(stemmed)
    for stemmed in in_pairs & found.keys():
        written, postings = found[stemmed]
        found[stemmed] = (written, _share_of(postings, _IN_PAIR_PER_MILLE))
    for stemmed in unknown[:ATTEMPTS_MAX]:
        if (right := meant(stemmed, lexicon.words)) and right not in found:
            found[right] = (f"{stemmed} ~ {right}", _share_of(lexicon.words[right], _MISSPELT_PER_MILLE))
    return list(found.values())


def _share_of(postings: Postings, per_mille: int) -> Postings:
    return tuple(n * per_mille // 1_000 if at % 2 else n for at, n in enumerate(postings))


def _root(word: str, lexicon: Lexicon) -> str | None:
    """Return the longest known root a word begins with."""
    return next((word[:end] for end in range(len(word), _ROOT_MIN - 1, -1) if word[:end] in lexicon.roots), None)


def _spoke_for(lane: int, found: list[tuple[str, Postings]]) -> tuple[str, ...]:
    """Return the terms that spoke for a lane, strongest first, then as they stand in the request."""
    spoke = [
        (postings[at + 1], term)
        for term, postings in found
        for at in range(0, len(postings), 2)
        if postings[at] == lane
    ]
    spoke.sort(key=lambda each: -each[0])
    return tuple(term for _, term in spoke[:_TERMS_MAX])
