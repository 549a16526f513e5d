"""``forum-mcp ledger show`` and ``trace``: entries, and what led to them and from them."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forum_mcp.cli.following import entry_line
from forum_mcp.cli.given import heard
from forum_mcp.cli.options import AsJson, LedgerPath, ledger_of
from forum_mcp.cli.places import opened
from forum_mcp.cli.terminal import emit, emit_json, note, one_line
from forum_mcp.cli.trees import causes, effects, tree_lines
from forum_mcp.engine.views import EntryView
from forum_mcp.errors import RequestRefused

if TYPE_CHECKING:
    from forum_mcp.engine.filtering import EntryQuery, Filter
    from forum_mcp.engine.ledger import Ledger
    from forum_mcp.ledger.entry import RunId

__all__ = ["follow", "register"]

_Seq = Annotated[int, typer.Argument(metavar="SEQ", min=0, help="The entry's place, from 0.", show_default=False)]
_POLL_S: Final = 0.25
_STATES: Final = {
    "missing": "(not here, and no entry says why)",
    "mismatch": "(not what its commitment promises) ",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the group ``ledger``."""
    app.command("show")(show)
    app.command("trace")(trace)


def _option(flag: str, metavar: str, words: str, callback: Callable[[str | None], str | None] | None = None) -> object:
    return typer.Option(flag, metavar=metavar, help=words, show_default=False, callback=callback)


def show(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="The newest N entries.")] = 20,
    run_id: Annotated[str | None, _option("--run", "RUN_ID", "Of one run.")] = None,
    kind: Annotated[str | None, _option("--kind", "KIND", "Of a kind, or of several: call is call.*.")] = None,
    actor: Annotated[str | None, _option("--actor", "ACTOR", "By an actor: executor is executor:*.")] = None,
    since: Annotated[
        str | None, _option("--from", "TIME", "Not before (ISO 8601, UTC unless it says otherwise).")
    ] = None,
    until: Annotated[str | None, _option("--to", "TIME", "Not after; a date means the whole day.")] = None,
    text: Annotated[
        str | None, _option("--text", "TEXT", "That have this in a fact or a body, ignoring case.", heard)
    ] = None,
    before: Annotated[int | None, _option("--before", "SEQ", "Older than this: the next page.")] = None,
    bodies: Annotated[bool, typer.Option("--bodies", help="With the text of their bodies.")] = False,
    following: Annotated[bool, typer.Option("--follow", help="Then new ones as they come; --run: to its end.")] = False,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the newest entries, oldest of them first."""
    if following and before is not None:
        raise RequestRefused("--follow and --before are given together; one looks forward, the other back")
    wanted: EntryQuery = {
        "run_id": run_id,
        "kind": kind,
        "actor": actor,
        "since": since,
        "until": until,
        "text": text,
    }
    with opened(ledger_of(ctx, ledger)) as record:
        from forum_mcp.engine.reading import known_run

        wanted["run_id"] = run_id if run_id is None else known_run(record.store, run_id)
        view = record.show(limit=limit, before=before, bodies=bodies, **wanted)
        if not following:
            if as_json:
                emit_json(view.to_dict())
                return
            for entry in view.entries:
                _print(entry, bodies)
            if view.before is not None:
                note(f"older entries: the same command with --before {view.before}")
            return
        from forum_mcp.engine.filtering import make_filter

        for entry in view.entries:
            _tell(entry, bodies, as_json)
        for entry in follow(record, make_filter(**wanted), view.size, bodies=bodies, wait=lambda: time.sleep(_POLL_S)):
            _tell(entry, bodies, as_json)


def follow(
    record: "Ledger", wanted: "Filter", size: int, *, bodies: bool, wait: Callable[[], None]
) -> Iterator[EntryView]:
    """Yield the wanted entries from seq ``size`` on as they are appended; of one run, until it is finished.

    ``wait`` is called when there is nothing new. An export never grows: it is read to its end.
    """
    from forum_mcp.engine.filtering import matches, upwards
    from forum_mcp.engine.reading import entry_view
    from forum_mcp.stores.export_file import ExportStore

    store, wants = record.store, matches(record.store, wanted)
    while True:
        for stored in upwards(store, size):
            size = stored.entry.seq + 1
            if wants(stored.entry):
                yield entry_view(store, stored, texts=bodies)
            if wanted.run is not None and stored.entry.run == wanted.run and stored.entry.kind == "run.finished":
                return
        if isinstance(store, ExportStore) or (wanted.run is not None and _is_over(record, wanted.run)):
            return
        wait()


def _is_over(record: "Ledger", run: "RunId") -> bool:
    newest = record.store.newest(run)
    return newest is not None and record.store.entry(newest).entry.kind == "run.finished"


def _tell(entry: EntryView, bodies: bool, as_json: bool) -> None:
    """Print an entry at once: whoever follows reads line by line."""
    if as_json:
        emit_json(entry.to_dict())
    else:
        _print(entry, bodies)
    sys.stdout.flush()


def _print(entry: EntryView, bodies: bool) -> None:
    emit(entry_line(entry))
    for name, body in entry.bodies.items() if bodies else ():
        words = f"{_STATES.get(str(body.get('state')), '')}{body.get('text', '')}"
        if "redacted_by" in body:
            words = f"(redacted by entry {body['redacted_by']})"
        emit(f"{'':>18}{one_line(name, 40)}: {one_line(words, 100)}")


def trace(
    ctx: typer.Context,
    seq: _Seq,
    down: Annotated[bool, typer.Option("--down", help="What it led to, instead of what caused it.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most N entries.")] = 500,
    ledger: LedgerPath = None,
    as_json: AsJson = False,
) -> None:
    """Show what caused an entry, back to the request of its run; with --down, what it led to."""
    with opened(ledger_of(ctx, ledger)) as record:
        if down:
            _effects(record, seq, limit, as_json)
        else:
            _causes(record, seq, limit, as_json)


def _causes(record: "Ledger", seq: int, limit: int, as_json: bool) -> None:
    view = record.trace(seq, limit)
    if as_json:
        emit_json(view.to_dict())
        return
    for line in tree_lines(seq, view.lines, causes):
        emit(line)
    if not view.reaches_request:
        note("this chain does not end at a request" + (": it is cut" if view.more else ""))


def _effects(record: "Ledger", seq: int, limit: int, as_json: bool) -> None:
    from forum_mcp.engine.descent import descent

    view = descent(record.store, seq, limit)
    if as_json:
        emit_json(view.to_dict())
        return
    for line in tree_lines(seq, view.lines, effects(view.lines)):
        emit(line)
    if view.more:
        note(f"there is more: --limit {limit} entries are shown")
