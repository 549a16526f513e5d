"""A process is killed in the middle of a run, at random moments; the same loop finishes the run from its record."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.ledger import Ledger
from forum_mcp.ledger.entry import RunId
from tests.soak import runner

FEW = 5


def play(ledger: Path, counter: Path, *words: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, runner.__file__, str(ledger), str(counter), *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def counts(counter: Path) -> Counter[str]:
    return Counter(counter.read_text().split()) if counter.exists() else Counter()


def settled(ledger: Path, run: RunId) -> set[str]:
    with Ledger.open(ledger, create=False) as opened:
        tasks = fold_run(opened.store, run).tasks
        return {f"{held.index:02}" for held in tasks.values() if held.status == "ok"}


def check(ledger: Path) -> None:
    with Ledger.open(ledger, create=False) as opened:
        report = opened.verify(level=4)
        assert report.findings == []
        assert report.counts["decisions"] > 20


@pytest.mark.promise("survives-kill")
def test_a_run_killed_at_any_moment_is_finished_by_resume_and_settled_tasks_run_once(
    tmp_path: Path, rounds: int | None
) -> None:
    rng = random.Random(20)
    killed_in_the_middle = 0
    for number in range(rounds or FEW):
        ledger, counter = tmp_path / f"{number}.db", tmp_path / f"{number}.txt"
        victim = play(ledger, counter, "begin")
        assert victim.stdout is not None
        run = RunId(victim.stdout.readline().strip())
        begun = rng.randrange(runner.TASKS)
        while counts(counter).total() < begun and victim.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.1))  # the moment of death is the thing under test
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
        before, done = counts(counter), settled(ledger, run)
        killed_in_the_middle += 0 < len(done) < runner.TASKS
        survivor = play(ledger, counter, "resume", run)
        assert survivor.communicate(timeout=90)[0].strip() == "succeeded"
        after = counts(counter)
        assert {task: after[task] for task in done} == {task: before[task] for task in done}
        assert set(after) == {f"{i:02}" for i in range(runner.TASKS)}
        check(ledger)
    assert killed_in_the_middle


def test_of_two_processes_told_to_resume_a_run_one_does(tmp_path: Path) -> None:
    ledger, counter = tmp_path / "ledger.db", tmp_path / "count.txt"
    victim = play(ledger, counter, "begin")
    assert victim.stdout is not None
    run = RunId(victim.stdout.readline().strip())
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    first, second = play(ledger, counter, "resume", run), play(ledger, counter, "resume", run)
    said = sorted(each.communicate(timeout=90)[0].strip() for each in (first, second))
    assert said in (["held", "succeeded"], ["succeeded", "succeeded"])
    with Ledger.open(ledger, create=False) as opened:
        resumed = [entry for entry in opened.show(limit=1000, run_id=run).entries if entry.kind == "run.resumed"]
    assert len(resumed) == 1
    check(ledger)
