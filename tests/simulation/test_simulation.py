"""Seeded lives of a whole forum in virtual time: whatever models, machines and people do, the record keeps its word."""

import pytest

from tests.simulation.scenario import Life, live

SEEDS = 100


def test_in_every_simulated_life_the_record_is_clean_the_budget_kept_and_nothing_done_twice(
    rounds: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")
    kinds: set[str] = set()
    crashes = 0
    for seed in range(rounds or SEEDS):
        try:
            life = live(Life(seed))
        except BaseException as error:
            error.add_note(f"seed {seed} failed; see its record: python -m tests.simulation {seed}")
            raise
        kinds |= {entry.kind for entry in life.watch.entries}
        crashes += life.crashes
    assert crashes > 20
    assert {
        "gate.resolved",
        "task.escalated",
        "run.resumed",
        "run.interrupted",
        "budget.stopped",
        "timer.fired",
    } < kinds
    assert {"work.expired", "work.returned", "call.deferred", "run.cancelled", "plan.rejected", "task.skipped"} < kinds


@pytest.mark.parametrize("seed", [0, 3, 13])
def test_a_seed_lives_the_same_life_again(seed: int) -> None:
    once, again = live(Life(seed)), live(Life(seed))
    assert [(entry.kind, entry.data) for entry in once.watch.entries] == [
        (entry.kind, entry.data) for entry in again.watch.entries
    ]
