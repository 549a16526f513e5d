"""Done criteria: lines of a plan or of the operator, some of which a result can be checked against.

A line ``NAME: VALUE`` whose name is in the table is checked and never guessed at; every other line is prose, which the
Validator reads. A checkable line that makes no sense is refused with the plan: it would fail every result.

    contains: TEXT       the text stands in the result, to the letter
    lacks: TEXT          it does not
    matches: PATTERN     the pattern (``rules/pattern.py``) matches somewhere in it
    json                 the whole result is one JSON value
    max words: N         and min words, max chars, min chars, max lines, min lines
    check: NAME          the operator's outside check of that name ends with exit code 0
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from forum_mcp.roles.reply import DEPTH_MAX, nesting
from forum_mcp.rules.pattern import BadPattern, compiled

__all__ = ["CRITERIA_MAX", "SEARCHED_MAX", "VERSION", "fault", "judge", "outside_check", "searched_each"]

VERSION: Final = 1
CRITERIA_MAX: Final = 50
"""Most criteria of one task."""

SEARCHED_MAX: Final = 8_000_000
"""Characters that all patterns of one task look through; a million take about half a second."""

_SHOWN: Final = 80
_LINE: Final = re.compile(r"\s*([a-z]+(?: [a-z]+)?)\s*:(.*)\Z", re.DOTALL)
_CHECK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_COUNTS: Final = {f"{bound} {unit}": (bound, unit) for bound in ("max", "min") for unit in ("words", "chars", "lines")}
_NUMBER: Final = re.compile(r"\d{1,9}\Z", re.ASCII)


def _read(line: str) -> tuple[str, str] | None:
    """Return (name, value) of a line that can be checked, or None for prose."""
    if line.strip() == "json":
        return "json", ""
    found = _LINE.match(line)
    if found is None:
        return None
    name, value = found[1], found[2].strip()
    if name == "check":
        return (name, value) if _CHECK.match(value) else None
    return (name, value) if (name in _TESTS and name != "json") or name in _COUNTS else None


def fault(line: str, checks: Mapping[str, str]) -> str | None:
    """Return what is wrong with a criterion, in words its author can use, or None."""
    read = _read(line)
    if read is None:
        return None
    name, value = read
    shown = f"criterion {_short(line.strip())!r}"
    if name == "check" and value not in checks:
        known = ", ".join(sorted(checks)) or "there are none"
        return f"{shown} names a check that the operator has not defined (checks: {known}); use one of them, or prose"
    if name in _COUNTS and _NUMBER.match(value) is None:
        return f"{shown} has no whole number; write '{name}: 100'"
    if name in ("contains", "lacks", "matches") and not value:
        return f"{shown} says nothing to look for; put it after the colon"
    if name == "matches":
        try:
            compiled(value)
        except BadPattern as error:
            return f"{shown} has a pattern that is not taken: {error}"
    return None


def outside_check(line: str) -> str | None:
    """Return the outside check that a criterion names, or None."""
    read = _read(line)
    return read[1] if read is not None and read[0] == "check" else None


def searched_each(lines: Sequence[str]) -> int:
    """Return how many characters of a result each pattern among the criteria may look through."""
    patterns = sum((read := _read(line)) is not None and read[0] == "matches" for line in lines)
    return SEARCHED_MAX // max(1, patterns)


def judge(line: str, output: str, searched: int = SEARCHED_MAX) -> tuple[bool, str] | None:
    """Return (whether a result meets a criterion, what was seen), or None for prose and for outside checks.

    ``searched``: most characters a pattern looks through; in a longer result it is not met.
    """
    read = _read(line)
    if read is None or read[0] == "check":
        return None
    name, value = read
    if name in _COUNTS:
        return _counted(*_COUNTS[name], value, output)
    if name == "matches" and len(output) > searched:
        return False, f"the result has {len(output)} characters; each of these patterns looks through {searched}"
    return _TESTS[name](value, output)


def _counted(bound: str, unit: str, value: str, output: str) -> tuple[bool, str]:
    count = {"words": _words, "chars": len, "lines": _lines}[unit](output)
    if _NUMBER.match(value) is None:
        return False, f"{_short(value)!r} is no whole number"
    return count <= int(value) if bound == "max" else count >= int(value), f"the result has {count} {unit}"


def _words(output: str) -> int:
    return len(output.split())


def _lines(output: str) -> int:
    return len(output.strip().split("\n"))


def _contains(value: str, output: str) -> tuple[bool, str]:
    at = output.find(value)
    return at >= 0, f"found at character {at}" if at >= 0 else f"the result does not contain {_short(value)!r}"


def _lacks(value: str, output: str) -> tuple[bool, str]:
    at = output.find(value)
    return at < 0, "not found" if at < 0 else f"the result contains {_short(value)!r} at character {at}"


def _matches(value: str, output: str) -> tuple[bool, str]:
    try:
        found = compiled(value).search(output)
    except BadPattern as error:
        return False, f"the pattern is not taken: {error}"
    if found is None:
        return False, "the pattern takes more steps than are made; use a simpler one"
    return found, "the pattern matches" if found else f"the result does not match {_short(value)!r}"


def _json(_: str, output: str) -> tuple[bool, str]:
    if nesting(output) > DEPTH_MAX:
        return False, f"the result is nested more than {DEPTH_MAX} deep"
    try:
        value: object = msgspec.json.decode(output)
    except msgspec.DecodeError as error:
        return False, f"the result is not JSON: {error}"
    return True, f"one JSON value ({type(value).__name__})"


_TESTS: Final[dict[str, Callable[[str, str], tuple[bool, str]]]] = {
    "contains": _contains,
    "lacks": _lacks,
    "matches": _matches,
    "json": _json,
}


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
