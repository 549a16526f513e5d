"""Canonical JSON: RFC 8785 (JCS) in full, and the narrower subset that entries keep to.

``encode`` takes any JSON value. Entries avoid what implementations disagree on (floats, big integers, the
order of non-ASCII keys): ``subset_fault`` names what would break that subset, and ``entry.encode`` is then
canonical.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, cast

import msgspec

__all__ = ["DEPTH_MAX", "INTEGER_MAX", "UNREADABLE", "encode", "subset_fault"]

INTEGER_MAX = 2**53 - 1
DEPTH_MAX = 64
_PLAIN_DEPTH = 8

UNREADABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding JSON that somebody else wrote may raise: not JSON or not of the shape, not UTF-8, nested too deep."""


def encode(value: object) -> bytes:
    """Return the RFC 8785 form, in UTF-8, of a JSON value: dict, list, tuple, str, int, float, bool, None.

    Raises:
        ValueError: NaN or an infinity, an integer beyond 2^53 - 1, a lone surrogate, a key that is no
        string, a
            value that JSON does not have, or one nested too deep for this interpreter.
    """
    try:
        return msgspec.json.encode(_prepare(value))
    except UnicodeEncodeError as fault:
        raise ValueError(
            f"the string {_shown(fault.object)} holds a lone surrogate, which UTF-8 cannot carry"
        ) from None
    except RecursionError:
        raise ValueError("the value is nested too deep to encode (or contains itself)") from None


def subset_fault(value: object) -> str | None:
    """Return what in ``value`` lies outside the entry's subset of JSON, in words, or None.

    The subset: ASCII keys, integers within 2^53 - 1 and no floats (so no -0), strings without lone
    surrogates, at most ``DEPTH_MAX`` containers inside one another.
    """
    if _is_fit(value):
        return None
    pending: list[tuple[str, object, int]] = [("", value, 0)]
    while pending:
        path, item, depth = pending.pop()
        fault = _scalar_fault(item)
        if fault is not None:
            return f"{path[:200] or 'the value'} {fault}"
        if not isinstance(item, Mapping | list | tuple):
            continue
        if depth == DEPTH_MAX:
            return f"{path[:200]} is nested deeper than {DEPTH_MAX} objects and arrays"
        if isinstance(item, Mapping):
            for key, inner in cast("Mapping[object, object]", item).items():
                if not isinstance(key, str) or not key.isascii():
                    return f"the key {_shown(key)} of {path[:200] or 'the value'} is not an ASCII string"
                pending.append((f"{path}.{key}" if path else key, inner, depth + 1))
        else:
            for index, inner in enumerate(cast("Sequence[object]", item)):
                pending.append((f"{path}[{index}]", inner, depth + 1))
    return None


def _is_fit(value: object, depth: int = 0) -> bool:
    """State whether the value is an object or array plainly in the subset, as data nearly always is; False: ask on."""
    if type(value) is dict:
        members = cast("dict[object, object]", value)
        for key in members:
            if not (type(key) is str and key.isascii()):
                return False
        items: Iterable[object] = members.values()
    elif type(value) is list:
        items = cast("list[object]", value)
    else:
        return False
    for item in items:
        if type(item) is str:
            if not item.isascii():
                return False
        elif type(item) is int:
            if not -INTEGER_MAX <= item <= INTEGER_MAX:
                return False
        elif item is not None and type(item) is not bool and (depth == _PLAIN_DEPTH or not _is_fit(item, depth + 1)):
            return False
    return True


def _scalar_fault(item: object) -> str | None:
    if item is None or isinstance(item, bool | Mapping | list | tuple):
        return None
    if isinstance(item, str):
        return None if _is_text(item) else f"is the string {_shown(item)}, which holds a lone surrogate"
    if isinstance(item, int):
        return None if -INTEGER_MAX <= item <= INTEGER_MAX else "is an integer beyond 2^53 - 1; write it as a string"
    if isinstance(item, float):
        return f"is the float {item!r}; write it as an integer of a smaller unit"
    return f"is a {type(item).__name__}, which JSON does not have"


def _prepare(value: object) -> object:
    """Return what msgspec must be given to write JCS: members in order, floats already spelt."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, float):
        return msgspec.Raw(_number(value))
    if isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise ValueError("an integer beyond 2^53 - 1 is refused: its value would not survive another JSON reader")
        return int(value)
    if isinstance(value, list | tuple):
        return [_prepare(item) for item in cast("Sequence[object]", value)]
    if isinstance(value, Mapping):
        members: dict[str, object] = {}
        for key, item in cast("Mapping[object, object]", value).items():
            if not isinstance(key, str):
                raise ValueError(f"the key {_shown(key)} is refused: expected a string")
            members[key] = _prepare(item)
        return {key: members[key] for key in sorted(members, key=_utf16_units)}
    raise ValueError(f"a value of type {type(value).__name__} is refused: JSON has no such value")


def _utf16_units(key: str) -> bytes:
    """Return the sort key of RFC 8785 section 3.2.3: UTF-16 code units, compared as unsigned numbers."""
    return key.encode("utf-16-be")


def _number(value: float) -> bytes:
    """Return a double as ECMAScript's Number::toString writes it (ECMA-262, 6.1.6.1.20).

    Python's ``repr`` gives the same shortest digits; only their layout differs.
    """
    if not math.isfinite(value):
        raise ValueError(f"the number {value!r} is refused: JSON has neither NaN nor infinities")
    if value == 0:
        return b"0"
    sign, digit_tuple, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple))
    exponent += len(digits) - len(digits.rstrip("0"))
    digits = digits.rstrip("0")
    point = len(digits) + exponent
    if 0 < point <= 21:
        text = digits.ljust(point, "0") if len(digits) <= point else f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        text = f"{digits[0]}{fraction}e{point - 1:+d}"
    return f"{'-' if sign else ''}{text}".encode()


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(value: object) -> str:
    return ascii(value)[:80]
