import msgspec
import pytest

from forum_mcp.configs.roster import shipped_roster_text
from forum_mcp.errors import ConfigRefused
from forum_mcp.rules.policy import Policy, check, refusal
from forum_mcp.rules.roster import Lane, parse

BACKEND = Lane("backend", "engineering", "Servers.", ("api",))


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy(allow_lanes=["backend"]),
        Policy(allow_categories=["engineering"]),
        Policy(allow_lanes=["teaching"], allow_categories=["engineering"]),
        Policy(deny_lanes=["frontend"], deny_categories=["graphics"]),
    ],
)
def test_a_lane_is_permitted_when_nothing_denies_it_and_an_allow_list_names_it(policy: Policy) -> None:
    assert refusal(policy, BACKEND) is None


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(deny_lanes=["backend"]), "policy.deny_lanes names it"),
        (Policy(deny_categories=["engineering"]), "policy.deny_categories names its category"),
        (Policy(allow_lanes=["backend"], deny_lanes=["backend"]), "policy.deny_lanes"),
        (Policy(allow_lanes=["backend"], deny_categories=["engineering"]), "policy.deny_categories"),
        (Policy(allow_lanes=["teaching"]), "permits only lanes teaching;"),
        (Policy(allow_categories=["graphics", "support"]), "permits only categories graphics, support;"),
        (
            Policy(allow_lanes=["teaching"], allow_categories=["graphics"]),
            "permits only lanes teaching and categories graphics;",
        ),
    ],
)
def test_a_refusal_says_which_rule_refused_and_what_to_do(policy: Policy, words: str) -> None:
    said = refusal(policy, BACKEND)
    assert said is not None
    assert said.startswith("lane 'backend' (category 'engineering') is not permitted: ")
    assert words in said
    assert said.endswith("use another lane, or have the operator change the policy")


def test_a_misspelt_lane_or_category_is_refused_before_it_permits_in_silence() -> None:
    roster = parse(shipped_roster_text(), "roster.toml")
    check(Policy(deny_lanes=["security"], allow_categories=["engineering"]), roster)
    with pytest.raises(ConfigRefused, match=r"policy\.deny_lanes names 'secruity'.*did you mean 'security'\?"):
        check(Policy(deny_lanes=["secruity"]), roster)
    with pytest.raises(ConfigRefused, match=r"policy\.allow_categories names 'zzz'.*expected one of: engineering"):
        check(Policy(allow_categories=["zzz"]), roster)


def test_a_policy_comes_back_from_its_recorded_form() -> None:
    policy = Policy(deny_lanes=["security"], max_tasks=7, undecided="fail")
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy
