"""A roster compiled for routing: which terms speak for which lanes, and how loudly. Integers only.

The weight of a term for a lane is how much likelier the lane is once the term was read: the lane's share of the
term's evidence, smoothed towards a prior, as the logarithm of its ratio to the prior, in thousandths, and less the
fainter the term's clearest lane is: words that go together are no independent evidence. A term all lanes use weighs
nothing, one that a single lane lists several times the most. Weights add up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

import msgspec

from forum_mcp.rules.evidence import ROOT, Evidence, of_lane
from forum_mcp.rules.knowledge import knowledge, meaning
from forum_mcp.rules.lanes import Roster

__all__ = ["Lexicon", "Postings", "compile_roster", "digest_of", "weigh"]

Postings = tuple[int, ...]
"""Lane number, weight in thousandths, lane number, weight ...; by lane number."""

_PRIOR: Final = 36
"""Lanes as likely as each other before anything is read; fixed, so that weights mean the same in every roster."""

_SMOOTHING: Final = 1_500
"""Units of evidence that count for the prior."""

_CLEAR: Final = 2_000
"""Weight of a term's clearest lane at which the term counts by half: many faint hints are no strong one."""

_PAIR_PER_MILLE: Final = 800
"""How much of its weight a pair of words adds, beside what the words say on their own (see ``routing``)."""

_LN2_Q20: Final = 726_817


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Terms and what they weigh.

    Attributes:
        lanes: names of the lanes that can be chosen, sorted; lane numbers index it, the number after is the fallback.
        words: stem, or two stems with a space between -> postings.
        roots: beginnings of words -> postings.
    """

    lanes: tuple[str, ...]
    words: Mapping[str, Postings]
    roots: Mapping[str, Postings]


def digest_of(roster: Roster) -> str:
    """Return the SHA-256 of a roster's canonical JSON, hex."""
    return sha256(roster.to_json()).hexdigest()


@lru_cache(maxsize=16)
def compile_roster(roster: Roster) -> Lexicon:
    """Return the lexicon of a roster; equal rosters share one."""
    known = knowledge()
    if digest_of(roster) == known.roster:
        return Lexicon(known.lanes, known.words, known.roots)
    names = tuple(sorted(name for name in roster.lanes if name != roster.fallback))
    # The number of each of the table's lanes in this roster, where the lane still means the same.
    places = {name: number for number, name in enumerate(names)} | {roster.fallback: len(names)}
    numbers = [
        places[name] if name in places and meaning(roster.lanes[name]) == known.meanings.get(name) else -1
        for name in (*known.lanes, roster.fallback)
    ]
    total: dict[str, dict[int, int]] = {}
    for term, pairs in msgspec.json.decode(known.evidence, type=dict[str, tuple[int, ...]]).items():
        for number, units in zip(pairs[::2], pairs[1::2], strict=True):
            if numbers[number] >= 0:
                total.setdefault(term, {})[numbers[number]] = units
    return weigh(names, total, ((number, of_lane(roster.lanes[name])) for number, name in enumerate(names)))


def weigh(
    names: tuple[str, ...], vocabulary: dict[str, dict[int, int]], lanes: Iterable[tuple[int, Evidence]]
) -> Lexicon:
    """Return the lexicon of the vocabulary's evidence with that of the lanes' own texts added to it."""
    total = {term: dict(units) for term, units in vocabulary.items()}
    for number, evidence in lanes:
        for term, units in evidence.items():
            of_term = total.setdefault(term, {})
            of_term[number] = of_term.get(number, 0) + units
    words: dict[str, Postings] = {}
    roots: dict[str, Postings] = {}
    for term in sorted(total):
        postings = _postings(total[term], _PAIR_PER_MILLE if " " in term else 1_000)
        if term.endswith(ROOT):
            roots[term[: -len(ROOT)]] = postings
        else:
            words[term] = postings
    return Lexicon(names, words, roots)


def _postings(units: dict[int, int], per_mille: int) -> Postings:
    total = sum(units.values()) + _SMOOTHING
    ratios = {number: _ln_milli(_PRIOR * units[number] + _SMOOTHING, total) for number in sorted(units)}
    clearest = max(ratios.values())
    found: list[int] = []
    for number, ratio in ratios.items():
        weight = ratio * clearest * per_mille // ((clearest + _CLEAR) * 1_000)
        if weight > 0:
            found += (number, weight)
    return tuple(found)


@lru_cache(maxsize=4_096)
def _ln_milli(above: int, below: int) -> int:
    """Return 1000 * ln(above / below), at least 0; by a series in 20-bit fractions."""
    if above <= below:
        return 0
    halvings = (above // below).bit_length() - 1
    z = ((above - (below << halvings)) << 20) // (above + (below << halvings))
    square = z * z >> 20
    term = series = z
    for divisor in (3, 5, 7, 9):
        term = term * square >> 20
        series += term // divisor
    return (halvings * _LN2_Q20 + 2 * series) * 1_000 >> 20
