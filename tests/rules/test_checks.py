"""What is checked without a model: criteria, finish reasons, suspicions; and outside checks, which are calls."""

import json

import pytest

from forum_mcp.errors import PlanRefused
from forum_mcp.rules.contract import LaneTerms
from forum_mcp.rules.criteria import SEARCHED_MAX, fault, judge, searched_each
from forum_mcp.rules.plan import accept, read
from forum_mcp.rules.policy import Policy
from tests.rules.record import ROSTER, Record, contract, terms

CHECKS = {"tests": "suite"}


def plan(*done_when: str, **members: object) -> bytes:
    """Return a plan of one task with these criteria."""
    task = {"id": "a", "lane": "backend", "instruction": "do a", "done_when": list(done_when), **members}
    return json.dumps({"tasks": [task]}).encode()


def run(*done_when: str, policy: Policy | None = None, validator: str = "m", rungs: int = 1) -> Record:
    """Return a run of one task with these criteria, a Validator and a check named ``tests``."""
    bound = contract(
        {"m": terms(), "suite": terms(type="command", model=None)},
        worker=["m"] * rungs,
        validator=[validator],
        policy=policy or Policy(checks=CHECKS),
    )
    return Record(bound, plan=plan(*done_when))


def purposes(record: Record) -> list[object]:
    """Return the purposes of the calls made, oldest first."""
    return [each.data["purpose"] for each in record.of_kind("call.started")]


def evidence(record: Record) -> dict[str, dict[str, object]]:
    """Return check -> its evidence, of the newest verdict."""
    found = json.loads(record.text(record.of_kind("task.judged")[-1], "evidence"))
    return {each["check"]: each for each in found["checks"]}


@pytest.mark.parametrize(
    ("line", "output", "passed"),
    [
        ("contains: 42", "it is 42", True),
        ("contains: Forty", "forty", False),
        ("contains:  two words ", "some two words here", True),
        ("lacks: TODO", "done", True),
        ("lacks: TODO", "a TODO", False),
        ("matches: ^v\\d+\\.\\d+$", "v1.20", True),
        ("matches: ^v\\d+$", "version 1", False),
        ("matches: (?i)conclusion", "The CONCLUSION is", True),
        ("json", ' {"a": [1]} ', True),
        ("json", "{'a': 1}", False),
        ("json", "[" * 100 + "]" * 100, False),
        ("max words: 3", "one two three", True),
        ("max words: 3", "one two three four", False),
        ("min words: 2", "one", False),
        ("max chars: 4", "four", True),
        ("min chars: 5", "four", False),
        ("max lines: 1", "one\ntwo", False),
        ("min lines: 2", "one\ntwo\n", True),
    ],
)
def test_a_criterion_that_can_be_checked_is(line: str, output: str, *, passed: bool) -> None:
    assert fault(line, {}) is None
    found = judge(line, output)
    assert found is not None
    assert found[0] is passed
    assert found[1]


