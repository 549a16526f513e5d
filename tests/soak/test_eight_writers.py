"""``kill -9`` on a process in which eight writers append: every promise is kept, and the signer goes on."""

import random
import subprocess
import sys
from pathlib import Path

from forum_mcp.engine.ledger import Ledger

FEW = 5


def test_what_eight_writers_were_promised_survives_a_kill(tmp_path: Path, rounds: int | None) -> None:
    path, program = tmp_path / "ledger.db", Path(__file__).with_name("writers.py")
    chance = random.Random(8)
    kept: str | None = None
    for number in range(rounds or FEW):
        if number % 50 == 0:  # a check costs as much as the ledger has entries; a new one keeps the rounds alike
            path, kept = tmp_path / f"{number}.db", None
        process = subprocess.Popen(
            [sys.executable, str(program), str(path), str(number)], stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert process.stdout is not None
        text = "".join(process.stdout.readline() for _ in range(chance.randrange(1, 120)))
        process.kill()
        rest, _ = process.communicate()
        lines = [line.split(" ") for line in (text + rest).splitlines() if len(line) > 60]
        promised = {int(seq): leaf for seq, leaf in lines}
        assert len(promised) == len(lines) > 0
        with Ledger.open(path, create=False) as ledger:
            assert {seq: ledger.entry(seq).leaf for seq in promised} == promised
            view = ledger.verify(3, kept)
            assert view.clean, (number, view.findings)
            ledger.append("soak.checked", actor="test", data={"round": number})
            kept = ledger.checkpoint()
