"""A run as a report for people, in Markdown.

What models, people and commands wrote stands in code blocks longer than any run of backticks inside, so that it can
neither format the page nor pass for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from forum_mcp.engine.entry_summary import counted

if TYPE_CHECKING:
    from forum_mcp.engine.views import Review, RunView, TaskView

__all__ = ["report_of"]


def report_of(view: RunView) -> str:
    """Return the report of a run."""
    return "\n".join(_lines(view)) + "\n"


def _lines(view: RunView) -> Iterator[str]:
    ended = sum(task.state == "succeeded" for task in view.tasks)
    spent = view.spent
    yield f"# Run {view.run_id}: {view.state}"
    yield ""
    yield f"{ended} of {counted(len(view.tasks), 'task')} succeeded, {counted(spent.calls, 'call')}, {spent.seconds:.1f} s"
    if spent.tokens is not None:
        yield f"{spent.tokens} tokens" + (f", {spent.cost_usd:.4f} US dollars" if spent.cost_usd is not None else "")
    if view.error is not None:
        yield from _block("Error", view.error)
    if view.request is not None:
        yield from _block("Request", view.request)
    if view.answer is not None:
        yield from _block("Answer", view.answer)
    if view.review is not None:
        yield from _review(view.review)
    for given in view.context:
        found = f"{given.chars} characters, entry {given.entry}" if given.error is None else f"not read, {given.error}"
        yield f"\n**Context {_inline(given.name)}**: {found}"
    for name, ids in (("unvalidated", view.unvalidated), ("failed", view.failed), ("skipped", view.skipped)):
        if ids:
            yield f"\n**{len(ids)} {name}**: {', '.join(map(_inline, ids))}"
    if view.tasks:
        yield "\n## Tasks"
        for task in view.tasks:
            yield from _task(task)
    first, last = view.entries
    yield "\n## Record"
    yield f"\nEntries {first} to {last}. `forum-mcp ledger trace {last}` tells what led to the last one,"
    yield "`forum-mcp ledger verify` whether the record is whole; keep the checkpoint as a proof of its age."
    if view.checkpoint is not None:
        yield from _block("Checkpoint", view.checkpoint.rstrip("\n"))


def _review(found: Review) -> Iterator[str]:
    if found.intent is not None:
        yield f"\n**Intent**: {found.intent}"
        if found.missing:
            yield f"; not in the answer: {', '.join(map(_inline, found.missing))}"
        if found.intent_reason:
            yield from _block(None, found.intent_reason)
    if found.delivery is not None:
        shorter = "; a shorter answer stands in its place" if found.revised else ""
        yield f"\n**Delivery**: {', '.join(found.delivery) or 'nothing found'}{shorter}"
    if found.verified is not None:
        yield f"\n**Verification**: {found.verified}"
        if found.verified_reason:
            yield from _block(None, found.verified_reason)


def _task(task: TaskView) -> Iterator[str]:
    yield f"\n### {_inline(task.id)}: {task.state}"
    facts = [f"lane {_inline(task.lane)}", f"wave {task.wave}", counted(task.attempts, "attempt")]
    if task.depends_on:
        facts.append(f"after {', '.join(map(_inline, task.depends_on))}")
    if task.served is not None or task.executor is not None:
        facts.append(f"by {_inline(task.served or task.executor or '')}")
    yield "\n" + ", ".join(facts) + (f"; verdict {task.verdict}" if task.verdict is not None else "")
    yield from _block(None, task.instruction)
    for name, text in (("Reason", task.reason), ("Error", task.error)):
        if text is not None:
            yield from _block(name, text)


def _block(name: str | None, text: str) -> Iterator[str]:
    if name is not None:
        yield f"\n**{name}**"
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"\n{fence}text"
    yield text
    yield fence


def _inline(text: str) -> str:
    """Return a short text that formats nothing."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"
