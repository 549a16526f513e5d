import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forum_mcp.configs.roster import shipped_roster_text
from forum_mcp.errors import RosterRefused
from forum_mcp.rules.roster import FALLBACK, TIERS, Lane, Roster, parse

ENGINEERING = (
    "backend frontend sdk-platform compiler-systems python-apps native-cpp data-ml sre-ops cloud-infra mobile ci-cd "
    "security testing-qa database networking embedded-firmware game-dev"
)
GRAPHICS = "render-pipeline shader-effects gpu-compute materials-pbr scene-environment"
SUPPORT = "technical-writing code-review data-pipeline data-analysis ux-design product-planning localization"
RESEARCH = "deep-research web-intel knowledge-mgmt teaching synthesis math-modeling"

BASE = """\
[lanes.general]
category = "general"
description = "All the rest."

[lanes.kitchen]
category = "home"
description = "Cooking and recipes."
keywords = ["recipe", "oven"]
tier = "small"
examples = ["Bake a cake"]
"""


def base() -> Roster:
    return parse(BASE, "base.toml")


def refusal(text: str, over: Roster | None = None) -> str:
    with pytest.raises(RosterRefused) as refused:
        parse(text, "my.toml", over)
    return str(refused.value)


PLACE = re.compile(r"my\.toml:[1-9]\d*: .")


def fault(text: str, over: Roster | None = None) -> str:
    try:
        parse(text, "my.toml", over)
    except RosterRefused as refused:
        return str(refused)
    return "my.toml:1: none"


def test_the_shipped_roster_has_exactly_the_lanes_of_each_category() -> None:
    roster = parse(shipped_roster_text(), "roster.toml")
    by_category: dict[str, set[str]] = {}
    for lane in roster.lanes.values():
        by_category.setdefault(lane.category, set()).add(lane.name)
    assert by_category == {
        "engineering": set(ENGINEERING.split()),
        "graphics": set(GRAPHICS.split()),
        "support": set(SUPPORT.split()),
        "research": set(RESEARCH.split()),
        "general": {"general"},
    }


def test_every_shipped_lane_is_described_richly_and_the_fallback_has_no_keywords() -> None:
    roster = parse(shipped_roster_text(), "roster.toml")
    assert roster.fallback == FALLBACK
    for lane in roster.lanes.values():
        assert lane.tier in TIERS
        if lane.name == FALLBACK:
            assert lane.keywords == lane.strong == lane.examples == ()
        else:
            assert len(lane.keywords) + len(lane.strong) >= 25, lane.name
            assert 3 <= len(lane.examples) <= 6, lane.name


@pytest.mark.promise("own-lanes")
def test_a_users_roster_adds_changes_and_removes_lanes() -> None:
    over = base()
    more = parse(
        'remove = ["kitchen"]\n[lanes.garden]\ncategory = "home"\ndescription = "Plants."\nkeywords = ["tree"]\n',
        "my.toml",
        over,
    )
    assert set(more.lanes) == {"general", "garden"}
    assert more.lanes["garden"] == Lane("garden", "home", "Plants.", ("tree",))
    changed = parse('[lanes.kitchen]\ntier = "large"\n', "my.toml", over)
    assert changed.lanes["kitchen"] == Lane(
        "kitchen", "home", "Cooking and recipes.", ("recipe", "oven"), "large", ("Bake a cake",)
    )
    assert set(over.lanes) == {"general", "kitchen"}


def test_an_empty_user_roster_changes_nothing() -> None:
    assert parse("", "my.toml", base()) == base()


def test_the_recorded_form_is_canonical_and_comes_back_equal() -> None:
    roster = parse(shipped_roster_text(), "roster.toml")
    recorded = roster.to_json()
    again = Roster.from_json(recorded)
    assert again == roster
    assert hash(again) == hash(roster)
    assert again.to_json() == recorded
    backwards = Roster(dict(reversed(list(roster.lanes.items()))))
    assert backwards.to_json() == recorded


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"v":2,"fallback":"general","lanes":{}}',
        b'{"v":1,"fallback":"general","lanes":{}}',
        b"\xff",
        b"[" * 5000,
    ],
)
def test_recorded_bytes_that_are_no_roster_are_refused(data: bytes) -> None:
    with pytest.raises(RosterRefused, match="recorded roster"):
        Roster.from_json(data)