@pytest.mark.parametrize(
    "line",
    [
        "it compiles",
        "Contains: a summary",
        "check: all the tests pass",
        "note: contains: x",
        "json output",
        "",
        "words: 3",
    ],
)
def test_every_other_line_is_prose_for_the_validator(line: str) -> None:
    assert fault(line, {}) is None
    assert judge(line, "anything") is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("check: lint", "names a check that the operator has not defined (checks: tests)"),
        ("max words: few", "has no whole number; write 'max words: 100'"),
        ("max words: -1", "has no whole number"),
        ("contains:", "says nothing to look for"),
        ("matches: (", "has a pattern that is not taken: a '(' is not closed"),
        ("matches: (?=x)", "has a pattern that is not taken"),
    ],
)
def test_a_criterion_that_makes_no_sense_refuses_the_plan_and_says_why(line: str, words: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        accept(read(json.loads(plan(line))), ROSTER, Policy(checks=CHECKS))
    assert str(refused.value).startswith("task 'a': criterion ")
    assert words in str(refused.value)


def test_a_criterion_that_fails_spares_every_call_and_says_what_was_seen() -> None:
    record = run("contains: 42", "check: tests")
    record.answer(reply="it is 41")
    assert purposes(record) == ["task"]
    [verdict] = record.of_kind("task.judged")
    assert verdict.data["checks"] == {"not-empty": True, "no-debris": True, "done-1": False}
    assert (verdict.data["verdict"], verdict.data["by"]) == ("failed", "rules")
    assert evidence(record)["done-1"]["seen"] == "contains: 42: the result does not contain '42'"
    assert evidence(record)["not-empty"]["seen"] == "8 characters"


def test_the_operators_criteria_and_those_of_the_lane_count_beside_the_plans() -> None:
    bound = contract(policy=Policy(done_when=["max words: 3"]), lanes={"backend": LaneTerms(done_when=["contains: x"])})
    record = Record(bound, plan=plan("contains: y"))
    prompt = record.text(record.of_kind("call.started")[0], "prompt")
    assert "- max words: 3\n- contains: x\n- contains: y" in prompt
    record.answer(reply="x y")
    [verdict] = record.of_kind("task.judged")
    assert verdict.data["checks"] == {
        "not-empty": True,
        "no-debris": True,
        "done-1": True,
        "done-2": True,
        "done-3": True,
    }


@pytest.mark.parametrize("reason", ["length", "max_tokens", "content_filter", "tool_calls", "TOOL_USE"])
def test_a_reply_that_did_not_end_by_itself_is_no_result(reason: str) -> None:
    record = run()
    record.answer(reply="part of", finish_reason=reason)
    [verdict] = record.of_kind("task.judged")
    assert verdict.data["checks"] == {"finish-reason": False}
    assert purposes(record) == ["task"]


@pytest.mark.parametrize(("policy", "ok"), [("flag", True), ("fail", False)])
def test_a_prompt_that_was_not_read_whole_is_suspected_from_the_tokens(policy: str, *, ok: bool) -> None:
    record = Record(contract(policy=Policy(cut_prompt=policy)), plan=plan(instruction=" ".join(["word"] * 500)))
    record.answer(reply="done", tokens=100)
    [verdict] = record.of_kind("task.judged")
    checks = verdict.data["checks"]
    assert isinstance(checks, dict)
    assert checks["whole-prompt"] is False
    assert verdict.data["ok"] is ok
    assert "tokens read: the prompt was cut" in str(evidence(record)["whole-prompt"]["seen"])


def test_a_prompt_of_as_many_tokens_as_words_or_more_was_read_whole() -> None:
    record = Record(contract(), plan=plan(instruction=" ".join(["word"] * 500)))
    record.answer(reply="done", tokens=700)
    assert evidence(record)["whole-prompt"]["passed"] is True


class TestOutsideChecks:
    """``check: NAME``: a call of an executor the operator bound to the name."""

    def test_the_check_gets_the_result_and_nothing_else(self) -> None:
        record = run("check: tests")
        record.answer(reply="the result")
        call = record.of_kind("call.started")[-1]
        assert (call.data["purpose"], call.data["executor"]) == ("check", "suite")
        assert (record.text(call, "system"), record.text(call, "prompt")) == ("", "the result")

    def test_exit_code_0_passes_also_when_nothing_was_said_and_then_the_validator_is_asked(self) -> None:
        record = run("check: tests")
        record.answer(reply="the result")
        record.answer(error="empty-reply", exit_code=0)
        assert purposes(record) == ["task", "check", "validate"]
        record.answer(reply='{"passed": true, "reason": "", "evidence": ""}')
        assert evidence(record)["check-tests"] == {
            "check": "check-tests", "passed": True, "seen": "check tests: exit code 0"
        }  # fmt: skip
        assert record.state.end == "succeeded"

    def test_another_exit_code_fails_with_what_was_said_and_spares_the_validator(self) -> None:
        record = run("check: tests")
        record.answer(reply="the result")
        record.answer(reply="2 failed", error="exit-code", exit_code=1)
        assert purposes(record) == ["task", "check"]
        [verdict] = record.of_kind("task.judged")
        assert record.text(verdict, "reason") == "check tests: exit code 1: 2 failed"
        assert verdict.parents == [record.of_kind("task.finished")[0].seq, record.of_kind("call.finished")[1].seq]

    def test_a_failed_check_leads_up_the_ladder_and_is_made_again_there(self) -> None:
        record = run("check: tests", validator="rules", rungs=2)
        for code in (1, 0):
            record.answer(reply=f"the result {code}")
            record.answer(reply="said", error="exit-code" if code else None, exit_code=code)
        assert purposes(record) == ["task", "check", "task", "check"]
        assert record.state.end == "succeeded"

    @pytest.mark.parametrize(("undecided", "end"), [("pass", "succeeded"), ("fail", "failed")])
    def test_a_check_that_could_not_be_made_leaves_the_task_undecided(self, undecided: str, end: str) -> None:
        record = run("check: tests", policy=Policy(checks=CHECKS, undecided=undecided))
        record.answer(reply="the result")
        record.answer(error="not-found")
        [verdict] = record.of_kind("task.judged")
        assert (verdict.data["verdict"], verdict.data["by"]) == ("undecided", "rules")
        assert record.text(verdict, "reason") == "check tests could not be made: not-found"
        assert record.state.end == end

    def test_a_check_that_takes_too_long_has_failed(self) -> None:
        record = run("check: tests")
        record.answer(reply="the result")
        record.answer(error="timeout")
        assert record.of_kind("task.judged")[0].data["verdict"] == "failed"

    def test_checks_are_made_one_after_the_other_and_each_once(self) -> None:
        policy = Policy(checks={"tests": "suite", "lint": "suite"})
        record = run("check: tests", "check: lint", "check: tests", policy=policy, validator="rules")
        record.answer(reply="the result")
        assert purposes(record) == ["task", "check"]
        record.answer(reply="ok", exit_code=0)
        record.answer(reply="ok", exit_code=0)
        assert [each.data.get("seat", 0) for each in record.of_kind("call.started")] == [0, 0, 1]
        assert record.state.end == "succeeded"


def test_patterns_share_what_is_looked_through_and_a_longer_result_does_not_meet_them() -> None:
    lines = [f"matches: a{{{n}}}b" for n in range(1, 51)]
    assert searched_each(lines) * 50 <= SEARCHED_MAX
    met = judge(lines[0], "x" * (searched_each(lines) + 1), searched_each(lines))
    assert met is not None
    assert not met[0]
    assert met[1].endswith(f"looks through {searched_each(lines)}")
    assert searched_each(["a line of prose", "contains: x"]) == searched_each([lines[0]]) == SEARCHED_MAX
