"""A task's JSON Schema (draft 2020-12): what is taken from a plan, and whether an output fits.

A plan may come from a model, so its schema is untrusted: nothing is fetched, no regular expression of a plan is run
(one can take for ever), following references is bounded, and so are the steps an output takes (``effort.py``).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast
from urllib.parse import unquote

import msgspec

from forum_mcp.roles.reply import nesting
from forum_mcp.rules.effort import NEVER_RUN, STEPS_MAX, Endless, TooMuch, validator_of

__all__ = ["VERSION", "misfit", "refused"]

VERSION: Final = 1
_DEEPEST: Final = 48
_MOST_PARTS: Final = 4_000
_MOST_WRITTEN: Final = 32  # so that no chain of them reaches the limit of the stack, wherever that is
_REFERENCES: Final = ("$ref", "$dynamicRef")
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "dependentSchemas"})
_VALUES: Final = frozenset({"const", "enum", "default", "examples"})
_OF_THE_WHOLE: Final = ("$id", "$schema")
_INSTEAD: Final = {
    "pattern": "a regular expression of a plan is never run; use 'enum' or plain types",
    "patternProperties": "a regular expression of a plan is never run; use 'properties' or 'additionalProperties'",
    "unevaluatedProperties": "what it costs has no bound; use 'additionalProperties'",
    "unevaluatedItems": "what it costs has no bound; use 'items' after 'prefixItems'",
}

_Schema = Mapping[str, object]


def refused(schema: dict[str, object]) -> str | None:
    """Return what a schema that is not taken is or does ("is not ...", "uses ..."), or None when it is taken."""
    depth, parts = _extent(schema)
    if depth > _DEEPEST:
        return f"is nested more than {_DEEPEST} deep"
    if parts > _MOST_PARTS:
        return f"has more than {_MOST_PARTS} parts; ask for less in one task"
    from jsonschema import Draft202012Validator  # kept out of start-up: few tasks have a schema

    # Without its format checker, which would compile regular expressions.
    checker = cast("Any", Draft202012Validator(Draft202012Validator.META_SCHEMA))
    for error in checker.iter_errors(schema):
        given = repr(cast("object", error.instance))
        return f"is not a JSON Schema: {error.message.replace(given, given[:80])}"[:1000]
    return _unsafe(schema)


def _unsafe(schema: _Schema) -> str | None:
    """Return which keyword of a schema cannot be used, or where it refers to."""
    schemas = list(_schemas(schema))
    known = {id(each) for each in schemas}
    references = 0
    for each in schemas:
        for keyword in each:
            if keyword in NEVER_RUN:
                return f"uses {keyword!r}: {_INSTEAD[keyword]}"
            if keyword in _OF_THE_WHOLE and each is not schema:
                return f"has a {keyword!r} inside: a schema is one whole; leave it out"
        for value in (each[keyword] for keyword in _REFERENCES if keyword in each):
            references += 1
            if references > _MOST_WRITTEN:
                return f"refers to its parts more than {_MOST_WRITTEN} times"
            if not (isinstance(value, str) and value.startswith("#")):
                return f"refers to {str(value)[:80]!r}: nothing is fetched; write it out under '$defs'"
            target = _target(schema, value)
            if isinstance(target, dict) and id(cast("object", target)) not in known:
                return f"refers to {value[:80]!r}, which is a value and no schema; write it out under '$defs'"
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
        error = next(iter(validator_of(schema).iter_errors(value)), None)
    except Unresolvable as gap:
        return f"the task's schema refers to {gap.ref[:80]!r}, which it does not hold"
    except (Endless, RecursionError):
        return "the task's schema refers to itself without end"
    except TooMuch:
        return f"the output takes more than {STEPS_MAX} steps to compare with the task's schema; ask for less at once"
    except ArithmeticError:
        return "the output holds a number that cannot be compared with the task's schema"
    if error is None:
        return None
    return f"the output does not fit the task's schema at {error.json_path}: {error.message}"[:1000]


def _schemas(schema: _Schema) -> Iterator[_Schema]:
    """Yield a schema and every part of it that may be used as one; what stands for a value is none."""
    todo: list[object] = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += cast("list[object]", part)
        elif isinstance(part, dict):
            each = cast("dict[str, object]", part)
            yield each
            for keyword, value in each.items():
                if keyword in _NAMED and isinstance(value, dict):
                    todo += value.values()
                elif keyword not in _VALUES:
                    todo.append(value)


def _target(schema: _Schema, reference: str) -> object:
    """Return what a JSON pointer (RFC 6901) into the schema leads to; None for any other reference, or for none."""
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        return None
    found: object = schema
    for step in pointer.split("/")[1:]:
        found = _member(found, step.replace("~1", "/").replace("~0", "~"))
    return found


def _member(value: object, name: str) -> object:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).get(name)
    if isinstance(value, list) and name.isascii() and name.isdigit():
        members = cast("list[object]", value)
        return members[int(name)] if int(name) < len(members) else None
    return None


def _extent(value: object) -> tuple[int, int]:
    """Return how deep a JSON value is nested and how many parts it has, without recursion."""
    depth, parts, level = 0, 1, _parts(value)
    while level:
        depth, parts, level = depth + 1, parts + len(level), [part for each in level for part in _parts(each)]
    return depth, parts


def _parts(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast(dict[str, object], value).values())
    return cast(list[object], value) if isinstance(value, list) else []
