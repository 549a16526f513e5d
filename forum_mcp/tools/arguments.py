"""The check of a call's arguments against a tool's flat schema, and typed access to what passed.

Nothing is coerced: ``"3"`` is not 3. An optional argument that is null counts as absent, because clients of
strict schemas send every member. A value is named in an error, cut to 80 characters, so that its author can see what
went wrong without reading the whole of it back.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, cast

from forum_mcp.errors import RequestRefused
from forum_mcp.tools.base import Schema, Tool

if TYPE_CHECKING:
    from forum_mcp.engine.options import RunOptions

__all__ = ["DEPTH_MAX", "Arguments", "check", "preview"]

DEPTH_MAX: Final = 64
"""Deepest nesting of an argument's value."""

_SHOWN: Final = 80
_PROBLEMS_SHOWN: Final = 3

_NAMES: Final = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
}


class Arguments:
    """Arguments that passed the check; a getter's type is the one the schema declares."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        """Tell whether the caller gave the argument, or the schema has a default for it."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """Return a string argument, or None when it is absent."""
        return cast("str | None", self._values.get(name))

    def required(self, name: str, why: str = "") -> str:
        """Return a string argument.

        Raises:
            RequestRefused: it is absent; ``why`` says what needs it.
        """
        value = self.text(name)
        if value is None:
            raise RequestRefused(f"argument '{name}' is missing{why}; add it and call again")
        return value

    def whole(self, name: str) -> int | None:
        """Return an integer argument, or None when it is absent."""
        return cast("int | None", self._values.get(name))

    def number(self, name: str) -> float | None:
        """Return a number argument, or None when it is absent."""
        value = cast("float | None", self._values.get(name))
        return None if value is None else float(value)

    def flag(self, name: str) -> bool:
        """Return a boolean argument; absent is False."""
        return bool(self._values.get(name, False))

    def mapping(self, name: str) -> Mapping[str, object] | None:
        """Return an object argument, or None when it is absent."""
        return cast("Mapping[str, object] | None", self._values.get(name))

    def options(self, names: Iterable[str]) -> "RunOptions":
        """Return those of the named options of a run that the caller gave."""
        return cast("RunOptions", {name: value for name in names if (value := self._values.get(name)) is not None})

    def refuse_beside(self, name: str, others: Sequence[str], why: str) -> None:
        """Refuse arguments that mean nothing beside ``name``.

        Raises:
            RequestRefused: at least one of ``others`` is given too.
        """
        given = [f"'{other}'" for other in others if self._values.get(other) not in (None, False)]
        if name in self._values and given:
            raise RequestRefused(f"argument '{name}' is given together with {', '.join(given)}; {why}")


def check(tool: Tool, given: Mapping[str, object]) -> Arguments:
    """Return the arguments of a call, defaults filled in.

    Raises:
        RequestRefused: an argument is unknown, missing, of the wrong type or out of range; names every such argument
            up to three, and what was expected.
    """
    properties = cast("dict[str, Schema]", tool.input_schema["properties"])
    required = cast("list[str]", tool.input_schema.get("required", []))
    problems = [_unknown(name, properties, tool.name) for name in given if name not in properties]
    values: dict[str, object] = {}
    for name, schema in properties.items():
        value = given.get(name)
        if value is None:
            if name in required:
                problems.append(f"argument '{name}' is missing; expected {_expected(schema)}")
            elif "default" in schema:
                values[name] = schema["default"]
            continue
        if name in tool.whole_as_text and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        problem = _problem(name, value, schema)
        if problem is None:
            values[name] = int(value) if schema["type"] == "integer" and isinstance(value, float) else value
        else:
            problems.append(problem)
    if problems:
        shown = "; ".join(problems[:_PROBLEMS_SHOWN])
        more = f"; and {len(problems) - _PROBLEMS_SHOWN} more" if len(problems) > _PROBLEMS_SHOWN else ""
        raise RequestRefused(shown + more)
    return Arguments(values)


def preview(value: object) -> str:
    """Return a value as JSON, cut to 80 characters, fit to stand in one line of an error."""
    if isinstance(value, str):
        value = value[:_SHOWN]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = json.dumps(value, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _unknown(name: str, properties: Mapping[str, Schema], tool: str) -> str:
    close = get_close_matches(name[:_SHOWN], properties, n=1, cutoff=0.6)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    takes = f"it takes: {', '.join(properties)}" if properties else "it takes none"
    return f"unknown argument {preview(name)} of tool '{tool}'{hint} ({takes})"


def _problem(name: str, value: object, schema: Schema) -> str | None:
    expected = f"expected {_expected(schema)}"
    if not _is_of_type(value, str(schema["type"])):
        hint = ""
        if isinstance(value, str) and schema["type"] == "object" and value.lstrip().startswith("{"):
            hint = "; pass it as an object, not as JSON text"
        elif isinstance(value, str) and schema["type"] in ("integer", "number"):
            hint = "; pass it without quotes"
        return f"argument '{name}' is {preview(value)}; {expected}{hint}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        below = isinstance(low, (int, float)) and value < low
        if below or (isinstance(high, (int, float)) and value > high):
            return f"argument '{name}' is {preview(value)}; {expected}"
    choices = _choices(schema)
    if choices and value not in choices:
        close = get_close_matches(str(value)[:_SHOWN], choices, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        return f"argument '{name}' is {preview(value)}; {expected}{hint}"
    if schema["type"] == "array":
        items, listed = cast("Schema", schema["items"]), cast("list[object]", value)
        if not all(_is_of_type(item, str(items["type"])) for item in listed):
            return f"argument '{name}' is {preview(listed)}; {expected}, each {_expected(items)}"
    fault = next(_faults(value), None)
    return None if fault is None else f"argument '{name}' {fault}"


def _is_of_type(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "string":
        return isinstance(value, str)
    if name == "integer":
        # JSON has one kind of number: 3.0 is the integer 3 (JSON Schema 2020-12, 6.1.1).
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if name == "number":
        return isinstance(value, (int, float)) and math.isfinite(value)
    if name == "object":
        return isinstance(value, dict)
    return name == "array" and isinstance(value, list)


def _choices(schema: Schema) -> list[str]:
    return cast("list[str]", schema.get("enum", []))


def _expected(schema: Schema) -> str:
    if choices := _choices(schema):
        return "one of " + ", ".join(choices)
    name = _NAMES[str(schema["type"])]
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{name} from {low} to {high}"
    return f"{name} of at least {low}" if low is not None else name


def _faults(value: object) -> Iterator[str]:
    """Yield what makes a value unfit for the record wherever it is nested: walks without recursion."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEPTH_MAX:
            yield f"is nested deeper than {DEPTH_MAX} levels; make it flatter"
            return
        if isinstance(item, str):
            if not _is_unicode(item):
                yield "holds a lone surrogate, which is not text; send valid Unicode"
        elif isinstance(item, float):
            if not math.isfinite(item):
                yield f"holds {item}, which is not JSON; send a finite number"
        elif isinstance(item, dict):
            members = cast("dict[str, object]", item)
            waiting.extend((key, depth + 1) for key in members)
            waiting.extend((member, depth + 1) for member in members.values())
        elif isinstance(item, list):
            waiting.extend((member, depth + 1) for member in cast("list[object]", item))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
