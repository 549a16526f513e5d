"""The tour that ``forum-mcp demo`` gives: a real run and its record, offline, in seconds.

The engine, the processes, the ledger and the verification are the real ones; only the models recite
(configs/demo.json). Every figure printed is read from the run.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import anyio
import msgspec

from forum_mcp.cli import tampering
from forum_mcp.cli.following import entry_line
from forum_mcp.cli.stage import PARALLEL, Play, follow_entries, open_forum, read_play
from forum_mcp.cli.terminal import columns, emit, painted, safe
from forum_mcp.cli.verdict import findings
from forum_mcp.engine.views import EntryView, RouteView, RunView, TraceView, VerifyView

__all__ = ["ROUTES", "tour"]

ROUTES: Final = (
    "build the database schema and the auth endpoint",
    "build the react component and css for the page",
    "write the readme docs and the guide",
    "summon a unicorn",
)
_LAST_TASK: Final = "readme"


class _Ran(msgspec.Struct):
    """What the run left behind; ``entries`` are all of it, oldest first."""

    run: RunView
    entries: list[EntryView]
    trace: TraceView
    checkpoint: str

    def entry(self, kind: str, **facts: object) -> EntryView:
        """Return the first entry of a kind with these facts."""
        return next(e for e in self.entries if e.kind == kind and facts.items() <= e.data.items())


def tour() -> bool:
    """Print the tour; return whether everything came out as it should."""
    play = read_play()
    with tempfile.TemporaryDirectory(prefix="forum-demo-") as directory:
        ledger = Path(directory) / "ledger.db"
        _show_routes(anyio.run(_routes, play))
        if not _begin_and_kill(ledger):
            emit("\nThe process ended before it could be killed: please report this.")
            return False
        ran = anyio.run(_resume, ledger, play)
        as_told = [
            _show_escalation(ran),
            _show_outcome(ran),
            _show_trace(ran.trace),
            _show_clean(ledger, ran),
            _show_tampering(ledger, ran),
        ]
    told = all(as_told)
    emit("\nEverything came out as told." if told else "\nSomething did not come out as told: please report this.")
    return told


async def _routes(play: Play) -> list[RouteView]:
    async with open_forum(Path(":memory:"), play) as forum:
        return [forum.route(request) for request in ROUTES]


def _title(text: str) -> None:
    emit(f"\n{text}\n{'-' * len(text)}")


def _show_routes(routes: Sequence[RouteView]) -> None:
    _title("1. Where requests go: by rules, with the words that decided")
    rows = [
        (
            request,
            view.lane or f"undecided, goes to {view.chosen}",
            f"confidence {view.confidence:.2f}",
            ", ".join(view.candidates[0].terms) if view.lane and view.candidates else "",
        )
        for request, view in zip(ROUTES, routes, strict=True)
    ]
    for line in columns(rows):
        print("  " + line)


def _begin_and_kill(ledger: Path) -> bool:
    """Run the play in a process of its own and kill it in the middle of its last task; return whether it was."""
    _title(f"2. A run in a process of its own: 4 tasks, at most {PARALLEL} calls at a time; the record as it grows")
    command = [sys.executable, "-m", "forum_mcp.cli.stage", str(ledger)]
    in_last = False
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8") as child:
        assert child.stdout is not None
        for line in child.stdout:
            print(line.rstrip("\n"))
            in_last = in_last or f"task {_LAST_TASK} started" in line
            if in_last and "call.started" in line:
                child.kill()
                break
    emit(f"\n  kill -9 {child.pid}: that process is gone, in the middle of task {json.dumps(_LAST_TASK)}")
    return in_last and child.returncode != 0


async def _resume(ledger: Path, play: Play) -> _Ran:
    _title("3. Another process goes on from the record; what was finished is not done again")
    async with open_forum(ledger, play) as forum:
        (found,) = forum.runs(limit=1).runs
        view = await forum.run(found.run_id)
        emit(f"  the run is {view.state} after entry {view.entries[-1]}")
        await forum.resume(found.run_id, wait_s=0)
        run = await follow_entries(forum, view, lambda entry: print(entry_line(entry)))
        entries = forum.ledger.show(run_id=run.run_id, limit=1000).entries
        verdicts = [entry.seq for entry in entries if entry.kind == "task.judged" and entry.data.get("task") == "page"]
        return _Ran(run, entries, forum.ledger.trace(verdicts[-1]), forum.ledger.checkpoint())


def _show_escalation(ran: _Ran) -> bool:
    _title("4. A result that did not pass went up the ladder")
    of_page = [entry for entry in ran.entries if entry.data.get("task") == "page"]
    for entry in of_page:
        print(entry_line(entry))
    rungs = [entry.data.get("rung") for entry in of_page if entry.kind == "call.started"]
    verdicts = [entry.data.get("verdict") for entry in of_page if entry.kind == "task.judged"]
    emit("  the small model's css had no grid, which its task asks for; the strong one's has")
    return rungs[:1] == [0] and 1 in rungs and verdicts == ["failed", "passed"]


def _show_outcome(ran: _Ran) -> bool:
    run = ran.run
    _title("5. What came of it")
    emit(f"  waves of the plan: {' | '.join(' '.join(wave) for wave in run.waves)}")
    emit(f"  most calls at one time: {_most_at_once(ran.entries)}")
    emit(f"  verdicts: {', '.join(f'{task.id} {task.verdict}' for task in run.tasks)}")
    emit(f"  run {run.state}: {run.spent.calls} calls, {run.spent.seconds:.2f} s; its answer begins:")
    emit("  | " + "\n  | ".join((run.answer or "").splitlines()[:4]))
    return run.state == "succeeded"


def _most_at_once(entries: Sequence[EntryView]) -> int:
    """Return the largest number of calls that were open at the same time, read from the record."""
    open_now = most = 0
    for entry in entries:
        if entry.kind == "run.resumed":
            open_now = 0  # what was open went down with its process
        open_now += {"call.started": 1, "call.finished": -1}.get(entry.kind, 0)
        most = max(most, open_now)
    return most


def _show_trace(trace: TraceView) -> bool:
    _title("6. Why: from the last verdict on that css back to the request, newest first")
    for line in trace.lines:
        emit(f"{line.seq:>6}  {line.kind:<18} {line.summary}")
    kinds = {line.kind for line in trace.lines}
    told = trace.reaches_request and kinds >= {"run.started", "plan.accepted", "task.escalated", "call.finished"}
    emit(f"  reaches its request: {'yes' if told else 'no'}")
    return told


def _verify(ledger: Path, checkpoint: str | None = None, level: int = 4) -> VerifyView:
    from forum_mcp.engine.verifying import verify_path

    return verify_path(ledger, level=level, checkpoint=checkpoint)


def _show_clean(ledger: Path, ran: _Ran) -> bool:
    _title("7. The record, verified: everything recomputed from the file")
    view = _verify(ledger, ran.checkpoint)
    emit(f"  {view.size} entries, chain, bodies, checkpoints and decisions: {_count(view)}")
    emit(f"  root {view.root}")
    emit("  the checkpoint to keep outside (your assistant's transcript does):")
    emit("  | " + "\n  | ".join(ran.checkpoint.splitlines()))
    return view.clean


def _count(view: VerifyView) -> str:
    return "clean" if view.clean else f"{view.findings_total} finding{'s' if view.findings_total > 1 else ''}"


def _show_tampering(ledger: Path, ran: _Ran) -> bool:
    _title("8. Six copies of it, each tampered with in another way")
    result = str(ran.entry("call.finished").bodies["reply"]["commit"])
    failed = ran.entry("task.judged", verdict="failed").seq
    last = ran.entry("task.judged", task=_LAST_TASK).seq
    turned = ('"verdict":"failed"', '"verdict":"passed"')
    ways: list[tuple[str, str, int, Callable[[Path], None]]] = [
        ("one byte of a result is changed", "body-mismatch", 2, lambda copy: tampering.change_body(copy, result)),
        ("a result is deleted", "body-missing", 2, lambda copy: tampering.delete_body(copy, result)),
        (
            f"in entry {failed}, the verdict is turned from failed to passed",
            "prev",
            1,
            lambda copy: tampering.edit_entry(copy, failed, *turned),
        ),
        (f"entry {failed} is taken out", "seq", 1, lambda copy: tampering.remove_entry(copy, failed)),
        (
            "that verdict is turned, and every later link and hash made anew",
            "checkpoint-root",
            3,
            lambda copy: tampering.rewrite_from(copy, failed, *turned),
        ),
        (
            f"everything from entry {last} on is dropped, and no trace of it is left",
            "checkpoint-beyond-tail",
            3,
            lambda copy: tampering.drop_tail(copy, last),
        ),
    ]
    found = [_show_way(ledger, ran, letter, *way) for letter, way in zip("abcdef", ways, strict=True)]
    return all(found)


def _show_way(
    ledger: Path, ran: _Ran, letter: str, what: str, code: str, level: int, tamper: Callable[[Path], None]
) -> bool:
    """Tamper with a copy, verify the levels below the one that finds it and that one; return whether they agree."""
    copy = tampering.copy_of(ledger, f"copy-{letter}.db")
    tamper(copy)
    emit(f"\n  {letter}. {what}")
    below = _verify(copy, level=level - 1) if level > 1 else None
    if below is not None:
        emit(f"     verify --level {level - 1}: {_count(below)}")
    alone = _verify(copy, level=level)
    found = alone
    if code == "checkpoint-beyond-tail":
        emit(f"     verify --level {level}: {_count(alone)}: by itself it looks whole")
        found = _verify(copy, ran.checkpoint, level)
        emit(f"     verify --level {level} --since the kept checkpoint: {_count(found)}")
    else:
        emit(f"     verify --level {level}: {_count(found)}")
    hit = [finding for finding in found.findings if finding.code == code]
    for line in findings(hit[:1]):
        print("     " + painted(safe(line.strip()), "red"))
    return bool(hit) and (below is None or below.clean) and (found is alone or alone.clean)
