"""``forum-mcp run``: list, show, cancel, resume and fork runs."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast

import typer

from forum_mcp.cli.following import entries_since, exit_code, follow, next_line, print_run, show_detached, show_result
from forum_mcp.cli.given import heard
from forum_mcp.cli.graphs import mermaid, task_lines, timeline
from forum_mcp.cli.in_forum import in_forum
from forum_mcp.cli.lazy_group import Group
from forum_mcp.cli.options import AsJson, LedgerPath, Quiet, Wait, ledger_of, root_flags, with_flags
from forum_mcp.cli.terminal import columns, emit, emit_json, note, painted
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.names import STEPS
from forum_mcp.engine.views import EntryView, RunsView, RunView
from forum_mcp.errors import RequestRefused

if TYPE_CHECKING:
    from forum_mcp.engine.options import RunOptions
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["app", "register"]

app = typer.Typer(
    cls=Group, help="List, show, cancel, resume and fork runs.", no_args_is_help=True, rich_markup_mode=None
)

_RunId = Annotated[
    str,
    typer.Argument(metavar="RUN_ID", help="The run's id, or its beginning (6 hex or more).", show_default=False),
]


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="run")


def _flags(ctx: typer.Context, ledger: str | None) -> Flags:
    """Return flags that name a ledger which is there."""
    return Flags(ledger=ledger_of(ctx, ledger)).over(root_flags(ctx))


@app.command("list")
def list_runs(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most N runs.")] = 20,
    before: Annotated[
        int | None,
        typer.Option("--before", metavar="SEQ", help="Only runs that began before this entry.", show_default=False),
    ] = None,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """List runs, newest first."""
    import anyio

    view = anyio.run(_list, _flags(ctx, ledger), limit, before)
    if as_json:
        emit_json(view.to_dict())
        return
    for line in columns((row.run_id, row.state, _time(row.started_us), row.request) for row in view.runs):
        print(line)
    if view.before is not None:
        note(f"older runs: forum-mcp run list --before {view.before}")


async def _list(flags: Flags, limit: int, before: int | None) -> RunsView:
    from forum_mcp.configs.load import load
    from forum_mcp.engine.orchestrator import Orchestrator

    async with Orchestrator.open(load(flags)) as forum:
        return forum.runs(limit=limit, before=before)


@app.command("show")
def show(
    ctx: typer.Context,
    run_id: _RunId,
    following: Annotated[bool, typer.Option("--follow", help="First watch it until it rests.")] = False,
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="Print its plan as a Mermaid flowchart.")] = False,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Show a run as its record tells it: tasks as a tree, calls in time, verdicts, spend, answer."""
    if as_mermaid and as_json:
        raise RequestRefused("--mermaid and --json are given together; each is a form of its own; give one")

    async def work(forum: "Orchestrator") -> tuple[RunView, list[EntryView]]:
        view = await forum.run(run_id)
        if following:
            view = await follow(forum, view, wait_s=None, held=False)
        return view, list(entries_since(forum, view.run_id, -1))

    view, entries = in_forum(_flags(ctx, ledger), work)
    if as_json:
        emit_json(view.to_dict())
    elif as_mermaid:
        for line in mermaid(view):
            emit(line)
    else:
        _tell(view, entries)


def _tell(view: RunView, entries: list[EntryView]) -> None:
    if view.request is not None:
        emit(f"request: {view.request}")
    for line in (*print_run(view), next_line(view, held=False)):
        if line is not None:
            emit(line)
    for title, lines in (("tasks", task_lines(view, painted)), ("calls in time", timeline(entries))):
        body = list(lines)
        if body:
            print("\n".join(["", title, *(f"  {line}" for line in body)]))
    if view.answer is not None:
        emit("\n" + view.answer)


