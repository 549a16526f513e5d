from functools import cache
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forum_mcp.configs.roster import shipped_roster_text
from forum_mcp.rules.roster import Roster, parse
from forum_mcp.rules.split import TASKS_MAX, split

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
_PIECES = """write the docs|fix the parser|it|the guide| and |, then |; |. Finally, |
- |
1. |2) |
|, |"|`|(|)|```|if |please |  |\t|after that |数据库|\u2028"""
PIECES = st.sampled_from(_PIECES.split("|"))


@cache
def shipped() -> Roster:
    return parse(shipped_roster_text(), "roster.toml")


def tasks(request: str, lane: str = "general", *, deny: str = "") -> list[dict[str, object]]:
    plan = split(request, shipped(), lane, lambda name: name != deny)
    assert list(plan) == ["tasks"]
    return cast("list[dict[str, object]]", plan["tasks"])


def instructions(request: str) -> list[object]:
    return [task["instruction"] for task in tasks(request)]


def waits(request: str) -> list[object]:
    return [task["depends_on"] for task in tasks(request)]


@pytest.mark.parametrize(
    ("request_text", "parts"),
    [
        ("1. Build the API 2. Write the docs 3. Test it", ["Build the API", "Write the docs", "Test it"]),
        ("1) Build the API\n2) Write the docs\n", ["Build the API", "Write the docs"]),
        ("Please do:\n- write unit tests\n- translate the page", ["write unit tests", "translate the page"]),
        ("1. write docs then 2. build css, and then 3. test it", ["write docs", "build css", "test it"]),
        ("1. write docs and\n2. cut it and finally\n3. test it and", ["write docs", "cut it", "test it and"]),
        ("1. put it back, then\n2. say what was then\n3. cut it", ["put it back", "say what was", "cut it"]),
        ("1. say how it was back then\n2. cut it", ["say how it was back then", "cut it"]),
        ("build the css, then\nwrite the tests", ["build the css", "write the tests"]),
        ("* login page\n* settings page", ["login page", "settings page"]),
        ("- write tests\n  - for a\n  - for b\n- fix bugs", ["write tests\n  - for a\n  - for b", "fix bugs"]),
        ("We sell shoes.\n- write a slogan\n- draw a logo", ["We sell shoes.\n- write a slogan", "draw a logo"]),
        ("Fix the login\n\nWrite docs for the API\n", ["Fix the login", "Write docs for the API"]),
        ("fix the parser; update the docs; ship it", ["fix the parser", "update the docs", "ship it"]),
        ("Build the page, then add Cypress tests", ["Build the page", "add Cypress tests"]),
        ("Review the code. After that, refactor it", ["Review the code", "refactor it"]),
        ("Build the API, write docs, and add tests for both", ["Build the API", "write docs", "add tests for both"]),
        ("Fix the bug and write tests for it", ["Fix the bug", "write tests for it"]),
        ("Can you fix the bug and please write the docs?", ["Can you fix the bug", "please write the docs?"]),
    ],
)  # fmt: skip
def test_requests_with_several_parts_are_split(request_text: str, parts: list[str]) -> None:
    assert instructions(request_text) == parts


@pytest.mark.parametrize(
    "request_text",
    [
        "write the readme docs and the guide",
        "build the database schema and the auth endpoint",
        "build the react component and css for the page",
        "write a parser and test it",
        "build and deploy the service",
        "Test and review the pull request",
        "Describe the design and build process",
        "Explain the search and filter options",
        "If the upload fails, then retry it",
        "Once it is green, then merge the branch",
        'Print "a; then write the b" in the log',
        "Explain `make clean; make test` to me",
        "Explain this:\n```\n1. write a\n2. write b\n- fix it\n```",
        "Build a site with:\n1. login page\n2. dashboard",
        "Our page is slow; users complain about the search",
        "Traceback (most recent call last):\n  File x\nValueError: bad",
        "Rather then that, use this",
        "Upgrade to version 1. 2. is not out yet",
        "hello",
    ],
)
def test_requests_with_one_part_stay_whole(request_text: str) -> None:
    assert instructions(request_text) == [request_text]


def test_a_part_waits_for_what_came_before_only_when_it_says_so() -> None:
    assert waits("Fix the login and translate the page into German") == [[], []]
    assert waits("Fix the login, then translate the page") == [[], ["t1"]]
    assert waits("Fix the login and write tests for it") == [[], ["t1"]]
    assert waits("Analyse the survey results and write a one-page summary") == [[], ["t1"]]
    assert waits("1. Fix the login then 2. write docs and 3. test it; finally 4. ship it") == [
        [],
        ["t1"],
        [],
        ["t1", "t2", "t3"],
    ]
    assert waits("1. Fix the login\n2. Then write docs\n3. Finally, write a summary") == [[], ["t1"], ["t1", "t2"]]


def test_each_part_takes_the_lane_of_its_own_route() -> None:
    assert [task["lane"] for task in tasks("Build the signup page in Vue, then add Cypress tests for it")] == [
        "frontend",
        "testing-qa",
    ]


def test_a_part_whose_route_abstains_or_is_not_permitted_takes_the_lane_given() -> None:
    request_text = "Summon a unicorn, then add Cypress tests for it; write the docs"
    found = tasks("1. Summon a unicorn\n2. Add Cypress tests", "teaching", deny="testing-qa")
    assert [task["lane"] for task in found] == ["teaching", "teaching"]
    assert tasks(request_text, "teaching")[0]["lane"] == "teaching"


def test_a_request_of_one_part_keeps_the_lane_given() -> None:
    assert tasks("write the readme docs", "teaching")[0]["lane"] == "teaching"


def test_the_last_of_twenty_tasks_takes_the_rest_of_the_request() -> None:
    request_text = "\n".join(f"{number}. Write chapter {number}" for number in range(1, 31))
    found = instructions(request_text)
    assert len(found) == TASKS_MAX
    assert str(found[-1]).startswith("Write chapter 20\n21. Write chapter 21")
    assert str(found[-1]).endswith("Write chapter 30")


def test_a_very_long_request_stays_one_task() -> None:
    request_text = "write the docs; " * 10_000 + "end"
    assert instructions(request_text) == [request_text]


@given(ANY_TEXT | st.lists(PIECES, max_size=30).map("".join))
@example("\x85- a\n- b")
@example("1. a 2. b \x1c 3. c")
def test_any_request_gives_a_plan_of_its_own_pieces_in_order(request_text: str) -> None:
    found = tasks(request_text)
    assert found == tasks(request_text)
    assert 1 <= len(found) <= TASKS_MAX
    at = 0
    for number, task in enumerate(found, start=1):
        assert set(task) == {"id", "lane", "instruction", "depends_on"}
        assert task["id"] == f"t{number}"
        assert task["lane"] in shipped().lanes
        depends_on = cast("list[str]", task["depends_on"])
        assert set(depends_on) <= {f"t{earlier}" for earlier in range(1, number)}
        instruction = str(task["instruction"])
        assert instruction == instruction.strip()
        assert instruction or not request_text.strip()
        place = request_text.find(instruction, at)
        assert place >= 0
        at = place + len(instruction)
