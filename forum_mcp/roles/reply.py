"""Getting one JSON object out of a model's reply.

Servers with structured output answer pure JSON; others wrap it in prose or a code fence. The first complete object of
the text counts; nothing is repaired or guessed.
"""

import json
from dataclasses import dataclass
from typing import TypeVar

import msgspec

__all__ = ["Unusable", "json_object", "read"]

T = TypeVar("T")

_SCAN_LIMIT = 200_000
_TRIES = 1_000  # each may read to the end: an unbounded number would be quadratic in a hostile reply


@dataclass(frozen=True, slots=True)
class Unusable:
    """A reply that cannot be used; ``problem`` says why in words the model can act on."""

    problem: str


def json_object(text: str) -> str | Unusable:
    """Return the text of the first complete JSON object in a reply."""
    decoder = json.JSONDecoder()
    start = text.find("{", 0, _SCAN_LIMIT)
    for _ in range(_TRIES):
        if start < 0:
            break
        try:
            return text[start : decoder.raw_decode(text, start)[1]]
        except (ValueError, RecursionError):
            start = text.find("{", start + 1, _SCAN_LIMIT)
    return Unusable("the reply holds no complete JSON object; answer with exactly one JSON object and nothing else")


def read(text: str, shape: type[T]) -> T | Unusable:
    """Return the reply as ``shape`` (a msgspec Struct), strictly: no coercion of types.

    What JSON of RFC 8259 cannot say as Unicode (NaN, a lone surrogate) is refused here: it could not be recorded.
    """
    found = json_object(text)
    if isinstance(found, Unusable):
        return found
    try:
        return msgspec.json.decode(found, type=shape, strict=True)
    except msgspec.ValidationError as error:
        return Unusable(f"the JSON object does not have the required shape: {error}")
    except (msgspec.DecodeError, RecursionError) as error:
        return Unusable(f"the JSON object cannot be read: {error}")
