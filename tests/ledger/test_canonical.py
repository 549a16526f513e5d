import json
import math
import re
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forum_mcp.ledger import canonical
from forum_mcp.ledger.entry import Entry, LedgerId, decode
from forum_mcp.ledger.entry import encode as encode_entry

JCS = Path(__file__).parents[1] / "vectors" / "jcs" / "testdata"
CASES = sorted(path.stem for path in (JCS / "input").glob("*.json"))

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
ASCII_KEYS = st.text(alphabet=st.characters(max_codepoint=127))
INTEGERS = st.integers(-canonical.INTEGER_MAX, canonical.INTEGER_MAX)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)
SUBSET = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ASCII_KEYS, inner, max_size=5),
    max_leaves=20,
)


def test_there_are_six_cases_of_rfc_8785() -> None:
    assert len(CASES) == 6


@pytest.mark.parametrize("case", CASES)
def test_a_case_of_rfc_8785_comes_out_byte_for_byte(case: str) -> None:
    value = json.loads((JCS / "input" / f"{case}.json").read_bytes())
    encoded = canonical.encode(value)
    assert encoded == (JCS / "output" / f"{case}.json").read_bytes()
    assert encoded == bytes.fromhex((JCS / "outhex" / f"{case}.txt").read_text())


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_a_number_of_appendix_b_is_spelt_as_ecmascript_spells_it(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical.encode(value) == text.encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_as_the_same_double(value: float) -> None:
    text = canonical.encode(value).decode()
    assert float(text) == value
    assert not text.endswith(".0")


@given(ANY_JSON)
def test_encoding_what_was_decoded_gives_the_same_bytes(value: object) -> None:
    encoded = canonical.encode(value)
    assert canonical.encode(json.loads(encoded, parse_int=_as_double_if_large)) == encoded


def _as_double_if_large(text: str) -> int | float:
    # A double such as 1e20 is written without a point; reading it back as an integer would be refused.
    number = int(text)
    return number if abs(number) <= canonical.INTEGER_MAX else float(text)


def test_keys_are_ordered_by_utf_16_code_units() -> None:
    value = {"\ufb33": 1, "\U0001f602": 2, "b": 3, "a": 4}
    assert canonical.encode(value).decode() == '{"a":4,"b":3,"\U0001f602":2,"\ufb33":1}'


@given(SUBSET)
def test_inside_the_subset_the_entry_encoder_is_rfc_8785(value: object) -> None:
    assert canonical.subset_fault({"x": value}) is None
    entry = Entry("engine", 1, {}, {"x": value}, "a.b", LedgerId("0" * 32), [], "0" * 64, None, 0, 1)
    encoded = encode_entry(entry)
    assert encoded == canonical.encode(msgspec.to_builtins(entry))
    assert encode_entry(decode(encoded)) == encoded


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (math.nan, "NaN"),
        (math.inf, "infinities"),
        ({"a": -math.inf}, "infinities"),
        (2**53, "beyond"),
        ([-(2**53)], "beyond"),
        ("\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({1: 1}, "expected a string"),
        ({"a": {None: 1}}, "expected a string"),
        (b"bytes", "bytes"),
        ({"a": {1, 2}}, "set"),
    ],
    ids=ascii,
)
def test_what_json_cannot_carry_is_refused_in_words(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        canonical.encode(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="nested too deep"):
        canonical.encode(value)
    assert "nested deeper" in str(canonical.subset_fault(value))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": 1.0}, "a is the float 1.0"),
        ({"a": [0, -0.0]}, r"a\[1\] is the float -0.0"),
        ({"a": {"b": 2**53}}, "a.b is an integer beyond"),
        ({"a": "\ud83d"}, "a is the string .* lone surrogate"),
        ({"ä": 1}, "not an ASCII string"),
        ({"a": {"\u2028": 1}}, "of a is not an ASCII string"),
        ({"a": {1: 1}}, "key 1 of a is not an ASCII string"),
        ({"a": b""}, "a is a bytes"),
        ({"a": math.nan}, "float nan"),
    ],
    ids=ascii,
)
def test_what_lies_outside_the_subset_is_named_with_its_place(value: object, words: str) -> None:
    fault = canonical.subset_fault(value)
    assert fault is not None
    assert re.search(words, fault)


def test_nesting_ends_at_the_same_depth_whoever_looks() -> None:
    value: object = 1
    for _ in range(canonical.DEPTH_MAX):
        value = [value]
    assert canonical.subset_fault(value) is None
    assert "nested deeper" in str(canonical.subset_fault([value]))
