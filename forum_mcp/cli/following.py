"""Following a run from the outside: what its new entries say until it rests, and how it came out."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from forum_mcp.cli.graphs import task_lines
from forum_mcp.cli.terminal import coloured, emit, emit_json, is_live, note, one_line, safe
from forum_mcp.engine.entry_summary import counted, summary
from forum_mcp.engine.views import EntryView, Review, RunView

if TYPE_CHECKING:
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = [
    "EXIT_WAITING",
    "board",
    "entries_since",
    "entry_line",
    "exit_code",
    "follow",
    "next_line",
    "print_run",
    "show_detached",
    "show_result",
]

EXIT_WAITING: Final = 4
_GOES_ON: Final = frozenset({"pending", "running"})
_POLL_S: Final = 0.2
_PAGE: Final = 100
_FAILURES: Final = 5


async def follow(
    forum: "Orchestrator", view: RunView, *, wait_s: float | None, quiet: bool = False, held: bool = True
) -> RunView:
    """Return the run once it ended or needs its caller, at the latest after ``wait_s`` seconds (None: no limit).

    Each entry that arrives meanwhile is a line on stderr, unless ``quiet``; on a terminal the tasks and what is spent
    stand below them until the run rests. Who is interrupted is told how to go on; ``held``: this process holds the run.
    """
    from anyio import get_cancelled_exc_class

    try:
        return await _follow(forum, view, wait_s=wait_s, quiet=quiet)
    except get_cancelled_exc_class():
        if held:
            note(f"interrupted; go on with it, with the same models: forum-mcp run resume {view.run_id}")
        else:
            note(f"no longer watched; how it stands: forum-mcp run show {view.run_id}")
        raise


async def _follow(forum: "Orchestrator", view: RunView, *, wait_s: float | None, quiet: bool) -> RunView:
    seen = -1
    waited = 0.0
    with board(quiet=quiet) as tell:
        while True:
            if not quiet:
                for entry in entries_since(forum, view.run_id, seen):
                    tell(entry_line(entry))
                    seen = entry.seq
                tell(view)
            if view.state not in _GOES_ON or (wait_s is not None and waited >= wait_s):
                return view
            step = _POLL_S if wait_s is None else min(_POLL_S, wait_s - waited)
            view = await forum.run(view.run_id, wait_s=step)
            waited += step


@contextmanager
def board(*, quiet: bool) -> Generator[Callable[[str | RunView], None]]:
    """Give what tells a person of lines, and of how a run stands: plain lines on stderr, on a terminal a live view."""
    if quiet or not is_live(sys.stderr):
        yield lambda told: note(told) if isinstance(told, str) else None
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def tell(told: str | RunView) -> None:
            if isinstance(told, str):
                console.print(Text(safe(told)))
                return
            lines = ["", *task_lines(told, coloured), next(print_run(told))]
            live.update(Text.from_ansi("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True)

        yield tell


def entries_since(forum: "Orchestrator", run_id: str, seen: int) -> Iterator[EntryView]:
    """Yield the run's entries after ``seen``, oldest first."""
    pages: list[list[EntryView]] = []
    before: int | None = None
    while True:
        page = forum.ledger.show(run_id=run_id, limit=_PAGE, before=before)
        pages.append([entry for entry in page.entries if entry.seq > seen])
        before = page.before
        if before is None or len(pages[-1]) < len(page.entries):
            break
    for entries in reversed(pages):
        yield from entries


def entry_line(entry: EntryView) -> str:
    """Return one line that says what an entry records: seq, the run's active time, kind and a summary."""
    t_ms = entry.data.get("t_ms")
    time = f"{t_ms / 1000:8.2f}s" if isinstance(t_ms, int) else " " * 9
    return f"{entry.seq:>6} {time}  {one_line(entry.kind, 40):<18} {summary(entry.kind, entry.data)}".rstrip()


