"""The panel: several judge what the Validator passed, a majority decides, and who disagreed is recorded."""

import json

import pytest

from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.rules.contract import Steps
from tests.rules.record import Record, contract, plan_json, terms

PASS = '{"passed": true, "reason": "fine", "evidence": "all of it"}'
FAIL = '{"passed": false, "reason": "half is missing", "evidence": "part 2"}'
WELL = "well, yes"


def panel(*votes: str, validator: str | None = PASS, calls: int | None = None, rungs: int = 1) -> Record:
    """Return a run of one task whose panelists, as many as there are votes, vote so."""
    names = [f"p{number}" for number in range(len(votes))]
    bound = contract(
        {"m": terms(), **{name: terms() for name in names}},
        worker=["m"] * rungs,
        validator=["m"] if validator else ["rules"],
        panelists=names,
        steps=Steps(escalate=True, panel=True),
        max_parallel=4,
    )
    record = Record(bound, plan=plan_json(("a", [])), limits=Amounts(calls=calls))
    record.answer(reply="the result")
    if validator is not None:
        record.answer(reply=validator)
    for name, vote in zip(names, votes, strict=True):
        for _ in range(2 if vote == WELL else 1):
            seat = next((seq for seq, item in record.state.open.items() if item.executor == name), None)
            if seat is not None:
                record.answer(seat, vote)
    return record


def verdict(record: Record) -> dict[str, object]:
    """Return the data of the run's first verdict."""
    return dict(record.of_kind("task.judged")[0].data)


@pytest.mark.parametrize(
    ("votes", "passed", "counts", "disagreement"),
    [
        ((PASS, PASS, PASS), True, {"passed": 3}, False),
        ((PASS, FAIL, PASS), True, {"passed": 2, "failed": 1}, True),
        ((FAIL, PASS, FAIL), False, {"passed": 1, "failed": 2}, True),
        ((FAIL, FAIL, FAIL), False, {"failed": 3}, True),
        ((PASS, FAIL), True, {"passed": 1, "failed": 1}, True),
    ],
)
def test_the_majority_decides_and_the_validators_word_breaks_a_tie(
    votes: tuple[str, ...], counts: dict[str, int], *, passed: bool, disagreement: bool
) -> None:
    record = panel(*votes)
    found = verdict(record)
    assert (found["ok"], found["by"], found["votes"]) == (passed, "panel", counts)
    assert found.get("disagreement", False) is disagreement


def test_the_panelists_are_asked_side_by_side() -> None:
    record = panel()
    assert record.state.end == "succeeded"
    bound = contract(
        {"m": terms(), "p": terms(), "q": terms()}, panelists=["p", "q"], steps=Steps(escalate=True, panel=True)
    )
    record = Record(bound, plan=plan_json(("a", [])))
    record.answer(reply="the result")
    assert [item.executor for item in record.state.open.values()] == ["p", "q"]


def test_nobody_asks_the_panel_about_what_the_validator_failed() -> None:
    record = panel(PASS, PASS, validator=FAIL)
    assert [each.data["purpose"] for each in record.of_kind("call.started")] == ["task", "validate"]


def test_a_panel_judges_what_the_checks_passed_where_no_validator_is_bound() -> None:
    record = panel(FAIL, FAIL, PASS, validator=None)
    assert verdict(record)["verdict"] == "failed"


def test_each_panelists_word_stands_in_the_evidence() -> None:
    record = panel(PASS, FAIL, PASS)
    [entry] = record.of_kind("task.judged")
    judges = json.loads(record.text(entry, "evidence"))["judges"]
    assert [(each["judge"], each["verdict"]) for each in judges] == [
        ("validator", "passed"),
        ("panelist p0", "passed"),
        ("panelist p1", "failed"),
        ("panelist p2", "passed"),
    ]
    assert judges[2]["said"] == "half is missing\npart 2"
    assert len(entry.parents) == 5


def test_a_panelist_that_cannot_be_understood_is_shown_its_error_once_and_then_has_no_vote() -> None:
    record = panel(WELL, PASS)
    repairs = [each for each in record.of_kind("call.started") if each.data.get("repair")]
    assert [each.data["executor"] for each in repairs] == ["p0"]


def test_a_panel_that_says_nothing_leaves_the_validators_verdict() -> None:
    bound = contract(
        {"m": terms(), "p": terms(attempts=1)},
        validator=["m"],
        panelists=["p"],
        steps=Steps(escalate=True, panel=True),
    )
    record = Record(bound, plan=plan_json(("a", [])))
    record.answer(reply="the result")
    record.answer(reply=PASS)
    record.answer(error="auth")
    found = verdict(record)
    assert (found["verdict"], found["by"], found["votes"]) == ("passed", "validator", {"undecided": 1})


def test_a_panelist_the_budget_has_no_room_for_is_not_asked_and_stops_nothing() -> None:
    record = panel(FAIL, FAIL, calls=3)
    assert [each.data["purpose"] for each in record.of_kind("call.started")] == ["task", "validate", "panel"]
    assert record.of_kind("budget.stopped") == []
    assert verdict(record)["votes"] == {"failed": 1, "undecided": 1}
    record = panel(FAIL, FAIL, calls=2)
    assert record.of_kind("budget.stopped") == []
    assert record.state.end == "succeeded"
