"""Ladders: who is asked at which rung, what leads up it, and who may judge whom."""

import msgspec
import pytest

from forum_mcp.rules.contract import LaneTerms, Steps
from forum_mcp.rules.policy import Policy
from tests.rules.record import Record, contract, plan_json, terms

PASS = '{"passed": true, "reason": "fine", "evidence": "all of it"}'
FAIL = '{"passed": false, "reason": "half is missing", "evidence": "part 2"}'
TWO = {"a": terms(model="one"), "b": terms(model="two")}


def asked(record: Record, purpose: str = "task") -> list[str]:
    """Return the executors asked for a purpose, oldest first."""
    return [str(each.data["executor"]) for each in record.of_kind("call.started") if each.data["purpose"] == purpose]


def tasks(count: int) -> bytes:
    """Return a plan of tasks side by side."""
    return plan_json(*((f"t{number}", list[str]()) for number in range(count)))


def test_the_executors_of_one_rung_take_turns_task_by_task() -> None:
    record = Record(contract(TWO, worker=["a+b"]), plan=tasks(4))
    assert asked(record) == ["a", "b", "a", "b"]


def test_the_next_try_of_a_rung_is_somebody_else_s_and_needs_no_wait() -> None:
    record = Record(contract({**TWO, "c": terms()}, worker=["a+b", "c"]), plan=tasks(1))
    record.answer(error="auth")
    assert asked(record) == ["a", "b"]
    assert record.of_kind("call.deferred") == record.of_kind("task.escalated") == []
    record.answer(error="auth")
    assert asked(record) == ["a", "b", "c"]
    assert [each.data["because"] for each in record.of_kind("task.escalated")] == ["auth"]


def test_a_rung_whose_executors_all_failed_for_now_waits_and_goes_round_again() -> None:
    pair = {name: terms(attempts=3) for name in ("a", "b")}
    record = Record(contract(pair, worker=["a+b"]), plan=tasks(1))
    record.answer(error="timeout")
    record.answer(error="timeout")
    assert asked(record) == ["a", "b"]
    record.fire()
    assert asked(record) == ["a", "b", "a"]


def test_an_executor_without_a_place_gives_its_turn_to_the_next() -> None:
    pair = {"a": terms(max_parallel=1), "b": terms(max_parallel=4)}
    record = Record(contract(pair, worker=["a+b"]), plan=tasks(4))
    assert asked(record) == ["a", "b", "b", "b"]


def test_effects_of_once_are_tried_once_also_where_others_could_take_a_turn() -> None:
    plan = msgspec.json.encode({"tasks": [{"id": "t0", "lane": "backend", "instruction": "pay", "effects": "once"}]})
    record = Record(contract(TWO, worker=["a+b", "b"]), plan=plan)
    record.answer(error="connection-lost")
    assert asked(record) == ["a"]
    assert record.state.end == "failed"


def test_a_lane_has_the_ladders_that_its_table_gives_it() -> None:
    lanes = {"writing": LaneTerms(worker=["b"], validator=["a"])}
    plan = msgspec.json.encode(
        {"tasks": [{"id": each, "lane": each, "instruction": "do it"} for each in ("backend", "writing")]}
    )
    record = Record(contract(TWO, worker=["a"], lanes=lanes), plan=plan)
    assert asked(record) == ["a", "b"]
    record.answer(reply="x")
    record.answer(reply="y")
    assert asked(record, "validate") == ["a"]


@pytest.mark.parametrize(
    ("escalate_on", "error", "climbs"),
    [
        ([], "auth", True),
        (["auth"], "auth", True),
        (["verdict"], "auth", False),
        (["verdict", "length"], "length", True),
    ],
)
def test_an_error_class_leads_up_the_ladder_where_the_policy_says_so(
    escalate_on: list[str], error: str, *, climbs: bool
) -> None:
    record = Record(contract(TWO, worker=["a", "b"], policy=Policy(escalate_on=escalate_on)), plan=tasks(1))
    record.answer(error=error)
    assert asked(record) == (["a", "b"] if climbs else ["a"])