@app.command("cancel")
def cancel(
    ctx: typer.Context,
    run_id: _RunId,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the record.", callback=heard)
    ] = "",
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Ask that a run end; the process that holds it ends its calls."""

    async def work(forum: "Orchestrator") -> RunView:
        return await forum.cancel(run_id, reason=reason)

    view = in_forum(_flags(ctx, ledger), work)
    if as_json:
        emit_json(view.to_dict())
        return
    for line in (*print_run(view), next_line(view, held=False)):
        if line is not None:
            emit(line)


@app.command("resume")
@with_flags
def resume(
    ctx: typer.Context,
    flags: Flags,
    run_id: Annotated[str | None, typer.Argument(metavar="RUN_ID", show_default=False)] = None,
    every: Annotated[bool, typer.Option("--all", help="Every interrupted run.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Hand it to a daemon and return.")] = False,
    wait: Wait = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Go on with a run that no live process holds, or with all of them; finished tasks are not run again."""
    flags = Flags(ledger=ledger_of(ctx, flags.ledger)).over(flags)
    if (run_id is None) != every:
        raise RequestRefused("say which run to resume by its id, or give --all for every interrupted one")

    async def work(forum: "Orchestrator") -> RunView:
        return await watched(forum, await forum.resume(run_id or "", wait_s=0, detach=detach))

    async def work_all(forum: "Orchestrator") -> list[RunView]:
        lines = await forum.resume_all(detach=detach)
        return [await watched(forum, await forum.run(each.run_id)) for each in lines]

    async def watched(forum: "Orchestrator", view: RunView) -> RunView:
        return view if detach and wait is None else await follow(forum, view, wait_s=wait, quiet=quiet, held=not detach)

    if not every:
        view = in_forum(flags, work)
        if detach:
            show_detached(view, waited=wait is not None, as_json=as_json)
        show_result(view, as_json=as_json)
        return
    views = in_forum(flags, work_all)
    if as_json:
        emit_json({"runs": [view.to_dict() for view in views]})
    else:
        for line in columns((view.run_id, view.state, view.error or "") for view in views):
            print(line)
        note(f"{len(views)} resumed")
    if detach and wait is None:
        raise typer.Exit(0)
    raise typer.Exit(max((exit_code(view) for view in views), default=0))


@app.command("fork")
@with_flags
def fork(
    ctx: typer.Context,
    flags: Flags,
    run_id: _RunId,
    at: Annotated[
        int | None, typer.Option("--at", metavar="SEQ", help="Its last entry that counts.", show_default=False)
    ] = None,
    request: Annotated[
        str | None,
        typer.Option("--request", metavar="TEXT", help="Another request.", show_default=False, callback=heard),
    ] = None,
    with_worker: Annotated[
        list[str] | None,
        typer.Option(
            "--with-worker", metavar="LANE=NAME", help="Another executor for a lane, or * for all.", show_default=False
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Hand it to a daemon and return.")] = False,
    wait: Wait = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run again from an entry of a run with something changed; tasks it does not touch are reused, on record."""
    flags = Flags(ledger=ledger_of(ctx, flags.ledger)).over(flags)

    async def work(forum: "Orchestrator") -> RunView:
        told = _told(flags, with_worker or [])
        view = await forum.fork(run_id, seq=at, request=request, wait_s=0, detach=detach, **told)
        return view if detach and wait is None else await follow(forum, view, wait_s=wait, quiet=quiet, held=not detach)

    view = in_forum(flags, work)
    if detach:
        show_detached(view, waited=wait is not None, as_json=as_json)
    show_result(view, as_json=as_json)


def _told(flags: Flags, workers: list[str]) -> "RunOptions":
    """Return what is given as options of the fork: the origin's hold where nothing is."""
    told = {name: value for name in (*STEPS, "max_parallel") if (value := getattr(flags, name)) is not None}
    return cast("RunOptions", {**told, "workers": _workers(workers)})


def _workers(given: list[str]) -> dict[str, str]:
    """Return lane -> executor.

    Raises:
        RequestRefused: one is not LANE=NAME.
    """
    pairs = [text.partition("=") for text in given]
    for lane, _, name in pairs:
        if not lane or not name:
            raise RequestRefused("--with-worker is LANE=NAME, such as backend=local or '*=local'")
    return {lane: name for lane, _, name in pairs}


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
