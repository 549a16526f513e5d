"""The router: which lane a request belongs to, why, and whether to say so at all.

Version 1 adds up, per lane, the weights of the distinct words and phrases of the request that speak for it (see
``lexicon``), compares the best lane with the next, and abstains when the evidence is thin or split. Arithmetic is on
integers only, ties go by the lane's name, and nothing outside the request and the roster counts, so that a recorded
route derives again bit for bit.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from forum_mcp.rules.lanes import Roster
from forum_mcp.rules.lexicon import FULL, Lexicon, Postings, compile_roster
from forum_mcp.rules.stopwords import STOP
from forum_mcp.rules.words import split_words, stem

__all__ = ["CANDIDATES_MAX", "VERSION", "Candidate", "Route", "route"]

VERSION: Final = 1

CANDIDATES_MAX: Final = 5
_TERMS_MAX: Final = 8

_HEAD_WORDS: Final = 300
_TAIL_WORDS: Final = 100
"""Of a long request the beginning and the end count: that is where people say what they want of what they pasted."""

_TEXT_MAX: Final = 20_000
"""Characters looked at, at each end of a very long request."""

_HALF_SCORE: Final = FULL
"""Evidence that makes half of the full score: one strong keyword."""

_CONFIDENT_PPM: Final = 220_000
"""Least confidence at which the router names a lane; set on tests/data/routing and public issue titles."""

_AHEAD_PPM: Final = 20_000
"""Least margin at which it does: lanes that are level are no decision, however much speaks for both."""

_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lane that was weighed. ``terms``: what of the request spoke for it, as written but folded, strongest first."""

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
        confidence_ppm: both together, what abstention is decided by.
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


_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def route(text: str, roster: Roster) -> Route:
    """Return where a request goes; never raises on a text."""
    lexicon = compile_roster(roster)
    found = _match(_words(text, lexicon), lexicon)
    totals = [0] * len(lexicon.lanes)
    for _, postings in found:
        for lane, weight in postings:
            totals[lane] += weight
    ranked = sorted((lane for lane, total in enumerate(totals) if total), key=lambda lane: (-totals[lane], lane))
    if not ranked:
        return Route(None, roster.fallback, 0, 0, 0, ())
    best = totals[ranked[0]]
    second = totals[ranked[1]] if len(ranked) > 1 else 0
    score = _score(best)
    margin = (best - second) * _PPM // best
    confidence = score * (_PPM + margin) // (2 * _PPM)
    decided = lexicon.lanes[ranked[0]] if confidence >= _CONFIDENT_PPM and margin >= _AHEAD_PPM else None
    candidates = tuple(
        Candidate(lexicon.lanes[index], _score(totals[index]), _spoke_for(index, found))
        for index in ranked[:CANDIDATES_MAX]
    )
    return Route(decided, decided or roster.fallback, score, margin, confidence, candidates)


def _score(total: int) -> int:
    return total * _PPM // (total + _HALF_SCORE)


def _words(text: str, lexicon: Lexicon) -> list[tuple[str, str]]:
    """Return (folded word, stem) in order; a whole that the roster does not know gives way to its parts."""
    if len(text) > 2 * _TEXT_MAX:
        text = f"{text[:_TEXT_MAX]} {text[-_TEXT_MAX:]}"
    words: list[tuple[str, str]] = []
    for word in split_words(text):
        whole = stem(word.whole)
        if whole in lexicon.known or len(word.parts) == 1:
            words.append((word.whole, whole))
        else:
            words.extend((part, stem(part)) for part in word.parts)
    if len(words) > _HEAD_WORDS + _TAIL_WORDS:
        del words[_HEAD_WORDS:-_TAIL_WORDS]
    return words


def _match(words: list[tuple[str, str]], lexicon: Lexicon) -> list[tuple[str, Postings]]:
    """Return the distinct terms found, as written, with what they weigh; words inside a phrase weigh half."""
    found: dict[str, tuple[str, Postings]] = {}
    covered = [False] * len(words)
    stems = tuple(stemmed for _, stemmed in words)
    for at, first in enumerate(stems):
        for term, postings in lexicon.phrases.get(first, ()):
            end = at + len(term)
            if stems[at:end] == term and not all(covered[at:end]):
                found.setdefault(" ".join(term), (" ".join(word for word, _ in words[at:end]), postings))
                covered[at:end] = [True] * len(term)
                break
    for at, (written, stemmed) in enumerate(words):
        if written in STOP or stemmed in found or stemmed not in lexicon.words:
            continue
        postings = lexicon.words[stemmed]
        if covered[at]:
            postings = tuple((lane, weight // 2) for lane, weight in postings)
        found[stemmed] = (written, postings)
    return list(found.values())


def _spoke_for(lane: int, found: list[tuple[str, Postings]]) -> tuple[str, ...]:
    """Return the terms that spoke for a lane, strongest first, then as they stand in the request."""
    weighed = [(weight, term) for term, postings in found for index, weight in postings if index == lane and weight]
    weighed.sort(key=lambda each: -each[0])
    return tuple(term for _, term in weighed[:_TERMS_MAX])
