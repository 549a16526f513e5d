"""The figures as a page: each with its ratio to the peer's and with the target it has to meet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Measured", "page"]

Measured = Mapping[int, Mapping[str, Mapping[str, float]]]
"""Size -> cell -> figure -> value."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the page: how it is read out of a size's cells, and what it must reach there."""

    name: str
    value: Callable[[Mapping[str, Mapping[str, float]]], float]
    form: str
    least: float | None = None
    most: float | None = None


_REASONS: Final = {
    "verify, times faster": (
        "Libraries alone take some 11 us for an entry with its body: a typed decode and the encoding again, five "
        "hashes, zstd, two rows out of SQLite, its check of the pages, each index read once. That is half of the "
        "peer's whole check, so three times faster is out of reach even without a line of Python; and Python between "
        "them takes two thirds of that again. The peer decodes JSON and hashes it; canonical form, tree, salts, links, "
        "indexes and pages are not looked at. No check was dropped."
    ),
    "append, times faster": (
        "A commit writes five pages (entry, index of runs, body, two indexes of bodies) and waits for the disk; the "
        "bare commit of one page, in the table, is the floor. How long the disk takes differs from minute to minute "
        "on a shared machine."
    ),
    "64 writers, times faster": (
        "One commit serves all that wait, so the rest is CPU for each entry: canonical bytes, four hashes, zstd, and "
        "the pages that the two indexes of bodies touch at random places. On a loaded machine the disk is most of it."
    ),
    "root after an append, CPU": (
        "The root is known when the commit ends; what is left is to ask SQLite whether another process has committed "
        "since. Waiting for the disk leaves the processor's caches cold, and that is most of it: a ledger in memory "
        "asks the same and waits for nothing."
    ),
    "signed checkpoint after an append, CPU": (
        "Ed25519 is a third of it. The signer's memory is locked, looked at, read and written each time, because "
        "another process may have signed meanwhile: that refusal is not given up for speed. Caches that the commit "
        "left cold make everything dearer; a ledger in memory, which needs no such file either, shows what is left "
        "without them."
    ),
}


def _fastest(cells: Mapping[str, Mapping[str, float]], cell: str, figure: str, *, most: bool = False) -> float:
    """Return the better of the peer's two storages."""
    both = [cells[f"{cell}_{store}"][figure] for store in ("file", "sqlite")]
    return max(both) if most else min(both)


_ROWS: Final = (
    _Row("cold verify with bodies, CPU", lambda at: at["verify_ours"]["cpu"], "{:.2f} s"),
    _Row("the peer's, the faster storage", lambda at: _fastest(at, "verify", "cpu"), "{:.2f} s"),
    _Row(
        "verify, times faster", lambda at: _fastest(at, "verify", "cpu") / at["verify_ours"]["cpu"], "{:.2f}x", least=3
    ),
    _Row("peak memory of it", lambda at: at["verify_ours"]["peak_mb"], "{:.0f} MB", most=100),
    _Row("the peer's, file / SQLite: file", lambda at: at["verify_file"]["peak_mb"], "{:.0f} MB"),
    _Row("the peer's, file / SQLite: SQLite", lambda at: at["verify_sqlite"]["peak_mb"], "{:.0f} MB"),
    _Row("single durable append, wait", lambda at: at["append_ours"]["wall_us"], "{:.0f} us"),
    _Row("of it CPU", lambda at: at["append_ours"]["cpu_us"], "{:.0f} us"),
    _Row("one bare SQLite commit here, wait", lambda at: at["append_bare"]["wall_us"], "{:.0f} us"),
    _Row("of it CPU", lambda at: at["append_bare"]["cpu_us"], "{:.0f} us"),
    _Row(
        "append, times faster",
        lambda at: _fastest(at, "append", "wall_us") / at["append_ours"]["wall_us"],
        "{:.2f}x",
        least=1.3,
    ),
    _Row("64 writers in one process", lambda at: at["writers_ours"]["per_s"], "{:,.0f}/s"),
    _Row(
        "64 writers, times faster",
        lambda at: at["writers_ours"]["per_s"] / _fastest(at, "writers", "per_s", most=True),
        "{:.2f}x",
        least=8,
    ),
    _Row("root after an append, CPU", lambda at: at["head_ours"]["root_us"], "{:.0f} us", most=10),
    _Row("the same of a ledger in memory", lambda at: at["head_memory"]["root_us"], "{:.0f} us"),
    _Row("signed checkpoint after an append, CPU", lambda at: at["head_ours"]["signed_us"], "{:.0f} us", most=60),
    _Row("the same of a ledger in memory", lambda at: at["head_memory"]["signed_us"], "{:.0f} us"),
    _Row("the peer's root, CPU", lambda at: at["head_file"]["root_us"], "{:,.0f} us"),
    _Row("inclusion proof", lambda at: at["head_ours"]["proof_ms"], "{:.2f} ms", most=5),
    _Row("open", lambda at: at["open_ours"]["ms"], "{:.1f} ms", most=50),
    _Row("the peer's open, file", lambda at: at["open_file"]["ms"], "{:.0f} ms"),
    _Row("a run of one task, CPU", lambda at: at["runs_ours"]["submit_ms"], "{:.1f} ms"),
    _Row("status of a run, CPU", lambda at: at["runs_ours"]["status_ms"], "{:.2f} ms"),
    _Row("on disk, for an entry with its body", lambda at: at["disk"]["ours"], "{:,.0f} B"),
    _Row(
        "of it beyond 1.1 times the packed body",
        lambda at: at["disk"]["ours"] - 1.1 * at["disk"]["packed_body"],
        "{:,.0f} B",
        most=1024,
    ),
    _Row("the peer's on disk, file", lambda at: at["disk"]["peer-file"], "{:,.0f} B"),
)


