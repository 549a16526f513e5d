"""Entries, causes and reports as views: the reading half of ``engine.ledger``."""

from typing import TYPE_CHECKING, Final

from forum_mcp.engine.views import EntryView, ShowView, TraceLine, TraceView
from forum_mcp.errors import NotFound, RequestRefused
from forum_mcp.ledger.entry import BodyRef, Entry, RunId
from forum_mcp.stores.base import Store, Stored

if TYPE_CHECKING:
    from forum_mcp.engine.filtering import Filter

__all__ = ["SHOW_MAX", "absence", "entry_view", "known_run", "show", "show_one", "trace_view"]

_ID_CHARS: Final = 32
_BEGINNING_CHARS: Final = 6
_RUNS_LOOKED_AT: Final = 1_000

SHOW_MAX: Final = 10_000
_TRACE_MAX: Final = 10_000
_TEXT_MAX_CHARS: Final = 2_000


def entry_view(store: Store, stored: Stored, *, texts: bool = False) -> EntryView:
    """Return an entry as people read it; ``texts`` adds to each body its text, cut to 2,000 characters."""
    entry = stored.entry
    return EntryView(
        seq=entry.seq,
        at=entry.at,
        kind=entry.kind,
        actor=entry.actor,
        run=entry.run,
        parents=entry.parents,
        data=entry.data,
        bodies={name: _body_view(store, reference, texts) for name, reference in entry.bodies.items()},
        leaf=stored.leaf.hex(),
    )


def known_run(store: Store, run_id: str) -> RunId:
    """Return the id of a run that is in the ledger, as ``store`` shows it.

    ``run_id`` may be the beginning of an id, 6 characters or more, that no other of the newest 1,000 runs has; upper
    case and space around it do not count.

    Raises:
        NotFound: there is no such run, or several begin so.
    """
    wanted = run_id.strip().lower()
    if len(wanted) == _ID_CHARS and store.newest(RunId(wanted)) is not None:
        return RunId(wanted)
    if _BEGINNING_CHARS <= len(wanted) < _ID_CHARS:
        begin_so = [row.run for row in store.runs(_RUNS_LOOKED_AT) if row.run.startswith(wanted)]
        if len(begin_so) == 1:
            return begin_so[0]
        if begin_so:
            raise NotFound(f"{len(begin_so)} runs begin with {run_id[:80]!a}; give more of the id")
    raise NotFound(f"run {run_id[:80]!a} is not in this ledger; list runs to see those that are")


def show(
    store: Store,
    *,
    wanted: "Filter",
    limit: int,
    before: int | None,
    bodies: bool,
    checkpoint: str | None,
) -> ShowView:
    """Return the newest entries that match, newest last, at most ``limit``, with seq < before.

    Raises:
        RequestRefused: limit or before out of range.
    """
    from forum_mcp.engine.filtering import downwards, matches  # who verifies filters nothing

    if not 1 <= limit <= SHOW_MAX:
        raise RequestRefused(f"limit {limit} is refused: expected 1 to {SHOW_MAX}; page on with 'before'")
    if before is not None and before < 0:
        raise RequestRefused(f"before {before} is refused: expected a seq, 0 or more")
    with store.snapshot():
        size = store.size()
        stop = size if before is None else min(before, size)
        found: list[Stored] = []
        older = False
        wants = matches(store, wanted)
        for stored in downwards(store, stop, wanted.run):
            if not wants(stored.entry):
                continue
            if len(found) == limit:
                older = True
                break
            found.append(stored)
        entries = [entry_view(store, stored, texts=bodies) for stored in reversed(found)]
    return ShowView(
        entries=entries,
        size=size,
        before=entries[0].seq if older and entries else None,
        checkpoint=checkpoint,
    )


def show_one(store: Store, seq: int, *, bodies: bool, checkpoint: str | None) -> ShowView:
    """Return one entry.

    Raises:
        NotFound: no such entry.
    """
    view = entry_view(store, store.entry(seq), texts=bodies)
    return ShowView(entries=[view], size=store.size(), before=None, checkpoint=checkpoint)


def trace_view(store: Store, seq: int, limit: int) -> TraceView:
    """Return an entry and what caused it, newest first, at most ``limit`` lines.

    Raises:
        NotFound: no such entry.
        RequestRefused: limit out of range.
    """
    from forum_mcp.engine.entry_summary import summary
    from forum_mcp.ledger.trace import trace  # who verifies asks for no causes

    if not 1 <= limit <= _TRACE_MAX:
        raise RequestRefused(f"limit {limit} is refused: expected 1 to {_TRACE_MAX}")
    with store.snapshot():
        found = trace(seq, lambda at: store.entry(at).entry, limit)
    shown = {entry.seq for _, entry in found}
    # A checkpoint of a settled wave belongs to no run, and its causes to one.
    run = next((entry.run for _, entry in found if entry.run is not None), None)
    return TraceView(
        seq=seq,
        lines=[
            TraceLine(
                seq=entry.seq,
                depth=depth,
                kind=entry.kind,
                actor=entry.actor,
                parents=entry.parents,
                summary=summary(entry.kind, entry.data),
            )
            for depth, entry in found
        ],
        reaches_request=any(_begins(entry, run) for _, entry in found),
        more=any(parent not in shown for _, entry in found for parent in entry.parents),
    )


def absence(store: Store, commit: str) -> str:
    """Return why there is no body of a commitment, in words."""
    found, name = store.body_state(commit), f"{commit[:64]!a}"
    if found.redacted_by is not None:
        return f"body {name} was redacted by entry {found.redacted_by}; its commitment is all that is left of it"
    if found.state == "mismatch":
        return f"body {name} is here and cannot be unpacked; run `forum-mcp ledger verify` to see what else is damaged"
    return f"no body {name} in this ledger, and no entry says that it was redacted; it is missing or of another ledger"


def _begins(entry: Entry, run: str | None) -> bool:
    return entry.kind == "run.started" and entry.run is not None and entry.run == run


def _body_view(store: Store, reference: BodyRef, texts: bool) -> dict[str, object]:
    view: dict[str, object] = {"commit": reference.commit, "size": reference.size, "type": reference.type}
    if texts:
        body = store.body(reference.commit)
        found = store.body_state(reference.commit)
        view["state"] = found.state
        if found.redacted_by is not None:
            view["redacted_by"] = found.redacted_by
        if body is None:
            view["absent"] = True
        else:
            text = body.data.decode("utf-8", "replace")
            view["text"] = text[:_TEXT_MAX_CHARS]
            view["cut"] = len(text) > _TEXT_MAX_CHARS
    return view
