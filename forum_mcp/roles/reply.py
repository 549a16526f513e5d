"""Getting one JSON object out of a model's reply.

Servers with structured output answer pure JSON; others wrap it in prose or a code fence. The first complete object of
the text counts; nothing is repaired or guessed. Of a verdict all that the reply holds have to agree.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

__all__ = ["DEPTH_MAX", "Unusable", "fault_of", "json_object", "nesting", "read", "read_agreed"]

T = TypeVar("T")

DEPTH_MAX: Final = 64
"""Deepest JSON that is read. A parser's own limit depends on the stack beneath it; a decision must not."""

_SCAN_LIMIT: Final = 200_000
_READ_LIMIT: Final = 1_000_000  # over all tries: a hostile reply has many places where an object could begin
_LONG: Final = re.compile(r"((?:unknown field `|enum value ').{80}).+(?=[`'] - at|[`']$)", re.DOTALL)
_PLAIN_CHARS: Final = 4_000
"""Longest reply that is first read as it stands. No number in it is too long for the reader of the search."""
_MARKS: Final = re.compile(r'\\.|["{}\[\]]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unusable:
    """A reply that cannot be used; ``problem`` says why in words the model can act on."""

    problem: str


def json_object(text: str) -> str | Unusable:
    """Return the text of the first complete JSON object in a reply."""
    for found in _objects(text):
        return found
    return Unusable("the reply holds no complete JSON object; answer with exactly one JSON object and nothing else")


def _objects(text: str) -> Iterator[str]:
    """Yield the texts of the complete JSON objects of a reply, one after the other."""
    start, left = text.find("{", 0, _SCAN_LIMIT), _READ_LIMIT
    while start >= 0 and left > 0:
        deepest, end = _extent(text, start)
        left -= end - start
        following = start + 1
        if deepest <= DEPTH_MAX and text[end - 1] == "}":
            try:
                json.loads(text[start:end])
            except ValueError:
                pass
            else:
                yield text[start:end]
                following = end
        start = text.find("{", following, _SCAN_LIMIT)


def fault_of(error: msgspec.ValidationError) -> str:
    """Return why JSON has the wrong shape, with at most 80 characters of what its author wrote."""
    return _LONG.sub(r"\1…", str(error))


def nesting(text: str) -> int:
    """Return how deep a JSON text is nested, without parsing it; linear, and right for any text that is JSON."""
    return _extent(text, 0, whole=True)[0]


def _extent(text: str, start: int, *, whole: bool = False) -> tuple[int, int]:
    """Return (deepest nesting, index after the value that begins at ``start`` or after all that was read)."""
    depth = deepest = 0
    quoted = False
    for mark in _MARKS.finditer(text, start):
        match mark[0]:
            case '"':
                quoted = not quoted
            case "{" | "[" if not quoted:
                depth += 1
                deepest = max(deepest, depth)
            case "}" | "]" if not quoted:
                depth -= 1
            case _:
                continue
        if not whole and (depth == 0 or deepest > DEPTH_MAX):
            return deepest, mark.end()
    return deepest, len(text)


def read(text: str, shape: type[T]) -> T | Unusable:
    """Return the reply as ``shape`` (a msgspec Struct), strictly: no coercion of types.

    What JSON of RFC 8259 cannot say as Unicode (NaN, a lone surrogate) is refused here: it could not be recorded.
    """
    if text.startswith("{") and len(text) <= _PLAIN_CHARS and text.count("{") + text.count("[") <= DEPTH_MAX:
        try:
            return msgspec.json.decode(text, type=shape, strict=True)
        except msgspec.DecodeError:
            pass  # what is wrong is told by the search below
    found = json_object(text)
    return found if isinstance(found, Unusable) else _shaped(found, shape)


def read_agreed(text: str, shape: type[T], word: Callable[[T], bool]) -> T | Unusable:
    """Return the reply as ``read`` does, unless objects of this shape in it contradict each other in ``word``.

    Whoever quotes the result that is judged may quote a verdict that stands in it.
    """
    first = read(text, shape)
    if isinstance(first, Unusable):
        return first
    others = (each for found in _objects(text) if not isinstance(each := _shaped(found, shape), Unusable))
    if any(word(each) is not word(first) for each in others):
        return Unusable("the reply holds verdicts that contradict each other; answer with exactly one JSON object")
    return first


def _shaped(found: str, shape: type[T]) -> T | Unusable:
    try:
        return msgspec.json.decode(found, type=shape, strict=True)
    except msgspec.ValidationError as error:
        return Unusable(f"the JSON object does not have the required shape: {fault_of(error)}")
    except msgspec.DecodeError as error:
        return Unusable(f"the JSON object cannot be read: {error}")
