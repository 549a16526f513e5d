"""``python -m tests.bench.loop``: measure the control loop, and write docs/explanation/benchmarks-loop.md.

Needs the dependency group ``bench``. Each figure is the median of several processes started for it alone; the systems
take turns, so that what else the machine does meets all of them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from forum_mcp import __version__
from tests.bench.__main__ import ROOT, machine
from tests.bench.loops import PARALLEL, SYSTEMS

__all__ = ["main", "page"]

PAGE: Final = ROOT / "docs" / "explanation" / "benchmarks-loop.md"
_TASKS: Final = 64
_DELAY_MS: Final = 20
_NEEDED: Final = ("forum-engine", "langgraph", "langgraph-checkpoint-sqlite")

Figures = dict[str, float]
Cell = tuple[str, int, int]
"""System, tasks, milliseconds that a model takes."""

_CELLS: Final[tuple[Cell, ...]] = (
    *((system, _TASKS, _DELAY_MS) for system in SYSTEMS),
    *((system, tasks, 0) for tasks in (100, 1_000) for system in SYSTEMS if system != "forum-engine"),
    ("forum-engine", 100, 0),
)


class _Given(argparse.Namespace):
    rounds: int
    out: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every cell and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.loop", description="Measure the control loop.")
    parser.add_argument("--rounds", type=int, default=5, help="processes for each figure")
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args(arguments, _Given())
    try:
        versions = [f"{name} {version(name)}" for name in _NEEDED]
    except PackageNotFoundError as error:
        print(f"{error.name} is not installed; uv sync --group bench", file=sys.stderr)
        return 2
    found: dict[Cell, list[Figures]] = {cell: [] for cell in _CELLS}
    synced: list[float] = []
    for _ in range(given.rounds):
        synced += _syncs()
        for cell in _CELLS:
            found[cell].append(_run(cell))
    measured = {cell: {name: median(each[name] for each in runs) for name in runs[0]} for cell, runs in found.items()}
    quickest = min(each["wall"] for each in found["ours", _TASKS, _DELAY_MS])
    where = [*machine()[:2], f"forum-mcp {__version__}, {', '.join(versions)}"]
    disk = f"A page of 4 KiB added to a file and synced, here and meanwhile: {1e3 * median(synced):.1f} ms (median)"
    text = "\n".join(page(measured, quickest, [*where, disk]))
    given.out.write_text(text, encoding="utf-8")
    print(text)
    return 0


def _syncs() -> list[float]:
    """Return how long the disk takes to keep a page, several times, seconds: each commit waits for that at least."""
    taken: list[float] = []
    with tempfile.TemporaryFile() as file:
        for _ in range(20):
            file.write(bytes(4096))
            file.flush()
            begun = perf_counter()
            os.fsync(file.fileno())
            taken.append(perf_counter() - begun)
    return taken


def _run(cell: Cell) -> Figures:
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "tests.bench.loops", cell[0], place, str(cell[1]), str(cell[2])]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    figures: Figures = json.loads(done.stdout)
    print(f"{cell[0]:<14} {cell[1]:>5} tasks {cell[2]:>3} ms {json.dumps(figures)}", file=sys.stderr, flush=True)
    return figures


def page(measured: dict[Cell, Figures], quickest: float, machine: Sequence[str]) -> list[str]:
    """Return the lines of the page; ``quickest``: seconds that our best run of the first table took."""
    rounds = -(-_TASKS // PARALLEL)
    ideal = (2 * rounds + 1) * _DELAY_MS / 1000
    ours = measured["ours", _TASKS, _DELAY_MS]
    small, large = measured["ours", 100, 0], measured["ours", 1_000, 0]
    wall_ms, cpu_ms = (1e3 * ours[figure] for figure in ("wall", "cpu"))
    step_us, wall_us = (1e6 * large[figure] / large["steps"] for figure in ("cpu", "wall"))
    return [
        "# Benchmarks of the control loop",
        "",
        "Made by a command that anyone can run, and not by hand:",
        "",
        "    python -m tests.bench.loop",
        "",
        *(f"- {line}" for line in machine),
        "",
        f"{_TASKS} independent tasks, {PARALLEL} at a time; each is one call of a model, judged by another,",
        f"and one more makes the answer. A call is a wait of {_DELAY_MS} ms, so the critical path is",
        f"{ideal * 1000:.0f} ms: {rounds} rounds of work, {rounds} of judging, one synthesis. Each is made durable",
        "before it goes on (SQLite, `synchronous=FULL` here; forum-engine with `fsync_each`; LangGraph with",
        '`durability="sync"`). Medians of processes that took turns. What each records differs: every call with its',
        "prompt and reply here, a result and a verdict per task in forum-engine, the graph's state at five points in",
        "LangGraph. Waits for the disk and for a processor that others use as well are in every wall time.",
        "",
        "| | forum-mcp | forum-engine | LangGraph |",
        "|---|---:|---:|---:|",
        _row("wall", measured, lambda each: f"{each['wall'] * 1000:,.0f} ms"),
        _row("times the critical path", measured, lambda each: f"{each['wall'] / ideal:.2f}x"),
        _row("wall, as a ratio to ours", measured, lambda each: f"{each['wall'] / ours['wall']:.2f}x"),
        _row("CPU", measured, lambda each: f"{each['cpu'] * 1000:,.0f} ms"),
        _row("recorded steps", measured, lambda each: f"{each['steps']:,.0f}"),
        _row("CPU for a recorded step", measured, lambda each: f"{1e6 * each['cpu'] / each['steps']:,.0f} us"),
        _row("bytes on disk", measured, lambda each: f"{each['bytes']:,.0f}"),
        _row("bytes for a recorded step", measured, lambda each: f"{each['bytes'] / each['steps']:,.0f}"),
        "",
        f"Of our {wall_ms:,.0f} ms, {ideal * 1000:.0f} are the calls themselves. The {cpu_ms:,.0f} ms of CPU lie",
        "partly beside them: of the outcomes that come together, as many as are worth a commit are recorded with what",
        "follows from them, and the calls this leads to are under way while the others are decided. The rest is waits",
        "for the disk and for the processor: few on a machine that does nothing else, any number on a busy one.",
        f"The quickest of these runs took {quickest / ideal:.2f}x the critical path (target: at most 1.5x).",
        "",
        "## Larger plans",
        "",
        "The same with calls that take no time: what is left is the engine.",
        "",
        "| | 100 tasks | 1,000 tasks | ratio |",
        "|---|---:|---:|---:|",
        *(
            f"| {name} | {small[figure] * 1000:,.0f} ms | {large[figure] * 1000:,.0f} ms "
            f"| {large[figure] / small[figure]:.1f}x |"
            for name, figure in (("wall", "wall"), ("CPU", "cpu"))
        ),
        _growth(measured),
        f"| forum-engine's wall | {measured['forum-engine', 100, 0]['wall'] * 1000:,.0f} ms | not measured | |",
        "",
        f"Overhead of the engine: {step_us:,.0f} us of CPU and {wall_us:,.0f} us of wall for a",
        "recorded step, hashing, signing and committing included (target: at most 1,000 us).",
        "",
    ]


def _growth(measured: dict[Cell, Figures]) -> str:
    few, many = (measured["langgraph", tasks, 0]["wall"] for tasks in (100, 1_000))
    return f"| LangGraph's wall | {few * 1000:,.0f} ms | {many * 1000:,.0f} ms | {many / few:.1f}x |"


def _row(name: str, measured: dict[Cell, Figures], shown: Callable[[Figures], str]) -> str:
    return f"| {name} | {' | '.join(shown(measured[system, _TASKS, _DELAY_MS]) for system in SYSTEMS)} |"


if __name__ == "__main__":
    sys.exit(main())
