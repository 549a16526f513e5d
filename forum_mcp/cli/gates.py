"""``forum-mcp gate``: list the gates that wait for approval, and approve or reject them."""

import getpass
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from forum_mcp.cli.following import follow, print_run, show_result
from forum_mcp.cli.given import heard
from forum_mcp.cli.in_forum import in_forum
from forum_mcp.cli.lazy_group import Group
from forum_mcp.cli.options import AsJson, LedgerPath, Quiet, Wait, ledger_of, root_flags, with_flags
from forum_mcp.cli.terminal import emit, emit_json, note
from forum_mcp.configs.flags import Flags
from forum_mcp.engine.views import GatesView, RunView
from forum_mcp.errors import RequestRefused

if TYPE_CHECKING:
    from forum_mcp.engine.approving import ResolutionTerms
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["register"]

_gate = typer.Typer(
    cls=Group, help="Approve or reject what a run waits for.", no_args_is_help=True, rich_markup_mode=None
)

_Gate = Annotated[int, typer.Argument(metavar="SEQ", help="The gate: the seq of its entry.", show_default=False)]
_Digest = Annotated[
    str | None,
    typer.Option("--digest", metavar="HEX", help="Only if this is what the gate asks for.", show_default=False),
]
_Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the record.", callback=heard)]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run here if nobody holds it.")]
_Run = Annotated[bool, typer.Option("--run", help="All gates of this class in this run.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_gate, name="gate")


@_gate.command("list")
def list_gates(
    ctx: typer.Context,
    run_id: Annotated[
        str | None, typer.Option("--run", metavar="RUN_ID", help="Of one run.", show_default=False)
    ] = None,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """List open gates, the one that closes first in front, with what each asks for."""
    import anyio

    view = anyio.run(_list, Flags(ledger=ledger_of(ctx, ledger)).over(root_flags(ctx)), run_id)
    if as_json:
        emit_json(view.to_dict())
        return
    for gate in view.gates:
        closes = datetime.fromtimestamp(gate.deadline_us / 1e6, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        emit(f"gate {gate.gate}  {gate.subject}  run {gate.run_id}  closes {closes}  digest {gate.digest}")
        emit(json.dumps(gate.asks, indent=2, ensure_ascii=False))
    note(f"{len(view.gates)} open; approve one: forum-mcp gate approve SEQ" if view.gates else "no gate is open")


async def _list(flags: Flags, run_id: str | None) -> GatesView:
    from forum_mcp.configs.load import load
    from forum_mcp.engine.orchestrator import Orchestrator

    async with Orchestrator.open(load(flags)) as forum:
        return forum.gates(run_id)


@_gate.command("approve")
@with_flags
def approve(
    ctx: typer.Context,
    flags: Flags,
    gate: _Gate,
    run: _Run = False,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", help="All gates of this class in the project until then.", show_default=False
        ),
    ] = None,
    digest: _Digest = None,
    reason: _Reason = "",
    resume: _Resume = False,
    wait: Wait = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Approve a gate: this one alone, its class in this run (--run), or its class until a time (--until)."""
    if run and until is not None:
        raise RequestRefused("--run and --until are given together; an approval is of a run or until a time")
    terms: ResolutionTerms = {
        "how": "terminal",
        "scope": "class" if until is not None else "run" if run else "once",
        "until_us": None if until is None else _time(until),
        "digest": digest,
        "reason": reason,
    }
    flags = Flags(ledger=ledger_of(ctx, flags.ledger)).over(flags)
    _resolve(flags, gate, terms, approved=True, resume=resume, wait=wait, as_json=as_json, quiet=quiet)


@_gate.command("reject")
@with_flags
def reject(
    ctx: typer.Context,
    flags: Flags,
    gate: _Gate,
    run: _Run = False,
    digest: _Digest = None,
    reason: _Reason = "",
    resume: _Resume = False,
    wait: Wait = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Reject a gate: what waits for it is not done."""
    terms: ResolutionTerms = {
        "how": "terminal",
        "scope": "run" if run else "once",
        "digest": digest,
        "reason": reason,
    }
    flags = Flags(ledger=ledger_of(ctx, flags.ledger)).over(flags)
    _resolve(flags, gate, terms, approved=False, resume=resume, wait=wait, as_json=as_json, quiet=quiet)


def _resolve(
    flags: Flags,
    gate: int,
    terms: "ResolutionTerms",
    *,
    approved: bool,
    resume: bool,
    wait: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    async def work(forum: "Orchestrator") -> RunView:
        by = f"person:{getpass.getuser()}"
        view = await forum.resolve(gate, approved=approved, by=by, take_up=resume, **terms)
        return await follow(forum, view, wait_s=wait, quiet=quiet) if resume else view

    view = in_forum(flags, work)
    if resume:
        show_result(view, as_json=as_json)
    elif as_json:
        emit_json(view.to_dict())
    else:
        note("\n".join(print_run(view)))
        if view.state in ("waiting", "interrupted"):
            note(f"nobody goes on with it; do: forum-mcp run resume {view.run_id}")


def _time(text: str) -> int:
    """Return a time in microseconds since the epoch; one without a zone is UTC.

    Raises:
        RequestRefused: it is no time.
    """
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise RequestRefused(f"--until is {text[:40]!r}; give a time such as 2030-01-31T12:00Z") from None
    return int((given if given.tzinfo is not None else given.replace(tzinfo=UTC)).timestamp() * 1_000_000)
