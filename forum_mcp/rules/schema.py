"""A task's JSON Schema (draft 2020-12): what is taken from a plan, and whether an output fits.

A plan may come from a model, so its schema is untrusted: nothing is fetched, no regular expression of a plan is run
(one can take for ever), and following references is bounded.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, cast

import msgspec

from forum_mcp.roles.reply import nesting

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

    _Keyword = Callable[[object, object, object, object], Iterable[object] | None]

__all__ = ["VERSION", "misfit", "refused"]

VERSION: Final = 1
_DEEPEST: Final = 48
_MOST_REFERENCES: Final = 10_000
_MOST_WRITTEN: Final = 32  # so that no chain of them reaches the limit of the stack, wherever that is
_REGULAR: Final = frozenset({"pattern", "patternProperties"})
_REFERENCES: Final = frozenset({"$ref", "$dynamicRef"})
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES: Final = frozenset({"const", "enum", "default", "examples"})


class _Endless(Exception):
    """The references of a schema lead on and on."""


def refused(schema: dict[str, object]) -> str | None:
    """Return what a schema that is not taken is or does ("is not ...", "uses ..."), or None when it is taken."""
    if _depth(schema) > _DEEPEST:
        return f"is nested more than {_DEEPEST} deep"
    from jsonschema import Draft202012Validator, SchemaError  # kept out of start-up: few tasks have a schema

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        given = repr(cast("object", error.instance))
        return f"is not a JSON Schema: {error.message.replace(given, given[:80])}"[:1000]
    references = 0
    for keyword, value in _keywords(schema):
        references += keyword in _REFERENCES
        if references > _MOST_WRITTEN:
            return f"refers to its parts more than {_MOST_WRITTEN} times"
        if keyword in _REGULAR:
            return f"uses {keyword!r}: a regular expression of a plan is never run; use 'enum' or plain types"
        if keyword in _REFERENCES and not (isinstance(value, str) and value.startswith("#")):
            return f"refers to {str(value)[:80]!r}: nothing is fetched; write it out under '$defs'"
    return None


def misfit(output: str, schema: dict[str, object]) -> str | None:
    """Return why the output is not JSON that fits the schema, or None when it is."""
    from referencing.exceptions import Unresolvable

    if nesting(output) > _DEEPEST:
        return f"the output is nested more than {_DEEPEST} deep"
    try:
        value = msgspec.json.decode(output)
    except msgspec.DecodeError as fault:
        return f"the output is not JSON: {fault}"
    if (why := refused(schema)) is not None:
        return f"the task's schema {why}"
    try:
        error = next(iter(_validator(schema).iter_errors(value)), None)
    except Unresolvable as gap:
        return f"the task's schema refers to {gap.ref[:80]!r}, which it does not hold"
    except (_Endless, RecursionError):
        return "the task's schema refers to itself without end"
    except ArithmeticError:
        return "the output holds a number that cannot be compared with the task's schema"
    if error is None:
        return None
    return f"the output does not fit the task's schema at {error.json_path}: {error.message}"[:1000]


def _validator(schema: dict[str, object]) -> "Validator":
    from jsonschema import Draft202012Validator, validators
    from referencing import Registry

    follow = cast("_Keyword", Draft202012Validator.VALIDATORS["$ref"])
    followed = 0

    def counted(validator: object, reference: object, instance: object, within: object) -> Iterable[object] | None:
        nonlocal followed
        followed += 1
        if followed > _MOST_REFERENCES:
            raise _Endless
        return follow(validator, reference, instance, within)

    make = cast("Callable[..., Validator]", validators.extend(Draft202012Validator, {"$ref": counted}))  # type: ignore[no-untyped-call]
    return make(schema, registry=Registry[object]())  # an empty registry, which fetches nothing


def _keywords(schema: object) -> Iterator[tuple[str, object]]:
    """Yield each keyword of a schema and its parts with its value; names of properties are no keywords."""
    if isinstance(schema, list):
        for part in cast(list[object], schema):
            yield from _keywords(part)
    elif isinstance(schema, dict):
        for keyword, value in cast(dict[str, object], schema).items():
            yield keyword, value
            if keyword in _NAMED and isinstance(value, dict):
                yield from _keywords(list(cast(dict[str, object], value).values()))
            elif keyword not in _VALUES:
                yield from _keywords(value)


def _depth(value: object) -> int:
    """Return how deep a JSON value is nested, without recursion."""
    depth, level = 0, _parts(value)
    while level:
        depth, level = depth + 1, [part for each in level for part in _parts(each)]
    return depth


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast(dict[str, object], value).values())
    return cast(list[object], value) if isinstance(value, list) else []
