"""Lanes and rosters as values: what a lane must be, and a roster's canonical JSON.

The JSON is a recorded body of each run, so that its route can be derived again for ever. Tiers say how strong a
model a lane deserves when several are configured: ``small``, ``medium`` or ``large``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, Self, get_args

import msgspec

from forum_mcp.errors import RosterRefused
from forum_mcp.ledger.canonical import UNREADABLE
from forum_mcp.rules.stopwords import STOP
from forum_mcp.rules.words import fold, split_words

__all__ = [
    "FALLBACK", "LANES_MAX", "LANE_NAME", "TIERS", "Lane", "Roster", "Tier", "lane_fault",
]  # fmt: skip

FALLBACK: Final = "general"
"""The lane for what fits no other; it has no keywords and cannot be removed."""

Tier = Literal["small", "medium", "large"]
TIERS: Final[tuple[str, ...]] = get_args(Tier)

LANE_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
LANES_MAX: Final = 500
_NAME_MAX: Final = 40
_TEXT_MAX: Final = 1_000
_TEXTS_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of work.

    Attributes:
        name: lower-case words joined by hyphens.
        category: the group of lanes a policy may name as a whole; formed like a name.
        description: one or two sentences; its words speak softly for the lane.
        keywords: words and phrases that speak for the lane.
        tier: how strong a model the lane deserves.
        examples: requests that belong here, as people write them.
        strong: words and phrases that hardly mean any other lane.
    """

    name: str
    category: str
    description: str
    keywords: tuple[str, ...]
    tier: Tier = "medium"
    examples: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=True)
class Roster:
    """The lanes by name, and the name of the fallback. Equal rosters route alike, whatever the order of their lanes."""

    lanes: Mapping[str, Lane]
    fallback: str = FALLBACK
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Freeze the lanes; hash once, because the hash is asked for on every route."""
        object.__setattr__(self, "lanes", MappingProxyType(dict(self.lanes)))
        object.__setattr__(self, "_hash", hash((self.fallback, frozenset(self.lanes.values()))))

    def __hash__(self) -> int:
        return self._hash

    def to_json(self) -> bytes:
        """Return canonical JSON (sorted members, UTF-8): equal rosters give equal bytes."""
        lanes = {
            lane.name: _LaneJson(lane.category, lane.description, lane.keywords, lane.tier, lane.examples, lane.strong)
            for lane in self.lanes.values()
        }
        return _ENCODER.encode(_RosterJson(self.fallback, lanes, 1))

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Return the roster of recorded bytes.

        Raises:
            RosterRefused: not a roster as ``to_json`` writes it.
        """
        roster = _decode(data)
        return roster if isinstance(roster, cls) else cls(roster.lanes, roster.fallback)


class _LaneJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    category: str
    description: str
    keywords: tuple[str, ...]
    tier: Tier
    examples: tuple[str, ...] = ()
    strong: tuple[str, ...] = ()


class _RosterJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fallback: str
    lanes: dict[str, _LaneJson]
    v: Literal[1]


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(_RosterJson)


def lane_fault(lane: Lane, fallback: str = FALLBACK) -> tuple[str, str] | None:
    """Return (member, what is wrong with it) for the first fault of a lane, or None."""
    if not _is_name(lane.name):
        return (
            "name",
            f"the name is not lower-case letters and digits joined by single hyphens, at most {_NAME_MAX} characters",
        )
    if not _is_name(lane.category):
        return "category", f"{_quoted(lane.category)} is not lower-case letters and digits joined by single hyphens"
    if not lane.description.strip():
        return "description", "is empty; say in a sentence what belongs in this lane"
    if len(lane.description) > _TEXT_MAX:
        return "description", f"has {len(lane.description)} characters, more than {_TEXT_MAX}"
    if lane.tier not in TIERS:
        return "tier", f"{_quoted(lane.tier)} is not a tier (tiers: {', '.join(TIERS)})"
    if lane.name == fallback:
        for member, given in (("keywords", lane.keywords), ("strong", lane.strong)):
            if given:
                return member, "is given to the fallback lane, which is never matched by keywords; leave it out"
    elif not lane.keywords and not lane.strong:
        return "keywords", "is missing or empty; without keywords the lane is never chosen"
    for member, texts in (("keywords", lane.keywords), ("strong", lane.strong), ("examples", lane.examples)):
        if fault := _texts_fault(texts, must_match=member != "examples"):
            return member, fault
    return None


def _texts_fault(texts: tuple[str, ...], *, must_match: bool) -> str | None:
    if len(texts) > _TEXTS_MAX:
        return f"has {len(texts)} items, more than {_TEXTS_MAX}"
    seen: dict[str, str] = {}
    for text in texts:
        if not text.strip():
            return "has an empty item"
        if len(text) > _TEXT_MAX:
            return f"has an item of {len(text)} characters, more than {_TEXT_MAX}"
        words = split_words(text)
        if must_match and (not words or (len(words) == 1 and words[0].whole in STOP)):
            return f"{_quoted(text)} holds no word the router can match"
        if fold(text) in seen:
            return f"lists {_quoted(text)} twice"
        seen[fold(text)] = text
    return None


def _is_name(name: str) -> bool:
    return len(name) <= _NAME_MAX and LANE_NAME.fullmatch(name) is not None


def _quoted(text: str) -> str:
    """Return user text short enough, and visible enough, to stand in a message."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


@lru_cache(maxsize=16)
def _decode(data: bytes) -> Roster:
    # Cached because every run of a ledger carries the same bytes, and so that its router finds the compiled roster
    # by identity. Shape only is checked: what a later version refuses to load must still route as it once did.
    try:
        decoded = _DECODER.decode(data)
    except UNREADABLE as fault:
        raise RosterRefused(f"recorded roster: {fault}") from fault
    if decoded.fallback not in decoded.lanes:
        raise RosterRefused(f"recorded roster: the fallback lane {_quoted(decoded.fallback)} is not among its lanes")
    return Roster(
        {
            name: Lane(name, lane.category, lane.description, lane.keywords, lane.tier, lane.examples, lane.strong)
            for name, lane in decoded.lanes.items()
        },
        decoded.fallback,
    )
