"""What a schema or an output that was made to take for ever takes: a bounded number of steps, and then a refusal."""

import json
from typing import Any, Final

import pytest

from forum_mcp.rules.effort import Endless, TooMuch, validator_of
from forum_mcp.rules.schema import misfit, refused

Schema = dict[str, object]

TWICE: Final[Schema] = {"allOf": [{"items": {"$dynamicRef": "#"}}, {"items": {"$dynamicRef": "#"}}]}
EITHER: Final[Schema] = {"anyOf": [{"items": {"$dynamicRef": "#"}, "minItems": 9}, {"items": {"$dynamicRef": "#"}}]}
LONG: Final = ["x" * 1_000] * 900


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


ENDLESS: Final[list[tuple[Schema, object]]] = [
    (TWICE, nested(40)),
    (EITHER, nested(40)),
    ({"contains": {"const": 1}}, [0] * 200_000),
    ({"anyOf": [{"type": "string"}] * 600}, LONG),
    ({"anyOf": [False] * 600}, LONG),
    ({"items": {"properties": {f"k{n}": True for n in range(3_000)}}}, [{}] * 20_000),
    ({"oneOf": [{"enum": [n]} for n in range(900)]}, LONG),
    (
        {
            "items": {"$ref": "#a"},
            "$defs": {"a": {"$anchor": "a"}, **{f"d{n}": {"type": "null"} for n in range(1_500)}},
        },
        LONG,
    ),
    ({"items": {"$ref": "#/" + "%7E0" * 20_000}, "~" * 20_000: {"type": "string"}}, LONG),
]
ITEMS: Final[list[tuple[object, bool]]] = [
    ([{"a": n} for n in range(20_000)], True),
    ([n if n % 2 else str(n) for n in range(50_000)], True),
    ([1, True, "1", None, [1], [True], {"a": 1}, {"a": True}, 0, False, "", [], {}], True),
    ([1, 1.0], False),
    ([{"a": {"b": [1]}}, {"a": {"b": [1.0]}}], False),
    ([[], []], False),
]


@pytest.mark.parametrize(("schema", "value"), ENDLESS, ids=range(len(ENDLESS)))
def test_an_output_that_takes_too_long_to_compare_does_not_fit(schema: Schema, value: object) -> None:
    assert refused(schema) is None
    why = misfit(json.dumps(value), schema)
    assert why is not None
    assert "takes more than 200000 steps" in why or "without end" in why


@pytest.mark.parametrize(("value", "unique"), ITEMS, ids=range(6))
def test_items_are_told_apart_as_json_schema_does(value: object, unique: bool) -> None:
    assert (misfit(json.dumps(value), {"uniqueItems": True}) is None) is unique


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        ({"enum": [1, "a", {"b": [2]}]}, 1.0, True),
        ({"enum": [1, "a", {"b": [2]}]}, {"b": [2.0]}, True),
        ({"enum": [1]}, True, False),
        ({"const": 0}, False, False),
        ({"const": {"a": [1, {"b": None}]}}, {"a": [1, {"b": None}]}, True),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "type": "integer"}, "1", False),
    ],
)
def test_values_are_equal_as_json_schema_says(schema: Schema, value: object, fits: bool) -> None:
    assert (misfit(json.dumps(value), schema) is None) is fits


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"enum": list(range(5_000))}, "more than 4000 parts"),
        ({"unevaluatedProperties": False}, "use 'additionalProperties'"),
        ({"allOf": [{"unevaluatedItems": False}]}, "use 'items' after"),
        ({"patternProperties": {"(" * 3_000 + ")" * 3_000: {}}}, "never run"),
        ({"default": {"pattern": "(a+)+$"}, "$ref": "#/default"}, "a value and no schema"),
        ({"enum": [{"pattern": "(a+)+$"}], "$ref": "#/%65num/0"}, "a value and no schema"),
        ({"const": {"a/b": {"pattern": "x"}}, "$ref": "#/const/a~1b"}, "a value and no schema"),
        ({"allOf": [{"$schema": "http://json-schema.org/draft-07/schema#"}]}, "has a '$schema' inside"),
        ({"$defs": {"a": {"$id": "http://a.example/", "$ref": "#/x"}}}, "has a '$id' inside"),
    ],
    ids=range(9),
)
def test_a_schema_whose_effort_has_no_bound_is_refused_with_what_to_write_instead(schema: Schema, words: str) -> None:
    why = refused(schema)
    assert why is not None
    assert words in why


def test_the_same_schema_and_output_take_the_same_steps_each_time() -> None:
    schema: Schema = {"items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}}
    value: Any = [{"a": n} for n in range(20)]

    def fits(most: int) -> bool:
        try:
            return not list(validator_of(schema, most).iter_errors(value))
        except TooMuch:
            return False

    enough = next(most for most in range(1_000) if fits(most))
    assert [fits(enough - 1), fits(enough)] == [False, True]


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"$dynamicRef": "#"}, {"$ref": "#/$defs/a", "$defs": {"a": {"not": {"$ref": "#"}}}}],
    ids=str,
)
def test_references_that_lead_back_to_the_same_value_are_found_without_exhausting_the_stack(schema: Schema) -> None:
    with pytest.raises(Endless):
        list(validator_of(schema).iter_errors([1]))


def test_references_to_the_same_place_for_other_values_or_beside_each_other_are_followed() -> None:
    whole: Schema = {"$ref": "#/$defs/whole"}
    schema: Schema = {
        "$defs": {"whole": {"type": ["integer", "array"], "items": {"$ref": "#"}}},
        "allOf": [whole, whole, {"not": {"not": whole}}],
        "if": whole,
        "then": whole,
    }
    assert misfit(json.dumps(nested(3)), schema) is None