def exit_code(view: RunView) -> int:
    """Return 0 for a run that succeeded, 1 for one that failed or was cancelled, 4 for one that waits."""
    if view.state == "succeeded":
        return 0
    return 1 if view.state in ("failed", "cancelled") else EXIT_WAITING


def print_run(view: RunView) -> Iterator[str]:
    """Yield the lines that tell a person how a run stands, without its answer."""
    ended = sum(task.state == "succeeded" for task in view.tasks)
    spent = [counted(view.spent.calls, "call"), f"{view.spent.seconds:.1f} s"]
    if view.spent.tokens is not None:
        spent.append(f"{view.spent.tokens} tokens")
    if view.spent.cost_usd is not None:
        spent.append(f"${view.spent.cost_usd:.4f}")
    yield f"run {view.run_id} {view.state}: {ended} of {counted(len(view.tasks), 'task')} succeeded, {', '.join(spent)}"
    if view.error is not None:
        yield f"error: {view.error}"
    for word, names in (("failed", view.failed), ("skipped", view.skipped), ("not validated", view.unvalidated)):
        if names:
            yield f"{word}: {', '.join(names)}"
        if word == "failed":
            yield from _failures(view)
    for given in view.context:
        yield f"context {given.name}: {given.error or f'{given.chars} characters, entry {given.entry}'}"
    if view.review is not None:
        yield from _review(view.review)
    yield f"entries {' to '.join(str(seq) for seq in view.entries)} of the ledger"


def next_line(view: RunView, *, held: bool) -> str | None:
    """Return what a person does next about a run, None where it is over; ``held``: this process lets go of it."""
    if view.next is None:
        return None
    if view.state == "waiting" and view.gates:
        return "it waits for approval: forum-mcp gate list"
    if view.next.tool == "work":
        return "it waits for work that the calling assistant does over MCP, by the tool work"
    if view.next.tool == "submit":
        return f"start it, with the same models: forum-mcp submit --plan {view.run_id}"
    if view.state == "running" and not held:
        return f"follow it: forum-mcp run show {view.run_id} --follow"
    return f"go on with it, with the same models: forum-mcp run resume {view.run_id}"


def _failures(view: RunView) -> Iterator[str]:
    """Yield why the first failed tasks failed."""
    for task in [task for task in view.tasks if task.state == "failed"][:_FAILURES]:
        yield f"  {one_line(task.id)}: " + one_line("; ".join(filter(None, (task.error, task.reason))), 300)


def _review(found: Review) -> Iterator[str]:
    """Yield what the steps after the answer found."""
    if found.intent is not None:
        lacks = f"; not in it: {one_line(', '.join(found.missing), 300)}" if found.missing else ""
        yield f"intent: {found.intent}{lacks}"
    if found.delivery is not None:
        shorter = "; a shorter answer stands in its place" if found.revised else ""
        yield f"delivery: {', '.join(found.delivery) or 'nothing found'}{shorter}"
    if found.verified is not None:
        yield f"verification: {found.verified}"
    for words in (found.intent_reason, found.verified_reason):
        if words:
            yield f"  {one_line(words, 300)}"


def show_detached(view: RunView, *, waited: bool, as_json: bool) -> None:
    """Print where a run is that a daemon holds, and exit; return where it is over already."""
    if exit_code(view) != EXIT_WAITING:
        return
    if as_json:
        emit_json(view.to_dict())
    else:
        emit(view.run_id)
        note(f"the daemon holds it; follow it: forum-mcp run show {view.run_id} --follow")
    raise typer.Exit(EXIT_WAITING if waited else 0)


def show_result(view: RunView, *, as_json: bool) -> None:
    """Print how a run came out (the answer on stdout, the rest on stderr) and exit with its code."""
    if as_json:
        emit_json(view.to_dict())
    else:
        note("\n".join(print_run(view)))
        if view.answer is not None:
            emit(view.answer)
        if (following := next_line(view, held=True)) is not None:
            note(following)
    raise typer.Exit(exit_code(view))
