"""Bounds on what a tool answers: a result never floods a conversation, and what is cut says where the rest is.

The structured form stays valid JSON of the same shape: long strings end in a mark, long lists keep their first items,
and every cut is named. Limits tighten step by step until the whole fits.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Final, cast

__all__ = ["RESULT_CHARS", "Cut", "bounded"]

RESULT_CHARS: Final = 45_000
"""Most characters of either form of a result; a common client refuses more than 25,000 tokens."""

_STEPS: Final = ((30_000, 500), (12_000, 200), (4_000, 100), (1_500, 60), (800, 40), (400, 20), (400, 8), (400, 2))
"""Longest string and longest list, loosest first. A signed note (under 400 characters) is never cut."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A value within bounds, and in words what was left out of it."""

    value: dict[str, object]
    notes: list[str]


def bounded(value: dict[str, object], limit: int = RESULT_CHARS) -> Cut:
    """Return the value in about ``limit`` characters of compact JSON, and a note for each kind of cut."""
    cut = Cut(value, [])
    if _size(value) <= limit:
        return cut
    for longest_text, longest_list in _STEPS:
        counts: Counter[str] = Counter()
        reduced = cast("dict[str, object]", _reduced(value, longest_text, longest_list, "", counts))
        cut = Cut(reduced, [what if times == 1 else f"{what} ({times} times)" for what, times in counts.items()])
        if _size(reduced) + sum(map(len, cut.notes)) <= limit:
            break
    return cut


def _size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _reduced(value: object, longest_text: int, longest_list: int, path: str, counts: Counter[str]) -> object:
    if isinstance(value, str) and len(value) > longest_text:
        counts[f"{path}: texts end after {longest_text} characters"] += 1
        return f"{value[:longest_text]}… [cut: {len(value) - longest_text} more characters]"
    if isinstance(value, list):
        items = cast("list[object]", value)
        if len(items) > longest_list:
            counts[f"{path}: the first {longest_list} of {len(items)} items"] += 1
        return [_reduced(item, longest_text, longest_list, f"{path}[]", counts) for item in items[:longest_list]]
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        prefix = f"{path}." if path else ""
        return {
            name: _reduced(item, longest_text, longest_list, prefix + name, counts) for name, item in members.items()
        }
    return value
