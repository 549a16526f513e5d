"""``forum-mcp ledger`` for its owner: key, rollback, redaction, backup. Loads no settings and needs no model."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forum_mcp.cli.given import heard
from forum_mcp.cli.lazy_group import Group
from forum_mcp.cli.options import AsJson, LedgerPath, ledger_of, root_flags
from forum_mcp.cli.places import opened
from forum_mcp.cli.progress import progress
from forum_mcp.cli.terminal import columns, emit, emit_json, note
from forum_mcp.configs.custody import find_custody
from forum_mcp.errors import RequestRefused

if TYPE_CHECKING:
    from forum_mcp.engine.custody import KeyView
    from forum_mcp.engine.redaction import BodyLine, RedactionView

__all__ = ["register"]

_Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.", callback=heard)]
_Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, only show what would go.")]
_EvenShared = Annotated[bool, typer.Option("--even-shared", help="Also what other runs cite.")]
_Witness = Annotated[
    list[str] | None,
    typer.Option("--witness", metavar="VKEY", help="A witness's verifier key; may be repeated.", show_default=False),
]
_SHOWN: Final = 20

key_app = typer.Typer(
    cls=Group, help="Show or rotate the key that signs checkpoints.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``ledger``."""
    app.add_typer(key_app, name="key")
    app.command("accept-rollback")(accept_rollback)
    app.command("redact")(redact)
    app.command("prune")(prune)
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("cosign")(cosign)
    app.command("witnesses")(witnesses)
    app.command("anchor")(anchor)


@key_app.command("show")
def show(ctx: typer.Context, ledger: LedgerPath = None, as_json: AsJson = False) -> None:
    """Print the verifier key (C2SP vkey); hand it to whoever is to check checkpoints of this ledger."""
    from forum_mcp.engine.custody import key

    with opened(ledger_of(ctx, ledger)) as record:
        _show_key(key(record), as_json=as_json)


@key_app.command("rotate")
def rotate(ctx: typer.Context, ledger: LedgerPath = None, as_json: AsJson = False) -> None:
    """Make a new key, on record, vouched for by a checkpoint that the old one signs too; the old one is deleted."""
    from forum_mcp.engine.custody import rotate_key

    with opened(ledger_of(ctx, ledger), read_only=False) as record:
        _show_key(rotate_key(record), as_json=as_json)


def _show_key(view: "KeyView", *, as_json: bool) -> None:
    if as_json:
        emit_json(view.to_dict())
        return
    emit(view.vkey)
    if view.why_not is not None:
        note(f"it does not sign here: {view.why_not}")
    if view.rotating:
        note("a rotation was cut short; end it: forum-mcp ledger key rotate")


def accept_rollback(ctx: typer.Context, reason: _Reason, ledger: LedgerPath = None, as_json: AsJson = False) -> None:
    """Go on signing although the ledger is not a continuation of what was signed; that and why is recorded."""
    from forum_mcp.engine import custody

    with opened(ledger_of(ctx, ledger), read_only=False) as record:
        entry = custody.accept_rollback(record, reason)
    if as_json:
        emit_json(entry.to_dict())
        return
    emit(f"recorded as entry {entry.seq}; checkpoints are signed again")


