"""A process is killed at every step of a run, just before and just after each commit; another one goes on."""

import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.ledger import Ledger
from forum_mcp.ledger.entry import RunId
from tests.soak import steps_runner

FEW = 6


def play(step: int, when: str, place: Path, *words: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, steps_runner.__file__, str(step), when]
    argv += [str(place / "ledger.db"), str(place / "count.txt"), *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def statuses(place: Path, run: str) -> dict[str, str]:
    with Ledger.open(place / "ledger.db", create=False) as ledger:
        state = fold_run(ledger.store, RunId(run))
        assert state.phase == "finished"
        return {name: held.status for name, held in state.tasks.items()} | {"run": str(state.end)}


def doubted(place: Path, run: str) -> set[str]:
    """Return the tasks whose work was in doubt, asked about, and not done again."""
    with Ledger.open(place / "ledger.db", create=False) as ledger:
        tasks = fold_run(ledger.store, RunId(run)).tasks
        return {name for name, held in tasks.items() if held.error == "in-doubt"}


def check(place: Path, run: str, whole: dict[str, str]) -> None:
    """Check the end of a run that was killed once against that of one that was not."""
    after, lost = statuses(place, run), doubted(place, run)
    assert lost <= {f"t{number}" for number in steps_runner.ONCE}
    touched = lost | {f"t{number}" for number in (7, 8, 10, 11) if lost}
    assert {name: each for name, each in after.items() if name not in touched} == {
        name: each for name, each in whole.items() if name not in touched
    }
    counts = Counter((place / "count.txt").read_text().split())
    assert all(counts[str(number)] <= 1 for number in steps_runner.ONCE), "done twice, and nobody was asked"
    with Ledger.open(place / "ledger.db", create=False) as ledger:
        assert ledger.verify(level=4, checkpoint=ledger.checkpoint()).findings == []


def whole_run(place: Path) -> tuple[str, dict[str, str]]:
    place.mkdir()
    said = play(0, "after", place, "begin").communicate(timeout=90)[0].split()
    return said[1], statuses(place, said[0])


def test_a_run_killed_at_any_step_ends_as_one_that_was_not(tmp_path: Path, rounds: int | None) -> None:
    """Without ``--rounds`` a sample of the steps is taken, with it all of them."""
    state, whole = whole_run(tmp_path / "whole")
    assert Counter(whole.values()) == {"ok": 11, "failed": 2}
    steps = [(step, when) for step in range(1, 200) for when in ("before", "after")]
    chosen = sorted(random.Random(7).sample(steps[:24], FEW)) if rounds is None else steps
    killed = 0
    for step, when in chosen:
        place = tmp_path / f"{step}-{when}"
        place.mkdir()
        victim = play(step, when, place, "begin")
        said = victim.communicate(timeout=90)[0].split()
        if victim.returncode == 0:
            break  # past its last step
        assert victim.returncode == -signal.SIGKILL
        killed += 1
        with Ledger.open(place / "ledger.db", create=False) as ledger:
            runs = ledger.store.runs(2)
        if not runs:
            assert not said
            assert (step, when) == (1, "before"), "nothing was promised, nothing is there"
            continue
        survivor = play(0, "after", place, "resume", runs[0].run)
        assert survivor.communicate(timeout=90)[0].split() == [state], (step, when)
        check(place, runs[0].run, whole)
    assert killed >= FEW


def test_of_two_processes_told_to_go_on_after_a_kill_one_does(tmp_path: Path, rounds: int | None) -> None:
    state, whole = whole_run(tmp_path / "whole")
    for step in range(5, 5 + (rounds or 2)):
        place = tmp_path / str(step)
        place.mkdir()
        victim = play(step, "after", place, "begin")
        run = victim.communicate(timeout=90)[0].split()[0]
        if victim.returncode == 0:
            break
        with Ledger.open(place / "ledger.db", create=False) as ledger:
            over = fold_run(ledger.store, RunId(run)).phase == "finished"
        survivors = [play(0, "after", place, "resume", run) for _ in range(2)]
        said = sorted(each.communicate(timeout=90)[0].strip() for each in survivors)
        assert said in ([state, "held"], [state, state]), said
        with Ledger.open(place / "ledger.db", create=False) as ledger:
            resumed = [each for each in ledger.show(limit=1000, run_id=run).entries if each.kind == "run.resumed"]
        assert len(resumed) == (0 if over else 1)
        check(place, run, whole)
