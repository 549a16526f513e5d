"""A process that ends at every single step towards the disk: what it had promised holds, and the ledger goes on."""

import random
import subprocess
import sys
from pathlib import Path

from forum_mcp.engine.custody import rotate_key
from forum_mcp.engine.ledger import Ledger, verify_path

PROGRAM = str(Path(__file__).with_name("stepper.py"))
FEW = 25


def run(step: int, path: Path) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, PROGRAM, str(step), str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == (9 if step else 0), done.stderr
    return [line.split(" ") for line in done.stdout.splitlines()]


def test_at_every_step_a_process_that_ends_leaves_what_it_promised(tmp_path: Path, rounds: int | None) -> None:
    """Without ``--rounds`` a sample of the steps is taken, with it all of them."""
    steps = int(run(0, tmp_path / "whole" / "ledger.db")[-1][1])
    assert steps > 150
    chosen = sorted(random.Random(3).sample(range(1, steps + 1), FEW)) if rounds is None else range(1, steps + 1)
    for step in chosen:
        path = tmp_path / str(step) / "ledger.db"
        promised = run(step, path)
        if path.exists():
            view = verify_path(path)
            rotating = [finding for finding in view.findings if finding.code == "vkey"]
            assert view.findings == rotating, (step, view.findings)
        with Ledger.open(path) as ledger:
            for what, value in promised:
                if what == "size":
                    assert ledger.size >= int(value), step
                elif what == "gone":
                    assert ledger.store.body_state(value).state == "redacted", step
            ledger.append("x.after", actor="test")
            ledger.record_checkpoint()
            assert ledger.verify(3, ledger.checkpoint()).clean, (step, ledger.verify().findings)
            rotate_key(ledger)
            assert ledger.verify(3, ledger.checkpoint()).clean, step
        keys = [file.name.partition(".")[2] for file in (path.parent / "keys").iterdir() if file.suffix != ".tmp"]
        assert set(keys) <= {"key", "signed"}, (step, keys)
