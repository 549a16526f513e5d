"""``forum-mcp ledger``: verify, read and export the record. Loads no settings and needs no model."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from forum_mcp.cli.lazy_group import LedgerGroup
from forum_mcp.cli.options import AsJson, LedgerPath, ledger_of, root_flags
from forum_mcp.cli.places import opened
from forum_mcp.cli.terminal import columns, emit, emit_json
from forum_mcp.cli.verdict import Asked, verify_and_tell
from forum_mcp.engine.entry_summary import counted
from forum_mcp.errors import NotFound

if TYPE_CHECKING:
    from forum_mcp.engine.ledger import Ledger

__all__ = ["app", "register"]

app = typer.Typer(
    cls=LedgerGroup, help="Verify, read and export the record.", no_args_is_help=True, rich_markup_mode=None
)

_Body = Annotated[
    str | None,
    typer.Option("--body", metavar="NAME", help="A body of the entry: reply, patch, prompt ...", show_default=False),
]
_Seq = Annotated[int, typer.Argument(metavar="SEQ", min=0, help="The entry's place, from 0.", show_default=False)]


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="ledger")


@app.command("verify")
def verify(
    ctx: typer.Context,
    level: Annotated[
        int, typer.Option("--level", min=1, max=4, help="1 chain, 2 and bodies, 3 and checkpoints, 4 and decisions.")
    ] = 3,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="CHECKPOINT", help="A kept checkpoint: its file, or its text.", show_default=False
        ),
    ] = None,
    receipt: Annotated[
        str | None,
        typer.Option("--receipt", metavar="FILE", help="Verify a receipt; reads no ledger.", show_default=False),
    ] = None,
    growth: Annotated[
        str | None,
        typer.Option(
            "--growth",
            metavar="FILE",
            help="Verify a growth proof from --since on; reads no ledger.",
            show_default=False,
        ),
    ] = None,
    vkey: Annotated[
        list[str] | None,
        typer.Option(
            "--vkey", metavar="VKEY", help="A verifier key you have from its owner; repeatable.", show_default=False
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", metavar="VKEY", help="A third party's verifier key; repeatable.", show_default=False),
    ] = None,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Recompute everything from the disk and list what is wrong. Exit 0 clean, 1 findings, 3 cannot read."""
    before = root_flags(ctx)
    asked = Asked(
        ledger=before.ledger if ledger is None else ledger,
        config=before.config,
        level=level,
        since=since,
        receipt=receipt,
        growth=growth,
        vkeys=vkey or [],
        witnesses=witness,
        as_json=as_json,
    )
    raise typer.Exit(verify_and_tell(asked))


@app.command("get")
def get(ctx: typer.Context, seq: _Seq, body: _Body = None, ledger: LedgerPath = None) -> None:
    """Write an entry's exact bytes to stdout, or those of one of its bodies: no line feed is added."""
    with opened(ledger_of(ctx, ledger)) as record:
        raw = record.raw(seq) if body is None else _body(record, seq, body)
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def _body(record: "Ledger", seq: int, name: str) -> bytes:
    bodies = record.entry(seq).bodies
    if name not in bodies:
        raise NotFound(f"entry {seq} has no body {name!r}; it has: {', '.join(bodies) or 'none'}")
    return record.body(str(bodies[name]["commit"])).data


@app.command("replay")
def replay(
    ctx: typer.Context,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="SEQ|TIME", help="Up to this entry, or this time (ISO 8601).", show_default=False
        ),
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run", metavar="RUN_ID", help="One run.", show_default=False)] = None,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild the state from the first entries; runs nothing, costs nothing."""
    with opened(ledger_of(ctx, ledger)) as record:
        view = record.replay(until, run_id)
    if as_json:
        emit_json(view.to_dict())
        return
    emit(f"{view.size} entries, root {view.root}")
    for run in view.runs:
        emit(f"run {run.run_id} {run.state}: {counted(len(run.tasks), 'task')}")
        for line in columns(
            (task.id, task.state, task.lane, f"verdict {task.verdict or 'none'}") for task in run.tasks
        ):
            print("  " + line)


@app.command("checkpoint")
def checkpoint(
    ctx: typer.Context,
    record: Annotated[bool, typer.Option("--record", help="Also append it to the record.")] = False,
    ledger: LedgerPath = None,
) -> None:
    """Print a signed checkpoint of the ledger as it is; keep it outside, and hand it to verify --since later."""
    with opened(ledger_of(ctx, ledger), read_only=False) as opened_ledger:
        sys.stdout.write(opened_ledger.checkpoint())
        if record:
            opened_ledger.record_checkpoint()
