"""The loop sentinel: work that says nothing new ends its branch, and nothing else does."""

import json

import pytest

from forum_mcp.rules.policy import Policy
from forum_mcp.rules.sketch import alike, canonical, likeness_percent, sketch
from tests.rules.record import Record, contract, terms

TEXT = "The plan has four parts: measure, compare, decide, and write down why it was decided so by whom."
FAIL = '{"passed": false, "reason": "no", "evidence": ""}'


def chain(*instructions: str, loop_after: int = 3) -> Record:
    """Return a run of tasks, each after the one before it."""
    tasks = [
        {"id": f"t{at}", "lane": "writing", "instruction": words, "depends_on": [f"t{at - 1}"] if at else []}
        for at, words in enumerate(instructions)
    ]
    bound = contract(policy=Policy(loop_after=loop_after))
    return Record(bound, plan=json.dumps({"tasks": tasks}).encode())


def end(record: Record) -> dict[str, tuple[str, str | None]]:
    """Return how each task ended: (status, error)."""
    return {name: (held.status, held.error) for name, held in record.state.tasks.items()}


def test_the_third_round_of_the_same_work_with_the_same_result_ends_the_branch() -> None:
    record = chain(*(f"Improve the draft, round {number}" for number in range(1, 6)))
    for number in range(3):
        record.answer(reply=f"{TEXT} {'!' * number}")
    assert end(record) == {
        "t0": ("ok", None),
        "t1": ("ok", None),
        "t2": ("failed", "loop"),
        "t3": ("skipped", None),
        "t4": ("skipped", None),
    }
    verdict = record.of_kind("task.judged")[2]
    assert verdict.data["stop"] == "loop"
    first, second = (each.seq for each in record.of_kind("task.judged")[:2])
    assert {first, second} < set(verdict.parents)
    assert "gave a result like this 3 times (before in t0, t1)" in record.text(verdict, "reason")


def test_rounds_between_which_others_work_are_seen_too() -> None:
    record = chain("Write it", "Review it", "Write it", "Review it", "Write it")
    for number in range(5):
        record.answer(reply=TEXT if number % 2 == 0 else f"remark number {number}: more of part {number * 7}")
    assert end(record)["t4"] == ("failed", "loop")


def test_results_that_differ_are_no_loop() -> None:
    record = chain(*["Improve the draft"] * 4)
    for number in range(4):
        record.answer(reply=" ".join(f"word{number}{at}" for at in range(20)))
    assert {status for status, _ in end(record).values()} == {"ok"}


def test_the_same_work_side_by_side_is_no_loop() -> None:
    tasks = [{"id": f"t{at}", "lane": "writing", "instruction": "Name a colour"} for at in range(8)]
    record = Record(
        contract(max_parallel=8, executors={"m": terms(max_parallel=8)}), plan=json.dumps({"tasks": tasks}).encode()
    )
    for _ in range(8):
        record.answer(reply="blue")
    assert record.state.end == "succeeded"


def test_other_work_that_gives_the_same_result_is_no_loop() -> None:
    record = chain("Write it", "Correct the spelling", "Check the facts", "Shorten it")
    for _ in range(4):
        record.answer(reply=TEXT)
    assert record.state.end == "succeeded"


def test_a_ladder_whose_rungs_all_give_the_same_refused_result_is_not_climbed_to_its_end() -> None:
    bound = contract({"m": terms(), "v": terms()}, worker=["m"] * 6, validator=["v"])
    task = {"id": "a", "lane": "writing", "instruction": "Write it"}
    record = Record(bound, plan=json.dumps({"tasks": [task]}).encode())
    for _ in range(2):
        record.answer(reply=TEXT)
        record.answer(reply=FAIL)
    record.answer(reply=TEXT)
    assert [each.data["purpose"] for each in record.of_kind("call.started")].count("validate") == 2
    assert end(record) == {"a": ("failed", "loop")}


@pytest.mark.parametrize(("after", "looped"), [(2, ["t1"]), (4, ["t3"]), (0, [])])
def test_the_operator_says_after_how_many_results(after: int, looped: list[str]) -> None:
    record = chain(*["Improve the draft"] * 5, loop_after=after)
    while record.state.open:
        record.answer(reply=TEXT)
    assert [name for name, (_, error) in end(record).items() if error == "loop"] == looped


def test_texts_are_alike_by_their_words_not_by_how_they_are_set() -> None:
    long = " ".join(f"word{at}" for at in range(300))
    assert alike(sketch(long), sketch(long.upper().replace(" ", "\n")))
    assert alike(sketch(long), sketch(long + " more"))
    assert not alike(sketch(long), sketch(long[: len(long) // 2]))
    assert likeness_percent(sketch("a b c"), sketch("x y z")) == 0
    assert likeness_percent(sketch(""), sketch("...")) == 100
    assert alike(sketch("今日は良い天気です。"), sketch("今日は良い天気です"))
    assert canonical("Round 2: IMPROVE the draft") == canonical("round 3 improve the draft")