def lane(name: str = "garden", *members: str, **changed: str) -> str:
    given = {"category": '"home"', "description": '"Plants."', "keywords": '["tree"]', **changed}
    lines = [f"[lanes.{name}]", *(f"{key} = {value}" for key, value in given.items() if value), *members]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (lane() + lane(), 5, "lane 'garden' is described twice (first on line 1)"),
        (lane(keywords=""), 1, "'keywords' is missing or empty"),
        (lane(keywords="[]"), 4, "'keywords' is missing or empty"),
        (lane("garden", 'keyword = ["x"]'), 5, "unknown member 'keyword'; did you mean 'keywords'?"),
        (lane("garden", "zzz = 1"), 5, "unknown member 'zzz' (expected one of: category, description"),
        ('[lane.garden]\ncategory = "x"\n', 1, "unknown member 'lane'; did you mean 'lanes'?"),
        ("# mine\n\nrmove = []\n", 3, "unknown member 'rmove'; did you mean 'remove'?"),
        (lane(description="3"), 3, "'description' is a number; expected text"),
        (lane(keywords='"tree"'), 4, "'keywords' is text; expected a list of texts"),
        (lane(keywords='["tree", 3]'), 4, "'keywords' holds a number"),
        (lane(keywords='["tree", ""]'), 4, "'keywords' has an empty item"),
        (lane(keywords='["the"]'), 4, "'the' holds no word the router can match"),
        (lane(keywords='["tree", "Tree"]'), 4, "lists 'Tree' twice"),
        (lane(description='"  "'), 3, "'description' is empty"),
        (lane(description=""), 1, "has no 'description'"),
        (lane(category=""), 1, "has no 'category'"),
        (lane(category='"Home Sweet"'), 2, "'Home Sweet' is not lower-case"),
        (lane("garden", 'tier = "huge"'), 5, "'huge' is not a tier (tiers: small, medium, large)"),
        (lane("Garden"), 1, "the name is not lower-case"),
        (lane('"a b"'), 1, "the name is not lower-case"),
        (lane("a" * 41), 1, "the name is not lower-case"),
        ("[lanes]\ngarden = 3\n", 2, "lane 'garden' is a number; expected a table"),
        ("lanes = 3\n", 1, "'lanes' is a number"),
        ('remove = ["general"]\n', 1, "cannot be removed"),
        ('\nremove = [\n  "kitchn",\n]\n', 3, "not a lane of the base roster; did you mean 'kitchen'?"),
        ('remove = ["kitchen", "kitchen"]\n', 1, "names 'kitchen' twice"),
        ('remove = ["kitchen"]\n\n[lanes.kitchen]\ntier = "large"\n', 3, "removed and described"),
        ('remove = "kitchen"\n', 1, "remove is text; expected a list"),
        ('[lanes.general]\nkeywords = ["anything"]\n', 2, "'keywords' is given to the fallback lane"),
        ('[lanes.general]\nstrong = ["anything"]\n', 2, "'strong' is given to the fallback lane"),
        ("[lanes.garden\n", 1, "not TOML"),
        (lane() + "\n\nx = = 3\n", 7, "not TOML"),
        ("x = [1,\n", 1, "not TOML"),
        (lane(description='"a\ud800b"'), 3, "not valid Unicode"),
    ],
)
def test_every_fault_of_a_roster_names_its_file_and_line(text: str, line: int, words: str) -> None:
    message = refusal(text, base())
    assert message.startswith(f"my.toml:{line}: "), message
    assert words in message


def test_a_roster_without_a_base_needs_the_fallback_lane() -> None:
    assert "my.toml:1: the fallback lane 'general' is missing" in refusal(lane())


def test_a_fault_is_placed_in_its_own_lane_when_another_has_the_same_member() -> None:
    text = lane() + "\n" + lane("pond", keywords="[]")
    assert refusal(text, base()).startswith("my.toml:9: lane 'pond': 'keywords'")


def test_nesting_beyond_reason_is_refused_and_not_a_crash() -> None:
    assert "my.toml:" in refusal("x = " + "[" * 100_000, base())


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_a_roster_or_is_refused_with_a_line(text: str) -> None:
    assert PLACE.match(fault(text, base()))


@given(st.sampled_from("[]{}=\"'.,\n"), st.integers(0, 10_000), st.booleans())
def test_a_roster_with_one_character_gone_wrong_is_read_or_refused_with_a_line(
    mark: str, place: int, insert: bool
) -> None:
    at = place % len(BASE)
    assert PLACE.match(fault(BASE[:at] + mark + BASE[at + (0 if insert else 1) :]))