def page(measured: Measured, *, machine: Sequence[str], command: str) -> Iterator[str]:
    """Yield the lines of the page."""
    sizes = sorted(measured)
    yield "# Benchmarks"
    yield ""
    yield "Made by a command that anyone can run, and not by hand:"
    yield ""
    yield f"    {command}"
    yield ""
    yield from (f"- {line}" for line in machine)
    yield ""
    yield "Each figure is the median of several processes started for it alone (at a million entries: of one), so"
    yield "nothing is warm that the operation did not warm itself; the operating system's file cache is. The peer,"
    yield "`forum-engine`, was measured beside it in the same run, with the same facts and bodies. Ratios are to the"
    yield "faster of its two storages."
    yield "**Bold** is a target that was missed."
    yield ""
    yield "| | " + " | ".join(f"{size:,} entries" for size in sizes) + " | target |"
    yield "|---|" + "---:|" * (len(sizes) + 1)
    for row in _ROWS:
        shown = [_shown(row, row.value(measured[size])) for size in sizes]
        target = "" if row.least is None else f">= {row.form.format(row.least)}"
        target = target if row.most is None else f"<= {row.form.format(row.most)}"
        yield f"| {row.name} | {' | '.join(shown)} | {target} |"
    yield ""
    yield from _missed(measured)
    yield "## Where the time of a full verification goes"
    yield ""
    yield "CPU for an entry with its body, each stage on its own; a level holds the stages of those below it."
    yield ""
    yield from _parts(measured, "parts_ours")
    yield "## Where the time of a signature goes"
    yield ""
    yield "CPU of each stage on its own, after a durable append."
    yield ""
    yield from _parts(measured, "parts_head")
    yield "The control loop beside others is measured in [benchmarks-loop](benchmarks-loop.md), the server in"
    yield "[benchmarks-serving](benchmarks-serving.md)."
    yield ""


def _missed(measured: Measured) -> Iterator[str]:
    """Yield a sentence for each target that was missed somewhere: by how much, and what the time is spent on."""
    lines: list[str] = []
    for row in _ROWS:
        values = [row.value(cells) for cells in measured.values()]
        worst = min(values) if row.least is not None else max(values)
        if any(_misses(row, value) for value in values):
            goal = row.least if row.least is not None else row.most
            wanted = f"{row.form.format(worst)} at worst, wanted {row.form.format(goal)}"
            lines.append(f"- **{row.name}**: {wanted}. {_REASONS.get(row.name, '')}".rstrip())
    if lines:
        yield "## What was missed, and why"
        yield ""
        yield from lines
        yield ""


def _parts(measured: Measured, cell: str) -> Iterator[str]:
    sizes = [size for size in sorted(measured) if cell in measured[size]]
    if not sizes:
        return
    yield "| stage | " + " | ".join(f"{size:,} entries" for size in sizes) + " |"
    yield "|---|" + "---:|" * len(sizes)
    for stage in measured[sizes[0]][cell]:
        shown = [f"{measured[size][cell][stage]:.1f} us" for size in sizes]
        yield f"| {stage} | {' | '.join(shown)} |"
    yield ""


def _shown(row: _Row, value: float) -> str:
    text = row.form.format(value)
    return f"**{text}**" if _misses(row, value) else text


def _misses(row: _Row, value: float) -> bool:
    return (row.least is not None and value < row.least) or (row.most is not None and value > row.most)
