"""The check of arguments against flat schemas."""

import json
import math
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forum_mcp.errors import RequestRefused
from forum_mcp.tools import TOOLS
from forum_mcp.tools.arguments import DEPTH_MAX, Arguments, check, preview
from forum_mcp.tools.base import Tool

BY_NAME = {tool.name: tool for tool in TOOLS}


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("route", {}, "argument 'request' is missing; expected a string"),
    ("route", {"request": None}, "argument 'request' is missing"),
    ("route", {"request": 3}, "argument 'request' is 3; expected a string"),
    ("route", {"request": "x", "reqest": "y"}, "did you mean 'request'"),
    ("route", {"request": "x", "cmd": "rm"}, "it takes: request"),
    ("route", {"request": "\ud800"}, "lone surrogate"),
    ("ledger_verify", {"level": "3"}, "pass it without quotes"),
    ("ledger_verify", {"level": True}, "argument 'level' is true; expected an integer from 1 to 4"),
    ("ledger_verify", {"level": 2.5}, "expected an integer"),
    ("ledger_verify", {"level": 0}, "expected an integer from 1 to 4"),
    ("ledger_verify", {"level": 10**400}, "an integer of 1329 bits"),
    ("submit", {"request": "x", "wait_s": math.nan}, "argument 'wait_s' is NaN; expected a number"),
    ("submit", {"request": "x", "wait_s": math.inf}, "expected a number from 0 to 300"),
    ("submit", {"request": "x", "wait_s": -1}, "expected a number from 0 to 300"),
    ("submit", {"request": "x", "max_calls": 0}, "expected an integer of at least 1"),
    ("submit", {"request": "x", "single": "true"}, "expected true or false"),
    ("submit", {"request": "x", "plan": '{"tasks": []}'}, "pass it as an object, not as JSON text"),
    ("submit", {"request": "x", "plan": []}, "expected an object"),
    ("submit", {"request": "x", "plan": {"a": nested(DEPTH_MAX + 2)}}, "nested deeper than"),
    ("submit", {"request": "x", "plan": {"a": [math.nan]}}, "which is not JSON"),
    ("submit", {"request": "x", "plan": {"\udfff": 1}}, "lone surrogate"),
    ("submit", {"request": "x", "context": ["a", {}]}, "expected an array, each a string"),
    ("submit", {"request": "x", "context": "a"}, "expected an array"),
    ("work", {"action": "compleet"}, "one of next, progress, complete, fail; did you mean 'complete'"),
]


@pytest.mark.parametrize(("tool", "arguments", "said"), REFUSED)
def test_what_does_not_fit_is_refused_with_what_was_expected(tool: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestRefused) as refusal:
        check(BY_NAME[tool], arguments)
    assert said in str(refusal.value)


def test_defaults_are_filled_in_and_null_counts_as_absent() -> None:
    checked = check(BY_NAME["submit"], {"request": "x", "lane": None, "wait_s": None})
    assert checked.number("wait_s") == 45
    assert checked.text("lane") is None
    assert "lane" not in checked


def test_a_whole_float_is_the_integer_it_is_and_text_is_not_a_number() -> None:
    assert check(BY_NAME["ledger_verify"], {"level": 4.0}).whole("level") == 4
    assert check(BY_NAME["ledger_replay"], {"until": 12}).text("until") == "12"


def test_several_problems_are_named_together_and_the_rest_counted() -> None:
    with pytest.raises(RequestRefused) as refusal:
        check(BY_NAME["route"], dict.fromkeys("abcdefg", 1))
    assert str(refusal.value).count("unknown argument") == 3
    assert "and 5 more" in str(refusal.value)


def test_a_value_is_never_echoed_beyond_80_characters() -> None:
    secret = "s3cr3t" * 1000
    with pytest.raises(RequestRefused) as refusal:
        check(BY_NAME["ledger_verify"], {"level": secret, secret: 1})
    assert len(str(refusal.value)) < 600


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)


@given(value=VALUES)
def test_a_preview_is_one_short_line_whatever_the_value(value: object) -> None:
    shown = preview(value)
    assert len(shown) <= 80
    assert shown.isprintable()


@given(
    tool=st.sampled_from(TOOLS),
    data=st.data(),
    extra=st.dictionaries(st.text(st.characters(), max_size=30), VALUES, max_size=2),
)
def test_any_arguments_pass_as_their_schema_says_or_are_refused_briefly(
    tool: Tool, data: st.DataObject, extra: dict[str, object]
) -> None:
    properties = cast("dict[str, object]", tool.input_schema["properties"])
    given_values: dict[str, object] = (
        data.draw(st.dictionaries(st.sampled_from(sorted(properties)), VALUES, max_size=6)) | extra
    )
    try:
        checked = check(tool, given_values)
    except RequestRefused as refusal:
        said = str(refusal).encode()
    else:
        said = b""
        accepted(tool, given_values, checked)
    assert len(said) <= 1_500


def accepted(tool: Tool, given_values: dict[str, object], checked: Arguments) -> None:
    properties = cast("dict[str, object]", tool.input_schema["properties"])
    assert set(given_values) <= set(properties)
    for name in properties:
        if name in checked:
            json.dumps(checked.text(name), allow_nan=False).encode()
