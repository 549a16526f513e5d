"""The compiled table that ships with the package: what the router knows beyond the texts of a roster.

It has two halves: the weights of the shipped roster, ready to use, and the evidence of the vocabulary, from which any
other roster is compiled. Evidence belongs to what a lane's description says: a lane of the same name with another
description is another lane and gets none. The table is a constant of the release; a run records its digest.
"""

from functools import cache
from hashlib import sha256
from typing import Final

import msgspec

from forum_mcp.configs.routing import compiled_routing
from forum_mcp.rules.lanes import Lane

__all__ = ["VERSION", "Knowledge", "digest", "knowledge", "meaning"]

VERSION: Final = 2

_MEANING_DIGITS: Final = 16


class Knowledge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table.

    Attributes:
        v: version of its form.
        roster: SHA-256 of the shipped roster's canonical JSON, hex.
        lanes: names that lane numbers stand for, sorted; the number after the last is the fallback.
        meanings: lane -> digest of the description its evidence belongs to.
        words: term -> lane number, weight, lane number, weight ...
        roots: the same for beginnings of words.
        evidence: JSON of term or root -> lane number, units ...; from the vocabulary alone.
    """

    v: int
    roster: str
    lanes: tuple[str, ...]
    meanings: dict[str, str]
    words: dict[str, tuple[int, ...]]
    roots: dict[str, tuple[int, ...]]
    evidence: msgspec.Raw


def meaning(lane: Lane) -> str:
    """Return the digest of what a lane says it is for."""
    return sha256(lane.description.encode()).hexdigest()[:_MEANING_DIGITS]


@cache
def knowledge() -> Knowledge:
    """Return the shipped table."""
    return msgspec.json.decode(compiled_routing(), type=Knowledge)


@cache
def digest() -> str:
    """Return what names this table in a record."""
    return sha256(compiled_routing()).hexdigest()
