"""Decisions one by one: budgets, retries, crashes, limits and what follows from them."""

import pytest

from forum_mcp.ledger.entry import Draft
from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.roles.reply import read
from forum_mcp.roles.validator import VerdictReply
from forum_mcp.rules.failures import ERROR_CLASSES, TRANSIENT
from tests.rules.invariants import check, check_end, derive_again
from tests.rules.record import Record, contract, plan_json, terms


def test_a_synthesis_that_cannot_be_paid_for_again_gives_way_to_the_rules() -> None:
    for again in ("due", "lost", "next rung"):
        bound = contract(
            {"m": terms(), "once": terms(attempts=1)},
            synthesizer=["once", "m"] if again == "next rung" else ["m"],
        )
        record = Record(bound, plan=plan_json(("a", []), ("b", [])), limits=Amounts(calls=3))
        record.answer(reply="one")
        record.answer(reply="two")
        if again == "lost":
            record.resume()
        else:
            record.answer(error="timeout")
            if again == "due":
                record.fire()
        assert [entry.data["by"] for entry in record.of_kind("answer.synthesized")] == ["rules"]
        assert len(record.of_kind("budget.stopped")) == 1
        assert len(record.of_kind("call.started")) == 3
        check_end(record)
        derive_again(record)


def test_a_call_is_kept_back_for_the_synthesis() -> None:
    plan = plan_json(("a", []), ("b", []), ("c", []))
    record = Record(contract(synthesizer=["m"]), plan=plan, limits=Amounts(calls=3))
    record.answer(reply="one")
    record.answer(reply="two")
    assert [entry.data["purpose"] for entry in record.of_kind("call.started")] == [
        "task",
        "task",
        "synthesize",
    ]
    record.answer(reply="both")
    [stop] = record.of_kind("budget.stopped")
    assert (stop.data["limit"], stop.data["asked"], stop.data["kept_back"]) == (3, 1, 1)
    [answer] = record.of_kind("answer.synthesized")
    assert record.text(answer, "answer") == "both\n\nSkipped, not part of this answer: c."
    assert (record.state.end, record.state.error) == ("failed", "budget-calls")
    derive_again(record)


def test_a_second_outcome_of_an_attempt_changes_nothing() -> None:
    record = Record(contract(), plan=plan_json(("a", []), ("b", ["a"])))
    call = next(iter(record.state.open))
    record.answer(call, "one")
    before = record.refold()
    late = Draft("call.finished", "executor:m", {"call": call, "error": "timeout"}, {}, (call,))
    record.report(late)
    assert record.entries[-1].data["call"] == call, "nothing was decided from it"
    before.last_seq = record.state.last_seq
    assert record.state == before


@pytest.mark.parametrize("effects", ["none", "idempotent", "once"])
def test_work_that_may_be_done_once_is_not_done_again_after_a_crash(effects: str) -> None:
    record = Record(contract({"m": terms(effects=effects)}), plan=plan_json(("a", [])))
    record.resume()
    tries = [entry.data["attempt"] for entry in record.of_kind("call.started")]
    if effects == "once":
        assert tries == [1]
        [gate] = record.of_kind("gate.opened")
        assert gate.data["subject"] == "in-doubt"
        record.fire()
        assert [entry.data.get("error") for entry in record.of_kind("task.finished")] == ["in-doubt"]
        assert record.state.end == "failed"
    else:
        assert tries == [1, 2]
        record.answer(reply="done")
        assert record.state.end == "succeeded"
    assert record.state.spend.calls == len(tries)
    derive_again(record)


def test_an_answer_of_three_hundred_tasks_has_no_more_parents_than_an_entry_may() -> None:
    names = [f"t{number}" for number in range(300)]
    bound = contract({"m": terms(max_parallel=300)}, max_parallel=300, synthesizer=["m"])
    first: list[tuple[str, list[str]]] = [(name, []) for name in names]
    record = Record(bound, plan=plan_json(*first, ("last", names)))
    while record.state.phase == "tasks":
        record.answer(reply="x")
    record.resume()
    record.answer(reply="all of it")
    assert record.state.end == "succeeded"
    check(record)
    derive_again(record)


@pytest.mark.parametrize("task_ends", ["timeout", "auth", "refused"])
def test_what_depends_on_a_failed_task_is_skipped_and_its_siblings_go_on(task_ends: str) -> None:
    plan = plan_json(("a", []), ("b", ["a"]), ("c", ["b"]), ("d", []))
    record = Record(contract({"m": terms(attempts=1)}), plan=plan)
    record.answer(error=task_ends)
    record.answer(reply="d is done")
    skipped = {str(entry.data["task"]): entry.data["upstream"] for entry in record.of_kind("task.skipped")}
    assert skipped == {"b": "a", "c": "b"}
    [answer] = record.of_kind("answer.synthesized")
    assert "d is done" in record.text(answer, "answer")
    assert "Failed, not part of this answer: a." in record.text(answer, "answer")
    assert "Skipped, not part of this answer: b, c." in record.text(answer, "answer")
    assert (record.state.end, record.state.error) == ("failed", "tasks-failed")


