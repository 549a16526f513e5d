"""A file that is looked at beside its open ledger keeps that ledger's locks: no commit is lost when another ends."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from forum_mcp.engine.ledger import Ledger, verify_path

ANOTHER = (
    "import sys; from forum_mcp.engine.ledger import Ledger\nwith Ledger.open(sys.argv[1]) as other: print(other.size)"
)


def entries_for_another(path: Path) -> int:
    """Return how many entries another process sees, which opens the ledger and ends."""
    return int(subprocess.run([sys.executable, "-c", ANOTHER, str(path)], capture_output=True, check=True).stdout)


def open_anew(ledger: Ledger, _: Path) -> None:
    with ledger.store.anew() as store:
        assert store.size() == ledger.size


def open_twice(_: Ledger, path: Path) -> None:
    Ledger.open(path).close()


LOOKS: list[Callable[[Ledger, Path], object]] = [
    open_anew,
    open_twice,
    lambda ledger, _: ledger.verify(level=4),
    lambda _, path: verify_path(path, level=4),
    lambda ledger, _: list(ledger.export()),
    lambda ledger, _: ledger.checkpoint(),
]


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_committed_after_a_look_at_the_file_is_there_for_others(
    tmp_path: Path, look: Callable[[Ledger, Path], object]
) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        ledger.append("note.made", actor="a")
        look(ledger, path)
        assert entries_for_another(path) == ledger.size
        for _ in range(3):
            ledger.append("note.made", actor="a")
        assert entries_for_another(path) == ledger.size == 5
    with Ledger.open(path, read_only=True) as ledger:
        assert ledger.size == 5
        assert ledger.verify().clean