def redact(
    ctx: typer.Context,
    reason: _Reason,
    commit: Annotated[
        str | None, typer.Argument(metavar="COMMIT", help="One body, 64 hex.", show_default=False)
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run", metavar="RUN_ID", help="The bodies of a finished run.", show_default=False)
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option("--actor", metavar="NAME", help="The bodies of its entries.", show_default=False),
    ] = None,
    even_shared: _EvenShared = False,
    yes: _Yes = False,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Delete bodies for good and record that; their commitments stay, so the record still verifies."""
    from forum_mcp.engine import redaction

    if sum(given is not None for given in (commit, run_id, actor)) != 1:
        raise RequestRefused("nothing is redacted; expected one of COMMIT, --run and --actor; say what is to go")
    with opened(ledger_of(ctx, ledger), read_only=False) as record:
        if commit is not None:
            view = redaction.redact_commit(record, commit, reason, yes=yes)
        elif run_id is not None:
            view = redaction.redact_run(record, run_id, reason, yes=yes, even_shared=even_shared)
        else:
            view = redaction.redact_actor(record, actor or "", reason, yes=yes, even_shared=even_shared)
    _show_redaction(view, as_json=as_json)


def prune(
    ctx: typer.Context,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="AGE",
            help="Days (90d) or an ISO 8601 time; custody.keep_days unless given.",
            show_default=False,
        ),
    ] = None,
    reason: _Reason = "retention",
    even_shared: _EvenShared = False,
    yes: _Yes = False,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Redact the bodies of finished runs that are all older than AGE; entries and commitments stay."""
    from forum_mcp.engine import redaction

    before_us = _moment_us(older_than or _kept(ctx))
    with opened(ledger_of(ctx, ledger), read_only=False) as record, progress("pruning") as meter:
        view = redaction.prune(
            record, before_us, reason, yes=yes, even_shared=even_shared, on_progress=meter.on_progress
        )
    _show_redaction(view, as_json=as_json)


def _show_redaction(view: "RedactionView", *, as_json: bool) -> None:
    if as_json:
        emit_json(view.to_dict())
        return
    verb = "redacted" if view.done else "would redact"
    emit(f"{verb} {len(view.redacted)} bodies of {view.bytes} bytes; {len(view.kept)} are kept")
    for line in columns([_cells(each) for each in [*view.redacted, *view.kept][:_SHOWN]]):
        emit(f"  {line}")
    if len(view.redacted) + len(view.kept) > _SHOWN:
        emit(f"  ... and {len(view.redacted) + len(view.kept) - _SHOWN} more")
    if not view.done and view.redacted:
        note("nothing was changed; give --yes to do it; copies made before, such as backups and exports, keep them")
    if view.erased is False:
        note("the write-ahead log could not be emptied while another process reads; it is when the last one ends")


def _cells(line: "BodyLine") -> list[str]:
    cited = ", ".join(map(str, line.cited[:6])) + (" ..." if len(line.cited) > 6 else "")
    return [line.commit[:16], f"{line.size}", line.type, f"entries {cited}", f"kept: {line.kept}" if line.kept else ""]


def _kept(ctx: typer.Context) -> str:
    days = find_custody(root_flags(ctx).config).keep_days
    if days is None:
        raise RequestRefused("nothing is pruned; no age is known; give --older-than 90d, or set custody.keep_days")
    return f"{days}d"


def _moment_us(age: str) -> int:
    """Return the wall clock, in microseconds, that an age or a time means."""
    days = age.removesuffix("d")
    try:
        moment = datetime.now(UTC) - timedelta(days=int(days)) if days.isascii() and days.isdigit() else _time_of(age)
        return int(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError) as error:
        raise RequestRefused(
            f"--older-than {age[:80]!a} is refused; expected days such as 90d, or a time such as 2026-01-31"
        ) from error


def _time_of(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def backup(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; nothing is overwritten.")],
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Copy the ledger as it is at one moment, while runs go on. The key is not in it: copy the directory keys too."""
    from forum_mcp.engine import custody

    with opened(ledger_of(ctx, ledger)) as record, progress("copying"):
        custody.backup(record, file)
        grown = custody.growth(record, find_custody(root_flags(ctx).config).warn_mb)
    if as_json:
        emit_json({"file": file, "warning": grown})
        return
    emit(f"wrote {file}")
    if grown is not None:
        note(grown)


def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A backup.")],
    to: Annotated[str, typer.Option("--to", metavar="PATH", help="The ledger to make; nothing is overwritten.")],
    as_json: AsJson = False,
) -> None:
    """Verify a backup and put it in place; its signer will ask for accept-rollback if the ledger was newer."""
    from forum_mcp.engine import custody

    view = custody.restore(file, to)
    if as_json:
        emit_json(view.to_dict())
        return
    emit(f"restored {view.size} entries of ledger {view.ledger} to {to}; level {view.level} was clean")


def cosign(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The note with the signatures; - is stdin.")],
    witness: _Witness = None,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Take in a checkpoint of this ledger that third parties have signed, check it and keep it on record."""
    from forum_mcp.engine import witnessing

    with opened(ledger_of(ctx, ledger), read_only=False) as record:
        entry = witnessing.cosign(record, _note_of(file), _witnesses(ctx, witness))
    if as_json:
        emit_json(entry.to_dict())
        return
    emit(f"recorded as entry {entry.seq}; see who signed: forum-mcp ledger witnesses")


def _witnesses(ctx: typer.Context, given: list[str] | None) -> list[str]:
    """Return the witnesses given, else those of the configuration."""
    return given or find_custody(root_flags(ctx).config).witnesses


def _note_of(file: str) -> str:
    try:
        return sys.stdin.buffer.read().decode() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise RequestRefused(f"{file} cannot be read; {why}; give the file of a signed note") from error


def witnesses(ctx: typer.Context, witness: _Witness = None, ledger: LedgerPath = None, as_json: AsJson = False) -> None:
    """Show the cosigned checkpoints of the record, checked again. Exit 1 if one of them counts for nothing."""
    from forum_mcp.engine import witnessing

    with opened(ledger_of(ctx, ledger)) as record:
        views = witnessing.cosignatures(record, _witnesses(ctx, witness))
    if as_json:
        emit_json({"cosigned": [view.to_dict() for view in views]})
    else:
        for view in views:
            known = ", ".join(view.witnesses) or "nobody known"
            unknown = f"; key not known: {', '.join(view.unknown)}" if view.unknown else ""
            emit(f"{view.seq:>6}  {view.size} entries, witnessed by {known}{unknown}")
            if view.fault is not None:
                emit(f"        counts for nothing: {view.fault}")
        if not views:
            note("no checkpoint of this ledger was cosigned")
    raise typer.Exit(1 if any(view.fault for view in views) else 0)


def anchor(
    ctx: typer.Context,
    file: Annotated[
        str | None, typer.Option("--file", metavar="PATH", help="Write it to a file.", show_default=False)
    ] = None,
    git: Annotated[
        str | None, typer.Option("--git", metavar="REF", help="tag:NAME, or notes on HEAD.", show_default=False)
    ] = None,
    cmd: Annotated[
        str | None, typer.Option("--cmd", metavar="COMMAND", help="Hand it to a program, on stdin.", show_default=False)
    ] = None,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Put the newest checkpoint where somebody else keeps it, and record that; what it covers can be proved later."""
    from forum_mcp.engine import witnessing

    if sum(given is not None for given in (file, git, cmd)) != 1:
        raise RequestRefused("nothing is anchored; expected one of --file, --git and --cmd; say where to")
    with opened(ledger_of(ctx, ledger), read_only=False) as record:
        if file is not None:
            entry = witnessing.anchor_file(record, file)
        elif git is not None:
            entry = witnessing.anchor_git(record, git, Path.cwd())
        else:
            entry = witnessing.anchor_command(record, cmd or "", Path.cwd())
    if as_json:
        emit_json(entry.to_dict())
        return
    emit(f"anchored the first {entry.data['size']} entries: {entry.data['by']} {entry.data['where']}")
