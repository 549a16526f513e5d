"""Several processes on one ledger, and processes killed at random moments."""

import random
import subprocess
import sys
from pathlib import Path

from forum_mcp.engine.ledger import Ledger, verify_path

APPENDER = str(Path(__file__).with_name("appender.py"))


def start(path: Path, name: str, count: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, APPENDER, str(path), name, str(count)], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )


def promises(text: str) -> dict[int, str]:
    return {int(seq): leaf for seq, leaf in (line.split(" ") for line in text.splitlines() if len(line) > 60)}


def test_four_processes_append_1000_entries_each_to_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    # None of them finds a ledger: they also race to make it.
    processes = [start(path, name, 1000) for name in "abcd"]
    promised: dict[int, str] = {}
    for process in processes:
        text, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        mine = promises(text)
        assert len(mine) == 1000
        assert not mine.keys() & promised.keys()
        promised |= mine
    with Ledger.open(path, create=False) as ledger:
        assert ledger.size == 4001 + 4, "and one checkpoint with each 1000"
        assert {seq: ledger.entry(seq).leaf for seq in promised} == promised
        report = ledger.verify(3, ledger.checkpoint())
    assert report.clean, report.findings
    assert len(list((tmp_path / "keys").glob("*.key"))) == 1, "the losers of the race leave no key behind"
    assert not list(tmp_path.glob(".*")), "and no half-made ledger"


def test_a_killed_process_loses_nothing_it_was_promised(tmp_path: Path, rounds: int | None) -> None:
    path = tmp_path / "ledger.db"
    chance = random.Random(20261121)
    promised: dict[int, str] = {}
    for number in range(rounds or 5):
        process = start(path, str(number), 100_000)
        assert process.stdout is not None
        text = "".join(process.stdout.readline() for _ in range(chance.randrange(1, 60)))
        process.kill()
        rest, _ = process.communicate()
        promised |= promises(text + rest)
        view = verify_path(path)
        assert view.clean, (number, view.findings)
        with Ledger.open(path, create=False) as ledger:
            last = ledger.append("soak.checked", actor="test", data={"round": number})
            promised[last.seq] = last.leaf
            assert {seq: ledger.entry(seq).leaf for seq in promised} == promised
            view = ledger.verify(3, ledger.checkpoint())
            assert view.clean, (number, view.findings)


def test_a_process_killed_while_it_makes_a_ledger_leaves_all_of_it_or_none(tmp_path: Path, rounds: int | None) -> None:
    chance = random.Random(7)
    for number in range(rounds or 3):
        path = tmp_path / str(number) / "ledger.db"
        process = start(path, "x", 1)
        try:
            process.wait(timeout=chance.uniform(0.02, 0.4))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        if path.exists():
            assert verify_path(path).clean
        with Ledger.open(path) as ledger:
            ledger.append("soak.checked", actor="test")
            assert ledger.verify().clean
