"""Make the ledger of the present table version that is kept for ever: ``python -m tests.stores.released``.

One file for each version lies in ``tests/data/ledgers``, with a checkpoint that was kept outside it. It is made once,
when a version is new, and never again.
"""

import hashlib
import itertools
import tempfile
from pathlib import Path

from forum_mcp.engine.custody import rotate_key
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.redaction import redact_commit
from forum_mcp.stores.schema import USER_VERSION

HERE = Path(__file__).parents[1] / "data" / "ledgers"
RUN = "3c" * 16


def file_of(version: int) -> Path:
    """Return the kept ledger of a table version."""
    return HERE / f"tables-{version}.sqlite"


def make(path: Path) -> str:
    """Make a ledger that uses every table; return a checkpoint over it."""
    drawn, ticks = itertools.count(), itertools.count(1_800_000_000_000_000, 1_000)

    def entropy(size: int) -> bytes:
        return hashlib.shake_256(b"released %d" % next(drawn)).digest(size)

    with Ledger.open(path, entropy=entropy, now_us=lambda: next(ticks), checkpoint_every=8) as ledger:
        ledger.append("run.started", actor="person:test", data={"t_ms": 0}, bodies={"request": "do it"}, run=RUN)
        for n in range(12):
            bodies = {"b": f"word {n % 5} " * 60, "short": f"{n}"}
            ledger.append("x.noted", actor="test é", data={"n": n}, bodies=bodies, parents=[n], run=RUN)
        redact_commit(ledger, str(ledger.entry(4).bodies["short"]["commit"]), "asked", yes=True)
        rotate_key(ledger)
        ledger.record_checkpoint()
        return ledger.checkpoint()


def main() -> None:
    """Write the ledger of the present version and its checkpoint."""
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "ledger.db"
        file_of(USER_VERSION).with_suffix(".checkpoint").write_text(make(made), encoding="utf-8")
        file_of(USER_VERSION).write_bytes(made.read_bytes())


if __name__ == "__main__":
    main()