@pytest.mark.parametrize(("escalate_on", "climbs"), [([], True), (["verdict"], True), (["auth"], False)])
def test_a_verdict_leads_up_the_ladder_where_the_policy_says_so(escalate_on: list[str], *, climbs: bool) -> None:
    policy = Policy(escalate_on=escalate_on)
    record = Record(contract(TWO, worker=["a", "b"], validator=["b"], policy=policy), plan=tasks(1))
    record.answer(reply="half of it")
    record.answer(reply=FAIL)
    assert asked(record) == (["a", "b"] if climbs else ["a"])


def test_the_next_rung_is_told_in_a_fence_why_the_result_below_was_not_taken() -> None:
    record = Record(contract(TWO, worker=["a", "b"], validator=["b"]), plan=tasks(1))
    record.answer(reply="half of it")
    record.answer(reply=FAIL)
    first, second = (record.text(each, "prompt") for each in record.of_kind("call.started")[::2])
    assert "half is missing" not in first
    assert "<<<OBJECTION " in second
    assert "half is missing\npart 2" in second
    assert second.endswith("do t0")


def test_no_two_prompts_about_a_task_share_the_token_of_their_fences() -> None:
    record = Record(contract(TWO, worker=["a", "b"], validator=["b"]), plan=tasks(1))
    record.answer(reply="half of it")
    record.answer(reply=FAIL)
    record.answer(reply="all of it")
    prompts = [record.text(each, "prompt") for each in record.of_kind("call.started")]
    tokens = [prompt.split("<<<", 1)[1].split("\n", 1)[0].split()[1] for prompt in prompts[1:]]
    assert len(tokens) == len(set(tokens)) == 3


class TestValidatorsThatDiffer:
    """``policy.validator_differs``."""

    DIFFERS = Policy(validator_differs=True)

    def test_who_did_the_task_is_passed_over(self) -> None:
        record = Record(contract(TWO, worker=["a"], validator=["a", "b"], policy=self.DIFFERS), plan=tasks(1))
        record.answer(reply="x")
        assert asked(record, "validate") == ["b"]

    def test_the_same_model_by_another_name_is_passed_over(self) -> None:
        three = {**TWO, "c": terms(model="one")}
        record = Record(contract(three, worker=["a"], validator=["c", "b"], policy=self.DIFFERS), plan=tasks(1))
        record.answer(reply="x")
        assert asked(record, "validate") == ["b"]

    def test_the_model_that_was_served_counts_not_only_the_one_asked_for(self) -> None:
        record = Record(contract(TWO, worker=["a"], validator=["b"], policy=self.DIFFERS), plan=tasks(1))
        record.answer(reply="x", served_model="two")
        assert asked(record, "validate") == []
        [verdict] = record.of_kind("task.judged")
        assert verdict.data["verdict"] == "undecided"
        assert "nobody may judge it" in record.text(verdict, "reason")

    def test_of_a_rung_of_several_the_others_are_asked(self) -> None:
        record = Record(contract(TWO, worker=["a"], validator=["a+b"], policy=self.DIFFERS), plan=tasks(3))
        for _ in range(3):
            record.answer(reply="x")
        assert set(asked(record, "validate")) == {"b"}

    def test_rules_judge_anybody(self) -> None:
        record = Record(contract(TWO, worker=["a"], validator=["a", "rules"], policy=self.DIFFERS), plan=tasks(1))
        record.answer(reply="x")
        assert [each.data["by"] for each in record.of_kind("task.judged")] == ["rules"]

    def test_without_escalation_only_the_first_that_differs_is_asked(self) -> None:
        bound = contract(
            {**TWO, "c": terms(model="three")},
            worker=["a"],
            validator=["a", "b", "c"],
            policy=self.DIFFERS,
            steps=Steps(),
        )
        record = Record(bound, plan=tasks(1))
        record.answer(reply="x")
        record.answer(error="auth")
        assert asked(record, "validate") == ["b"]

    def test_a_panelist_that_did_the_task_has_no_seat(self) -> None:
        bound = contract(
            TWO, worker=["a"], panelists=["a", "b"], policy=self.DIFFERS, steps=Steps(escalate=True, panel=True)
        )
        record = Record(bound, plan=tasks(1))
        record.answer(reply="x")
        assert asked(record, "panel") == ["b"]