def test_an_executor_is_never_given_more_than_it_takes_at_once() -> None:
    bound = contract({"m": terms(max_parallel=2), "judge": terms(max_parallel=1)}, validator=["judge"])
    record = Record(bound, plan=plan_json(("a", []), ("b", []), ("c", [])))
    assert [item.task for item in record.state.open.values()] == ["a", "b"]
    record.answer(reply="one")
    record.answer(next(seq for seq, item in record.state.open.items() if item.task == "b"), "two")
    assert [(item.purpose, item.task) for item in record.state.open.values()] == [("validate", "a"), ("task", "c")]
    record.answer(reply='{"passed": true}')
    assert ("validate", "b") in [(item.purpose, item.task) for item in record.state.open.values()]
    check(record)


@pytest.mark.parametrize("error", sorted(ERROR_CLASSES - {"interrupted", "in-doubt"}))
def test_only_what_may_pass_by_itself_is_tried_again_on_the_same_rung(error: str) -> None:
    record = Record(contract({"m": terms(attempts=2), "n": terms()}, worker=["m", "n"]), plan=plan_json(("a", [])))
    record.answer(error=error)
    if error in TRANSIENT:
        [wait] = record.of_kind("call.deferred")
        assert (wait.data["not_before_ms"], wait.data["reason"]) == (500, error)
        record.fire()
        record.answer(error=error)
    tried = [(entry.data["executor"], entry.data["attempt"]) for entry in record.of_kind("call.started")]
    assert tried == [("m", 1), *([("m", 2)] if error in TRANSIENT else []), ("n", 1)]
    [climb] = record.of_kind("task.escalated")
    assert climb.data["because"] == error


@pytest.mark.parametrize(
    ("asked_ms", "waits_ms"), [(None, 500), (0, 0), (7_000, 7_000), (60_000, 60_000), (60_001, None)]
)
def test_a_server_that_says_when_to_come_back_is_heard_within_reason(
    asked_ms: int | None, waits_ms: int | None
) -> None:
    record = Record(contract(), plan=plan_json(("a", [])))
    record.now_ms = 40
    record.answer(error="rate-limit", retry_after_ms=asked_ms)
    waits = [entry.data["not_before_ms"] for entry in record.of_kind("call.deferred")]
    assert waits == ([] if waits_ms is None else [40 + waits_ms])
    assert (record.state.phase == "finished") == (waits_ms is None)


def test_a_run_that_rests_after_its_plan_goes_on_when_it_is_submitted() -> None:
    record = Record(contract(), plan=plan_json(("a", [])), mode="plan")
    assert (record.state.phase, record.entries[-1].kind) == ("rest", "plan.accepted")
    record.resume()
    assert record.state.phase == "rest"
    record.resume("submit")
    record.answer(reply="done")
    assert record.state.end == "succeeded"


def test_a_cancelled_run_is_sealed_when_its_last_open_attempt_has_an_outcome() -> None:
    record = Record(contract(), plan=plan_json(("a", []), ("b", []), ("c", ["a"])))
    record.cancel()
    record.answer(error="cancelled")
    assert record.state.phase == "tasks"
    record.answer(reply="too late to matter")
    assert (record.state.end, record.entries[-1].kind) == ("cancelled", "run.finished")
    assert len(record.of_kind("call.started")) == 2


def test_the_time_limit_ends_a_run_with_what_is_finished() -> None:
    plan = plan_json(("a", []), ("b", ["a"]), ("c", ["b"]))
    record = Record(contract(), plan=plan, limits=Amounts(ms=1_000))
    record.answer(reply="first")
    record.fire()
    [stop] = record.of_kind("budget.stopped")
    assert (stop.data["currency"], stop.data["limit"], stop.data["settled"]) == ("ms", 1_000, 1_000)
    record.answer(error="time-limit")
    [answer] = record.of_kind("answer.synthesized")
    assert "first" in record.text(answer, "answer")
    assert (record.state.end, record.state.error) == ("failed", "budget-ms")
    assert [entry.data["because"] for entry in record.of_kind("task.skipped")] == ["budget"]


def deep_call(frames: int, reply: str) -> object:
    """Read a reply with so many frames of the stack in use."""
    return deep_call(frames - 1, reply) if frames else reply_of(reply)


def reply_of(reply: str) -> object:
    return read(reply, VerdictReply)


def test_what_a_deeply_nested_reply_means_does_not_depend_on_the_stack_beneath() -> None:
    for depth in (40, 60, 70, 400, 900, 5_000):
        reply = '{"x": ' + "[" * depth + "]" * depth + '} {"passed": true}'
        assert deep_call(0, reply) == deep_call(600, reply), depth
