"""Verdicts: what is checked without a model, and how a Validator's words count."""

import json

import pytest

from forum_mcp.rules.checks import examine
from forum_mcp.rules.policy import Policy
from forum_mcp.rules.schema import misfit
from tests.rules.record import Record, contract, plan_json, terms

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "kind": {"enum": ["a", "b"]}},
    "required": ["n"],
    "additionalProperties": False,
}

PASS = '{"passed": true, "reason": "fine", "evidence": "all of it"}'
FAIL = '{"passed": false, "reason": "half is missing", "evidence": "part 2"}'


def checks(output: str, schema: dict[str, object] | None) -> dict[str, str | None]:
    """Return check -> what is wrong, or None when the output of a task with that schema passes it."""
    task = {"id": "a", "lane": "backend", "instruction": "do a", "schema": schema}
    record = Record(contract(), plan=json.dumps({"tasks": [task]}).encode())
    held = record.state.tasks["a"]
    held.output = output
    return {found.check: None if found.passed else found.seen for found in examine(record.state, held)}


def wrong(output: str, schema: dict[str, object] | None = None) -> list[str]:
    """Return the names of the checks that an output does not pass."""
    return [name for name, why in checks(output, schema).items() if why is not None]


def judged(output: str, *verdicts: str, undecided: str = "pass", rungs: int = 1) -> Record:
    """Return a run of one task whose output was given, and then the replies of its Validator."""
    bound = contract(
        {"m": terms(), "judge": terms()},
        policy=Policy(undecided=undecided),
        worker=["m"] * rungs,
        validator=["judge"] if verdicts else ["rules"],
    )
    record = Record(bound, plan=plan_json(("a", [])))
    record.answer(reply=output)
    for verdict in verdicts:
        record.answer(reply=verdict)
    return record


def only_verdict(record: Record) -> dict[str, object]:
    """Return the data of the run's only verdict."""
    [entry] = record.of_kind("task.judged")
    return {name: value for name, value in entry.data.items() if name not in ("t_ms", "task", "n", "rung")}


@pytest.mark.parametrize("output", ["x", "0", "null", "a <tool_call> in a sentence", "[TOOL]", "<function>", "\u00a0."])
def test_plain_output_passes_the_checks(output: str) -> None:
    assert checks(output, None) == {"not-empty": None, "no-debris": None}


@pytest.mark.parametrize("output", ["", " ", "\n\t\u00a0\u2003"])
def test_output_that_is_only_space_is_empty(output: str) -> None:
    assert checks(output, None)["not-empty"] == "the output is empty"


@pytest.mark.parametrize(
    "output",
    [
        '<tool_call>\n{"name": "x"}',
        " \n<tool_call>",
        "<|tool_call|>x",
        "<function_call>",
        "<function=search>",
        "[TOOL_CALLS] [{}]",
        "<|im_start|>assistant",
        "<|start_header_id|>assistant",
    ],
)
def test_a_tool_call_or_template_debris_is_no_result(output: str) -> None:
    assert wrong(output) == ["no-debris"]
    why = checks(output, None)["no-debris"]
    assert why is not None
    assert why.startswith("the output is a tool call or template debris: it starts with '")


@pytest.mark.parametrize("output", ['{"n": 1}', ' {"n": -3, "kind": "b"}\n'])
def test_output_that_fits_its_schema_passes(output: str) -> None:
    assert checks(output, SCHEMA) == {"not-empty": None, "no-debris": None, "schema": None}


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("the number is 1", "the output is not JSON: "),
        ('```json\n{"n": 1}\n```', "the output is not JSON: "),
        ('{"n": 1} and more', "the output is not JSON: "),
        ('{"n": NaN}', "the output is not JSON: "),
        ("{}", "the output does not fit the task's schema at $: 'n' is a required property"),
        ('{"n": "1"}', "the output does not fit the task's schema at $.n: '1' is not of type 'integer'"),
        ('{"n": true}', "the output does not fit the task's schema at $.n: True is not of type 'integer'"),
        ('{"n": 1, "kind": "c"}', "the output does not fit the task's schema at $.kind: 'c' is not one of ['a', 'b']"),
        ('{"n": 1, "m": 2}', "the output does not fit the task's schema at $: Additional properties are not allowed"),
        ("[]", "the output does not fit the task's schema at $: [] is not of type 'object'"),
    ],
)
def test_output_that_does_not_fit_says_where_and_why(output: str, words: str) -> None:
    why = checks(output, SCHEMA)["schema"]
    assert why is not None
    assert why.startswith(words)


