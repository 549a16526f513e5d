"""``forum-mcp ledger import``: take over a ledger of ``forum-engine``, as it was written."""

import os
from typing import Annotated, Final

import typer

from forum_mcp.cli.options import AsJson, LedgerPath, root_flags
from forum_mcp.cli.terminal import emit, emit_json, note, one_line
from forum_mcp.configs.files import find_ledger

__all__ = ["register"]

_SHOWN: Final = 50
_PLACES: Final = 10


def register(app: typer.Typer) -> None:
    """Add the command to the group ``ledger``."""
    app.command("import")(import_)


def import_(
    ctx: typer.Context,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="Its directory of JSON Lines, or its SQLite file.", show_default=False)
    ],
    by: Annotated[str, typer.Option("--by", metavar="ACTOR", help="Who is recorded as importing.")] = "person:local",
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Also one whose own rules find faults; they are recorded.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count; record nothing.")] = False,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Import a forum-engine ledger, after checking it by its own rules. Exit 1 when it has faults."""
    from forum_mcp.engine.importing import import_ledger
    from forum_mcp.engine.ledger import Ledger
    from forum_mcp.engine.scrubbing import Scrubber, environment_secrets

    before = root_flags(ctx)
    place = find_ledger(before.ledger if ledger is None else ledger, config=before.config)
    with Ledger.open(place, create=not dry_run) as record:
        scrubber = Scrubber(environment_secrets(os.environ))
        view = import_ledger(record, path, by=by, damaged=damaged, dry_run=dry_run, scrubber=scrubber)
    if as_json:
        emit_json(view.to_dict())
    else:
        verdict = "clean by its own rules" if view.clean else f"{view.faults_total} faults by its own rules"
        emit(f"{view.format}: {view.entries} entries, {view.absent} payloads absent, {verdict}")
        for fault in view.faults[:_SHOWN]:
            where = "the ledger" if fault.place is None else f"entry {fault.place}"
            emit(f"  {where}: {one_line(fault.what, 160)}")
        if view.secrets:
            found = ", ".join(f"{count} {rule}" for rule, count in view.secrets.items())
            places = ", ".join(map(str, view.secrets_at[:_PLACES])) + (" ..." if len(view.secrets_at) > _PLACES else "")
            note(f"it holds known secrets as they were written: {found}; in its entries {places}")
            note("scrubbed they would not have the hashes it states; to delete one: forum-mcp ledger redact COMMIT")
        if view.imported:
            emit(f"kept as entries {view.first} to {view.last}")
        elif not dry_run:
            emit("nothing was recorded; --damaged keeps it together with its faults")
    raise typer.Exit(0 if view.clean else 1)
