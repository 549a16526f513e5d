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


@dataclass(frozen=True, slots=True)
class Unusable:
    """A reply that cannot be used; ``problem`` says why in words the model can act on."""

    problem: str


def json_object(text: str) -> dict[str, object] | Unusable:
    """Return the first complete JSON object in the text."""
    decoder = json.JSONDecoder()
    start = text.find("{", 0, _SCAN_LIMIT)
    while start >= 0:
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1, _SCAN_LIMIT)
            continue
        return value  # type: ignore[no-any-return]  # raw_decode at "{" gives an object
    return Unusable("the reply holds no complete JSON object; answer with exactly one JSON object and nothing else")


def read(text: str, shape: type[T]) -> T | Unusable:
    """Return the reply as ``shape`` (a msgspec Struct), strictly: no coercion of types."""
    value = json_object(text)
    if isinstance(value, Unusable):
        return value
    try:
        return msgspec.convert(value, shape, strict=True)
    except msgspec.ValidationError as error:
        return Unusable(f"the JSON object does not have the required shape: {error}")
