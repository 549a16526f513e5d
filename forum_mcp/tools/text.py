"""The text part of a result: one line for a person, then the same facts as the structured part, in a compact form.

Text that a model, a person or a command wrote is data, not instructions: short pieces stand as JSON strings (one line,
quoted), long ones between two lines that carry a token their author could not foresee.
"""

import json
from collections.abc import Iterator
from functools import singledispatch
from secrets import token_hex

from forum_mcp.engine.entry_summary import counted
from forum_mcp.engine.views import (
    DescentView,
    EntryView,
    Next,
    ReplayView,
    RouteView,
    RunsView,
    RunView,
    ShowView,
    TaskView,
    TraceLine,
    TraceView,
    VerifyView,
    View,
    WorkItem,
    WorkView,
)
from forum_mcp.roles.fence import fence

__all__ = ["text_of"]


def text_of(view: View) -> str:
    """Return the text of a view: its first line says what came of the call."""
    return "\n".join(_lines(view))


@singledispatch
def _lines(view: View) -> Iterator[str]:
    yield json.dumps(view.to_dict(), ensure_ascii=False)


@_lines.register
def _(view: RouteView) -> Iterator[str]:
    if view.lane is None:
        yield f"no lane is sure; it would go to the fallback lane {view.chosen}"
    else:
        yield f"lane {view.chosen}, confidence {view.confidence}"
    facts = {"lane": view.lane, "chosen": view.chosen, "category": view.category, "tier": view.tier}
    yield _facts(**facts, confidence=view.confidence, margin=view.margin)
    yield from (f"- {c.lane} score {c.score} terms {_json(c.terms)}" for c in view.candidates)


@_lines.register
def _(view: RunView) -> Iterator[str]:
    ended = sum(task.state == "succeeded" for task in view.tasks)
    yield f"run {view.state}: {ended} of {counted(len(view.tasks), 'task')} succeeded, {counted(view.spent.calls, 'call')}"
    yield f"run_id: {view.run_id}"
    yield _facts(
        state=view.state,
        mode=view.mode,
        lane=view.lane,
        route_by=view.route_by,
        plan_by=view.plan_by,
        entries=view.entries,
    )
    yield "spent: " + _facts(**view.spent.to_dict())
    if view.error is not None:
        yield f"error: {_json(view.error)}"
    if view.request is not None:
        yield from _fenced("request", view.request)
    if view.tasks:
        yield f"tasks, in waves {_json(view.waves)}:"
        for task in view.tasks:
            yield from _task(task)
    for name, ids in (("unvalidated", view.unvalidated), ("failed", view.failed), ("skipped", view.skipped)):
        if ids:
            yield f"{name}: {_json(ids)}"
    for given in view.context:
        yield "context: " + _facts(**given.to_dict())
    if view.review is not None:
        yield "review: " + _facts(**view.review.to_dict())
    if view.answer is not None:
        yield from _fenced("answer", view.answer)
    yield from _tail(view.next, view.checkpoint)


def _task(task: TaskView) -> Iterator[str]:
    facts = {"state": task.state, "wave": task.wave, "attempts": task.attempts, "verdict": task.verdict}
    after = f" after {_json(task.depends_on)}" if task.depends_on else ""
    yield f"- {_json(task.id)} [{task.lane}]{after} " + _facts(**facts, executor=task.executor, served=task.served)
    yield f"  instruction: {_json(task.instruction)}"
    for name, value in (("error", task.error), ("reason", task.reason)):
        if value is not None:
            yield f"  {name}: {_json(value)}"


@_lines.register
def _(view: RunsView) -> Iterator[str]:
    yield f"{counted(len(view.runs), 'run')}, newest first" if view.runs else "no runs"
    for run in view.runs:
        yield f"- {run.run_id} {run.state} " + _facts(
            started_us=run.started_us, entries=run.entries, request=run.request
        )
    if view.before is not None:
        yield f"older: call run with before={view.before}"


@_lines.register
def _(view: WorkView) -> Iterator[str]:
    yield f"{counted(len(view.items), 'item')} of work for you" if view.items else "no work handed out"
    for item in view.items:
        yield from _item(item)
    yield from (f"run {run_id}: {state}" for run_id, state in view.runs.items())
    yield from _tail(view.next, view.checkpoint)


