"""``forum-mcp ledger``: verify, read and export the record. Loads no settings and needs no model."""

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forum_mcp.cli.lazily import LedgerGroup
from forum_mcp.cli.options import AsJson, LedgerPath, ledger_of, root_flags
from forum_mcp.cli.terminal import columns, emit, emit_json, note, one_line
from forum_mcp.configs.custody import find_custody
from forum_mcp.engine.views import FindingView, VerifyView
from forum_mcp.errors import ConfigRefused, LedgerUnreadable, RequestRefused

if TYPE_CHECKING:
    from forum_mcp.engine.ledger import Ledger

__all__ = ["app", "findings", "kept_checkpoint", "opened", "register"]

app = typer.Typer(
    cls=LedgerGroup, help="Verify, read and export the record.", no_args_is_help=True, rich_markup_mode=None
)

_Seq = Annotated[int, typer.Argument(metavar="SEQ", min=0, help="The entry's place, from 0.", show_default=False)]
_SHOWN: Final = 50


def register(parent: typer.Typer) -> None:
    """Add the group."""
    parent.add_typer(app, name="ledger")


@contextmanager
def opened(path: str, *, read_only: bool = True) -> "Generator[Ledger]":
    """Open a ledger that is there, and close it."""
    from forum_mcp.engine.ledger import Ledger

    with Ledger.open(path, create=False, read_only=read_only) as ledger:
        if ledger.missing_rest is not None:
            note(f"only the first {ledger.size} entries can be shown; {ledger.missing_rest}; run ledger verify")
        yield ledger


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
    kept = kept_checkpoint(since) if since is not None else None
    keys, third = vkey or [], _witnesses(ctx, witness)
    subject = f"{{}} entries of ledger {{}}, level {level}"
    if receipt is not None and growth is not None:
        raise RequestRefused("--receipt and --growth are given together; each is a file of its own; give one")
    if receipt is not None:
        from forum_mcp.engine.receipts import verify_receipt

        view = verify_receipt(receipt, level, kept, vkeys=keys, witnesses=third)
    elif growth is not None:
        from forum_mcp.engine.receipts import verify_growth

        if kept is None:
            raise RequestRefused("--growth shows nothing by itself; give the checkpoint that you kept with --since")
        view = verify_growth(growth, kept, vkeys=keys, witnesses=third)
        subject = "growth to {} entries of ledger {}"
    else:
        view = _verified(ledger_of(ctx, ledger), level, kept, keys, third)
    if as_json:
        emit_json(view.to_dict())
    else:
        for line in _verdict(view, subject.format(view.size, view.ledger or "unknown")):
            emit(line)
    raise typer.Exit(0 if view.clean else 1)


def _witnesses(ctx: typer.Context, given: list[str] | None) -> list[str]:
    """Return the witnesses given, else those of the configuration: one that is broken stops no verification."""
    if given is not None:
        return given
    try:
        return find_custody(root_flags(ctx).config).witnesses
    except ConfigRefused as fault:
        note(f"the witnesses of the configuration are not known: {fault}")
        return []


def _verified(path: str, level: int, kept: str | None, vkeys: Sequence[str], witnesses: Sequence[str]) -> VerifyView:
    """Verify an intact ledger as every surface does; one that is too damaged to open, as the file it is."""
    from forum_mcp.engine.verifying import verify_path

    try:
        with opened(path) as record:
            return record.verify(level, kept, vkeys=vkeys, witnesses=witnesses)
    except LedgerUnreadable:
        return verify_path(path, level, kept, vkeys=vkeys, witnesses=witnesses)


def kept_checkpoint(since: str) -> str:
    """Return the text of a signed note given as text, as a file, or as ``-`` for stdin.

    Raises:
        LedgerUnreadable: there is no such file, or it is not UTF-8.
    """
    if since == "-":
        return sys.stdin.read()
    if "\n" in since:
        return since
    try:
        return Path(since).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LedgerUnreadable(f"--since {since} is not a checkpoint; it is not UTF-8; give a signed note") from error
    except OSError as error:
        raise LedgerUnreadable(
            f"--since {since} cannot be read; {error.strerror}; give the file of a signed note"
        ) from error


def _verdict(view: VerifyView, subject: str) -> Iterator[str]:
    word = "clean" if view.clean else f"{view.findings_total} finding{'s' if view.findings_total > 1 else ''}"
    yield f"{word}: {subject}"
    yield f"root {view.root}"
    yield from findings(view.findings)
    if view.findings_total > len(view.findings):
        yield f"  ... and {view.findings_total - len(view.findings)} more"
    yield "  ".join(f"{name} {count}" for name, count in view.counts.items())
    for line in view.holds:
        yield f"holds: {line}"
    for line in view.not_protected:
        yield f"does not hold: {line}"


def findings(found: list[FindingView]) -> Iterator[str]:
    """Yield one line for each finding: what, where, expected and found."""
    for finding in found[:_SHOWN]:
        where = f"entry {finding.seq}" if finding.seq is not None else "ledger"
        if finding.body is not None:
            where += f", body {finding.body[:16]}"
        yield f"  {finding.code} at {where}: expected {finding.expected}, found {one_line(finding.found, 160)}"


@app.command("get")
def get(ctx: typer.Context, seq: _Seq, ledger: LedgerPath = None) -> None:
    """Write an entry's exact bytes to stdout: what is stored, hashed and verified; no line feed is added."""
    with opened(ledger_of(ctx, ledger)) as record:
        raw = record.raw(seq)
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


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
        emit(f"run {run.run_id} {run.state}: {len(run.tasks)} tasks")
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
