"""The tour that ``forum-mcp demo`` gives: a real run and its record, offline, in seconds.

The engine, the ledger and the verification are the real ones; only the model is a script (configs/demo.json). Every
figure printed is read from the run.
"""

import json
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

import anyio
import msgspec

from forum_mcp.cli.following import entry_line
from forum_mcp.cli.tampering import change_body, copy_of, drop_tail
from forum_mcp.cli.terminal import columns, emit
from forum_mcp.cli.verdict import findings
from forum_mcp.engine.views import EntryView, RouteView, RunView, TraceView, VerifyView

__all__ = ["PARALLEL", "ROUTES", "tour"]

PARALLEL: Final = 2
ROUTES: Final = (
    "build the database schema and the auth endpoint",
    "build the react component and css for the page",
    "write the readme docs and the guide",
    "summon a unicorn",
)


class _Demo(msgspec.Struct):
    request: str
    plan: dict[str, object]
    script: msgspec.Raw


class _Ran(msgspec.Struct):
    """What the run left behind."""

    routes: list[RouteView]
    run: RunView
    entries: list[EntryView]
    trace: TraceView
    checkpoint: str


def tour() -> bool:
    """Print the tour; return whether everything came out as it should."""
    with tempfile.TemporaryDirectory(prefix="forum-demo-") as directory:
        ledger = Path(directory) / "ledger.db"
        ran = anyio.run(_run, ledger)
        _show_routes(ran.routes)
        _show_run(ran)
        as_told = [_show_trace(ran.trace), _show_clean(ledger, ran), _show_body(ledger, ran), _show_tail(ledger, ran)]
    told = all(as_told) and ran.run.state == "succeeded"
    emit("\nEverything came out as told." if told else "\nSomething did not come out as told: please report this.")
    return told


async def _run(ledger: Path) -> _Ran:
    from forum_mcp.configs.settings import RoleSettings, Settings
    from forum_mcp.engine.orchestrator import Orchestrator
    from forum_mcp.executors.scripted import ScriptedExecutor, read_script

    demo = msgspec.json.decode(files("forum_mcp.configs").joinpath("demo.json").read_bytes(), type=_Demo)
    settings = Settings(
        ledger=str(ledger), roles=RoleSettings(worker=["script"], validator=["script"]), max_parallel=PARALLEL
    )
    script = ScriptedExecutor(read_script(bytes(demo.script)), model="demo-1", source="configs/demo.json")
    async with Orchestrator.open(settings, executors={"script": script}) as forum:
        routes = [forum.route(request) for request in ROUTES]
        run = await forum.submit(demo.request, plan=demo.plan, wait_s=60)
        entries = forum.ledger.show(run_id=run.run_id, limit=1000).entries
        verdict = next(entry for entry in entries if entry.kind == "task.judged")
        trace = forum.ledger.trace(verdict.seq)
        return _Ran(routes, run, entries, trace, forum.ledger.checkpoint())


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


def _show_run(ran: _Ran) -> None:
    run = ran.run
    _title(f"2. A run: {len(run.tasks)} tasks, at most {PARALLEL} calls at a time; the record as it grew")
    for entry in ran.entries:
        print(entry_line(entry))
    emit(f"\n  waves of the plan: {' | '.join(' '.join(wave) for wave in run.waves)}")
    emit(f"  most calls at one time: {_most_at_once(ran.entries)}")
    verdicts = ", ".join(f"{task.id} {task.verdict}" for task in run.tasks)
    emit(f"  verdicts: {verdicts}")
    emit(f"  run {run.state}: {run.spent.calls} calls, {run.spent.seconds:.2f} s; its answer begins:")
    emit("  | " + "\n  | ".join((run.answer or "").splitlines()[:4]))


def _most_at_once(entries: Sequence[EntryView]) -> int:
    """Return the largest number of calls that were open at the same time, read from the record."""
    open_now = most = 0
    for entry in entries:
        open_now += {"call.started": 1, "call.finished": -1}.get(entry.kind, 0)
        most = max(most, open_now)
    return most


def _show_trace(trace: TraceView) -> bool:
    _title("3. Why: from the first verdict back to the request, newest first")
    for line in trace.lines:
        emit(f"{line.seq:>6}  {line.kind:<18} {line.summary}")
    kinds = {line.kind for line in trace.lines}
    told = trace.reaches_request and kinds >= {"run.started", "plan.accepted", "task.started", "call.finished"}
    emit(f"  reaches its request: {'yes' if told else 'no'}")
    return told


def _verify(ledger: Path, checkpoint: str | None = None, level: int = 4) -> VerifyView:
    from forum_mcp.engine.verifying import verify_path

    return verify_path(ledger, level=level, checkpoint=checkpoint)


def _say(what: str, view: VerifyView) -> None:
    emit(f"  {what}: {'clean' if view.clean else f'{view.findings_total} findings'}")
    for line in findings(view.findings[:5]):
        emit("  " + line)


def _show_clean(ledger: Path, ran: _Ran) -> bool:
    _title("4. The record, verified: everything recomputed from the file")
    view = _verify(ledger, ran.checkpoint)
    _say(f"{view.size} entries, chain, bodies, checkpoints and decisions", view)
    emit(f"  root {view.root}")
    emit("  the checkpoint to keep outside (your assistant's transcript does):")
    emit("  | " + "\n  | ".join(ran.checkpoint.splitlines()))
    return view.clean


def _show_body(ledger: Path, ran: _Ran) -> bool:
    outputs = [entry for entry in ran.entries if entry.kind == "task.finished" and "output" in entry.bodies]
    first = outputs[0]
    commit = str(first.bodies["output"]["commit"])
    _title(f"5. On a copy, one byte of the result of task {json.dumps(first.data.get('task'))} is changed")
    copy = copy_of(ledger, "body-changed.db")
    change_body(copy, commit)
    chain, bodies = _verify(copy, level=1), _verify(copy, level=2)
    _say("chain (level 1)", chain)
    _say("chain and bodies (level 2)", bodies)
    return chain.clean and any(finding.body == commit for finding in bodies.findings)


def _show_tail(ledger: Path, ran: _Ran) -> bool:
    size = next(entry.seq for entry in reversed(ran.entries) if entry.kind == "task.judged")
    _title(f"6. On a copy, everything from entry {size} on is dropped, and no trace of it is left")
    copy = copy_of(ledger, "tail-dropped.db")
    drop_tail(copy, size)
    alone, kept = _verify(copy, level=3), _verify(copy, ran.checkpoint, level=3)
    _say("by itself it looks whole", alone)
    for line in alone.not_protected:
        emit(f"    not protected: {line}")
    _say("against the kept checkpoint", kept)
    return alone.clean and not kept.clean
