"""``python -m tests.bench``: measure, and write docs/explanation/benchmarks.md.

Needs the dependency group ``bench``. A million entries take half an hour and some gigabytes of memory (the peer's):
``--million``. With ``--measured FILE`` what is measured is kept, size by size, and not measured again.
"""

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby, product
from pathlib import Path
from statistics import median
from typing import Final

from forum_mcp import __version__
from tests.bench.cells import CELLS, ROUND
from tests.bench.peer import missing, peer_version
from tests.bench.report import page

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "explanation" / "benchmarks.md"
_ONCE: Final = ("fill", "disk", "parts_ours")
_NAMED: Final = "model name"
_MILLION: Final = 1_000_000


class _Given(argparse.Namespace):
    sizes: list[int]
    million: bool
    rounds: int
    out: Path
    measured: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure at every size and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure against forum-engine.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--million", action="store_true", help="1,000,000 entries too")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each figure")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--measured", type=Path, help="a file of figures, to go on with later")
    given = parser.parse_args(arguments, _Given())
    if missing():
        print("forum-engine is not installed; uv sync --group bench", file=sys.stderr)
        return 2
    measured = _kept(given.measured)
    for size in [*given.sizes, *([_MILLION] if given.million else [])]:
        if size not in measured:
            measured[size] = _measure(size, given.rounds if size < _MILLION else 1)
            if given.measured is not None:
                given.measured.write_text(json.dumps(measured), encoding="utf-8")
    words = ["--million"] if given.million else []
    text = "\n".join(page(measured, machine=machine(), command=" ".join(["python -m tests.bench", *words])))
    given.out.write_text(text, encoding="utf-8")
    print(text)
    return 0


def _kept(file: Path | None) -> dict[int, dict[str, dict[str, float]]]:
    if file is None or not file.exists():
        return {}
    return {int(size): cells for size, cells in json.loads(file.read_text(encoding="utf-8")).items()}


def _measure(size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median of each figure over ``rounds`` processes; cells of one kind take turns."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CELLS}
    with tempfile.TemporaryDirectory() as place:
        for name in ("ours", "peer-file", "peer-sqlite"):
            (Path(place) / name).mkdir()
        for _, kind in groupby(CELLS, key=lambda name: name.partition("_")[0]):
            names = list(kind)
            for number, name in product(range(rounds), names):
                if not number or name not in _ONCE:
                    found[name].append(_cell(name, place, size, number))
    return {name: _median(runs) for name, runs in found.items()}


def _cell(name: str, place: str, size: int, number: int) -> dict[str, float]:
    # Every round appends entries of its own: a body that is already there would be stored for nothing.
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.cells", name, place, str(size + number * ROUND)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        check=True,
        stdout=subprocess.PIPE,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    print(f"{size:>9,} {name:<15} {json.dumps(figures)}", file=sys.stderr, flush=True)
    return figures


def _median(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {figure: median(each[figure] for each in runs) for figure in runs[0]}


def machine() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.split(":", 1)[1].strip() for line in lines if line.startswith(_NAMED))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return [
        f"Machine: {processor}, {os.cpu_count()} cores, shared with other work; {system}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        f"forum-mcp {__version__}, forum-engine {peer_version()}",
    ]


if __name__ == "__main__":
    sys.exit(main())
