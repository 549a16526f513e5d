"""The quick look at an entry, or a page of them: what it lets pass has no fault by the walk over the members either."""

import random

import msgspec
import pytest

from forum_mcp.ledger.canonical import encode as canonical
from forum_mcp.ledger.entry import decode, encode
from forum_mcp.ledger.faultless import faultless, faultless_each
from forum_mcp.ledger.members import member_faults

MEMBERS: dict[str, object] = {
    "actor": "executor:model",
    "at": 1_700_000_000_000_000,
    "bodies": {"reply": {"commit": "ab" * 32, "size": 3, "type": "text/plain; charset=utf-8"}},
    "data": {"call": 1, "ok": True, "why": None, "of": [1, "two"], "in": {"x": 2}},
    "kind": "call.finished",
    "ledger": "0a" * 16,
    "parents": [1, 4],
    "prev": "0b" * 32,
    "run": "0c" * 16,
    "seq": 5,
    "v": 1,
}
HOSTILE: list[object] = [
    *("", "A" * 32, "0A" * 32, "ab" * 32 + "\n", "0a" * 16 + "\n", "a", "a.b\n", "é", "x" * 201, "Text/plain", "a b"),
    *(-1, 0, 2, True, None, 2**53, -(2**53), 2**63, 1.0, 0.5, -0.0),
    *([], [5], [4, 4], [4, 1], [-1], [1, True], [[[1]]], [0.5], list(range(257)), {}, {"é": 1}, {"a": {"b": {"c": 1}}}),
    *({"a": 1.5}, {"a": [2**53]}, {"a": {"é": 1}}, {"": {"commit": "ab" * 32, "size": 3, "type": "a/b"}}),
    *({"r": {"commit": "AB" * 32, "size": 3, "type": "a/b"}}, {"r": {"commit": "ab" * 32, "size": -1, "type": "a/b"}}),
    *({"r": {"commit": "ab" * 32, "size": 2**53, "type": "a/b"}}, {"r": {"commit": "ab" * 32, "size": 1, "type": ""}}),
]


def is_right(raw: bytes) -> bool:
    try:
        entry = decode(raw)
        return encode(entry) == raw and not list(member_faults(entry))
    except (msgspec.MsgspecError, ValueError):
        return False


def test_an_entry_without_a_fault_is_known_at_first_sight() -> None:
    raw = canonical(MEMBERS)
    assert is_right(raw)
    entry = faultless(raw)
    assert entry is not None
    assert encode(entry) == raw


@pytest.mark.parametrize("member", MEMBERS)
def test_nothing_with_a_fault_in_a_member_passes_at_first_sight(member: str) -> None:
    for value in HOSTILE:
        raw = msgspec.json.encode({**MEMBERS, member: value})
        assert faultless(raw) is None or is_right(raw), raw


def test_nothing_but_the_canonical_spelling_passes_at_first_sight() -> None:
    raw = canonical(MEMBERS)
    assert faultless(raw.replace(b'"call":1', b'"call":1.0')) is None
    assert faultless(raw.replace(b'"call":1', b'"call":-0')) is None
    assert faultless(raw.replace(b'"call":1', b'"call":1,"call":1')) is None
    assert faultless(raw.replace(b'"call"', rb'"c\u0061ll"')) is None
    assert faultless(raw.replace(b'"call"', rb'"c\u00e9ll"')) is None
    assert faultless(raw.replace(b'"two"', rb'"\ud800"')) is None
    assert faultless(raw + b"\n") is None


def test_what_passes_at_first_sight_after_random_damage_has_no_fault() -> None:
    raw, chance = canonical(MEMBERS), random.Random(7)
    passed = 0
    for _ in range(20_000):
        changed = bytearray(raw)
        changed[chance.randrange(len(raw))] = chance.randrange(256)
        if faultless(bytes(changed)) is not None:
            passed += 1
            assert is_right(bytes(changed)), bytes(changed)
    assert passed


def test_a_page_of_entries_without_a_fault_is_known_at_once_and_one_with_a_fault_is_not_taken_for_right() -> None:
    right = [canonical({**MEMBERS, "seq": seq}) for seq in range(5, 12)]
    assert [entry and encode(entry) for entry in faultless_each(right)] == right
    for place in range(len(right)):
        for wrong in (
            b"",
            b"{}",
            right[0] + b"\n",
            b"\n" + right[0],
            right[0] + b"\n" + right[1],
            right[0][:-1] + b",}",
        ):
            mixed = [*right[:place], wrong, *right[place + 1 :]]
            found = faultless_each(mixed)
            assert [entry is not None for entry in found] == [at != place for at in range(len(right))], (place, wrong)


def test_entries_that_a_line_break_moves_from_one_to_the_next_are_not_right_together() -> None:
    one, other = canonical(MEMBERS), canonical({**MEMBERS, "seq": 6})
    for pair in ([one + b"\n" + other, b""], [b"", one + b"\n" + other], [one + b"\n", other], [one[:90], one[90:]]):
        assert faultless_each(pair) == [None if raw != other else faultless(other) for raw in pair]
