"""``forum-mcp ledger export``, ``receipt`` and ``prove``: what is handed to somebody who does not have the ledger."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from forum_mcp.cli.options import LedgerPath, ledger_of
from forum_mcp.cli.places import kept_checkpoint, opened
from forum_mcp.cli.progress import counted, progress
from forum_mcp.cli.terminal import is_live
from forum_mcp.errors import RequestRefused

__all__ = ["register", "write_new"]

_Bodies = Annotated[bool, typer.Option("--bodies", help="With the bodies these entries cite.")]
_Output = Annotated[str, typer.Option("--output", metavar="FILE", help="Where to; - is stdout.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``ledger``."""
    app.command("export")(export)
    app.command("receipt")(receipt)
    app.command("prove")(prove)


def export(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - is stdout.")] = "-",
    run_id: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN_ID", help="A receipt of this run's entries.", show_default=False),
    ] = None,
    without_bodies: Annotated[
        bool, typer.Option("--without-bodies", help="Entries alone; an export says so in its head.")
    ] = False,
    ledger: LedgerPath = None,
) -> None:
    """Write the whole ledger, or a run of it, as self-contained JSON Lines that anyone can verify offline."""
    from forum_mcp.engine.exports import lines_ahead

    to_terminal = file == "-" and is_live(sys.stdout)
    with opened(ledger_of(ctx, ledger)) as record, progress("exporting", quiet=to_terminal) as meter:
        if run_id is None:
            meter.total = lines_ahead(record.store, without_bodies=without_bodies)
            write_new(file, counted(record.export(without_bodies=without_bodies), meter))
        else:
            write_new(file, record.receipt(run_id=run_id, bodies=not without_bodies))


def receipt(
    ctx: typer.Context,
    seqs: Annotated[list[int], typer.Argument(metavar="SEQ", min=0, help="Entries, by their place from 0.")],
    bodies: _Bodies = False,
    output: _Output = "-",
    ledger: LedgerPath = None,
) -> None:
    """Write a receipt: entries, each with the proof of its place; verify --receipt checks it offline."""
    with opened(ledger_of(ctx, ledger)) as record:
        write_new(output, record.receipt(seqs, bodies=bodies))


def prove(
    ctx: typer.Context,
    seq: Annotated[
        int | None, typer.Argument(metavar="SEQ", min=0, help="An entry, by its place from 0.", show_default=False)
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="CHECKPOINT", help="A kept checkpoint: its file, or its text.", show_default=False
        ),
    ] = None,
    ledger: LedgerPath = None,
) -> None:
    """Print a C2SP proof: of an entry's place (tlog-proof), or that the ledger only grew since a checkpoint."""
    if (seq is None) == (since is None):
        raise RequestRefused("a proof is of one entry or of growth; give a SEQ, or --since CHECKPOINT")
    with opened(ledger_of(ctx, ledger)) as record:
        text = record.proof(seq) if seq is not None else record.growth_proof(kept_checkpoint(since or ""))
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def write_new(file: str, lines: Iterable[bytes]) -> None:
    """Write lines to a file that is not there yet, or to stdout (``-``); one that fails halfway is not left behind.

    Raises:
        RequestRefused: the file exists or cannot be written.
    """
    if file == "-":
        for line in lines:
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    try:
        target = path.open("xb")
    except FileExistsError as error:
        raise RequestRefused(f"{file} exists; an export overwrites nothing; name another file") from error
    except OSError as error:
        raise RequestRefused(f"{file} cannot be written; {error.strerror}; name another file") from error
    try:
        with target:
            for line in lines:
                target.write(line)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise RequestRefused(f"{file} cannot be written; {error.strerror}; name another file") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