def _item(item: WorkItem) -> Iterator[str]:
    facts = {"run_id": item.run_id, "purpose": item.purpose, "task": item.task, "lane": item.lane}
    yield f"- item {item.item} " + _facts(**facts, lease_seconds=item.lease_seconds)
    yield from _fenced("instructions", item.instructions)
    yield from _fenced("prompt", item.prompt)
    if item.schema is not None:
        yield f"  the result is JSON of this schema: {_json(item.schema)}"


@_lines.register
def _(view: VerifyView) -> Iterator[str]:
    if view.clean:
        yield f"clean: {view.size} entries verified at level {view.level}"
    else:
        yield f"NOT clean: {view.findings_total} findings in {view.size} entries at level {view.level}"
    yield _facts(
        clean=view.clean, ledger=view.ledger, size=view.size, root=view.root, findings_total=view.findings_total
    )
    for finding in view.findings:
        facts = {"seq": finding.seq, "body": finding.body, "expected": finding.expected, "found": finding.found}
        yield f"- {finding.code} " + _facts(**facts)
    yield "counts: " + _facts(**view.counts)
    yield from (f"holds: {line}" for line in view.holds)
    yield from (f"not protected: {line}" for line in view.not_protected)
    yield from _tail(None, view.checkpoint)


@_lines.register
def _(view: ShowView) -> Iterator[str]:
    yield f"{len(view.entries)} of {view.size} entries, newest last"
    for entry in view.entries:
        yield from _entry(entry)
    if view.before is not None:
        yield f"older: the same call with before={view.before}"
    yield from _tail(None, view.checkpoint)


def _entry(entry: EntryView) -> Iterator[str]:
    yield f"- {entry.seq} {entry.kind} " + _facts(
        actor=entry.actor, at=entry.at, run=entry.run, parents=entry.parents, leaf=entry.leaf
    )
    if entry.data:
        yield f"  data: {_json(entry.data)}"
    for name, body in entry.bodies.items():
        short = {key: value for key, value in body.items() if key != "text"}
        yield f"  body {name}: {_json(short)}"
        if isinstance(text := body.get("text"), str):
            yield from _fenced(name, text)


@_lines.register
def _(view: TraceView) -> Iterator[str]:
    end = "reaches its request" if view.reaches_request else "does not reach a request"
    yield f"entry {view.seq} {end}: {len(view.lines)} entries{', cut' if view.more else ''}"
    yield _facts(seq=view.seq, reaches_request=view.reaches_request, more=view.more)
    yield from _traced(view.lines)


@_lines.register
def _(view: DescentView) -> Iterator[str]:
    yield f"entry {view.seq} led to {len(view.lines) - 1} entries{', cut' if view.more else ''}"
    yield _facts(seq=view.seq, more=view.more)
    yield from _traced(view.lines)


def _traced(lines: list[TraceLine]) -> Iterator[str]:
    for line in lines:
        facts = {"actor": line.actor, "depth": line.depth, "parents": line.parents, "summary": line.summary}
        yield f"- {line.seq} {line.kind} " + _facts(**facts)


@_lines.register
def _(view: ReplayView) -> Iterator[str]:
    yield f"state after {view.size} entries: {counted(len(view.runs), 'run')}; nothing was run"
    yield _facts(size=view.size, root=view.root)
    for run in view.runs:
        yield from _lines(run)


def _tail(following: Next | None, checkpoint: str | None) -> Iterator[str]:
    if following is not None:
        yield f"next: call {following.tool} with {_json(following.arguments)}"
    if checkpoint is not None:
        yield "checkpoint (keep it; ledger_verify takes it back):"
        yield checkpoint.rstrip("\n")


def _fenced(name: str, text: str) -> Iterator[str]:
    yield f"{name} (between the marks, as its author wrote it):"
    yield fence(name, text, token_hex(8))


def _facts(**facts: object) -> str:
    return " ".join(f"{name}={_json(value)}" for name, value in facts.items() if value is not None)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