@pytest.mark.parametrize(
    "schema",
    [{"type": "nope"}, {"type": 3}, {"required": "n"}, {"properties": []}, {"minimum": "1"}],
)
def test_a_schema_that_is_none_is_named_as_that(schema: dict[str, object]) -> None:
    why = misfit('{"n": 1}', schema)
    assert why is not None
    assert why.startswith("the task's schema is not a JSON Schema: ")


def test_an_empty_schema_still_asks_for_json() -> None:
    assert wrong("the number is 1", {}) == ["schema"]
    assert wrong("1", {}) == []


def test_what_is_wrong_with_a_large_output_is_said_in_short() -> None:
    why = checks(json.dumps({"n": "x" * 100_000}), SCHEMA)["schema"]
    assert why is not None
    assert len(why) == 1_000


def test_without_a_validator_the_checks_decide() -> None:
    record = judged("done")
    passed = {"not-empty": True, "no-debris": True}
    assert only_verdict(record) == {"verdict": "passed", "ok": True, "by": "rules", "checks": passed}
    assert record.state.end == "succeeded"


def test_a_check_that_fails_spares_the_validator_and_its_words_are_recorded() -> None:
    record = Record(contract(validator=["m"]), plan=plan_json(("a", [])))
    record.answer(reply="<tool_call>x")
    assert only_verdict(record)["checks"] == {"not-empty": True, "no-debris": False}
    assert only_verdict(record)["by"] == "rules"
    [entry] = record.of_kind("task.judged")
    assert record.text(entry, "reason").startswith("the output is a tool call")
    assert [each.data["purpose"] for each in record.of_kind("call.started")] == ["task"]


def test_a_verdict_carries_the_validators_reason_and_evidence() -> None:
    record = judged("done", FAIL)
    verdict = only_verdict(record)
    assert (verdict["verdict"], verdict["ok"], verdict["by"]) == ("failed", False, "validator")
    [entry] = record.of_kind("task.judged")
    assert entry.actor == "validator"
    assert record.text(entry, "reason") == "half is missing\npart 2"
    assert (record.state.end, record.state.error) == ("failed", "tasks-failed")


def test_a_failed_verdict_goes_up_the_ladder_and_is_judged_again() -> None:
    record = judged("half", FAIL, rungs=2)
    [climb] = record.of_kind("task.escalated")
    assert (climb.data["rung"], climb.data["because"]) == (1, "verdict")
    assert climb.parents == [record.of_kind("task.judged")[0].seq]
    record.answer(reply="all")
    record.answer(reply=PASS)
    assert [entry.data["ok"] for entry in record.of_kind("task.judged")] == [False, True]
    assert record.state.end == "succeeded"
    [answer] = record.of_kind("answer.synthesized")
    assert record.text(answer, "answer") == "all"


def test_a_validator_is_shown_its_error_once_and_may_mend_it() -> None:
    record = judged("done", '{"passed": "true"}')
    [first, again] = [entry for entry in record.of_kind("call.started") if entry.data["purpose"] == "validate"]
    assert (first.data.get("repair", False), again.data.get("repair", False)) == (False, True)
    assert "Expected `bool`, got `str`" in record.text(again, "prompt")
    record.answer(reply=PASS)
    assert only_verdict(record)["verdict"] == "passed"


@pytest.mark.parametrize(("undecided", "end"), [("pass", "succeeded"), ("escalate", "failed"), ("fail", "failed")])
def test_a_validator_that_cannot_be_understood_leaves_the_task_undecided(undecided: str, end: str) -> None:
    record = judged("done", "well", "well, yes", undecided=undecided)
    verdict = only_verdict(record)
    assert (verdict["verdict"], verdict["by"], verdict["ok"]) == ("undecided", "validator", undecided == "pass")
    assert record.state.end == end
    if end == "succeeded":
        [seal] = record.of_kind("run.finished")
        [answer] = record.of_kind("answer.synthesized")
        assert seal.data["unvalidated"] == answer.data["unvalidated"] == 1
        assert record.text(answer, "answer") == "done\n\nNot validated: a."


def test_a_validator_that_gives_no_reply_leaves_the_task_undecided() -> None:
    record = Record(contract({"m": terms(attempts=1)}, validator=["m", "m"]), plan=plan_json(("a", [])))
    record.answer(reply="done")
    record.answer(error="auth")
    record.answer(error="server-error")
    [entry] = record.of_kind("task.judged")
    assert entry.data["verdict"] == "undecided"
    assert record.text(entry, "reason") == "the Validator gave no reply"


def test_an_undecided_verdict_under_escalate_goes_up_the_ladder() -> None:
    record = judged("done", "well", "well, yes", undecided="escalate", rungs=2)
    assert [entry.data["rung"] for entry in record.of_kind("task.escalated")] == [1]
