"""Replay: the state at any entry or time, rebuilt from the record. Runs nothing, costs nothing."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.reading import known_run
from forum_mcp.engine.run_views import run_view
from forum_mcp.engine.views import ReplayView
from forum_mcp.errors import NotFound, RequestRefused
from forum_mcp.ledger.canonical import UNREADABLE
from forum_mcp.ledger.entry import decode
from forum_mcp.stores.base import Store

__all__ = ["replay"]

_RUNS: Final = 20


def replay(store: Store, root: Callable[[int], bytes], *, until: int | str | None, run_id: str | None) -> ReplayView:
    """Return the state after the entry ``until`` (a seq; or an ISO 8601 time: the last entry not after it).

    Without ``run_id`` it holds the newest runs begun by then, at most 20.

    Raises:
        NotFound: no such entry or run.
        RequestRefused: ``until`` is neither a seq nor a time.
    """
    size = _size(store, until)
    runs = [known_run(store, run_id)] if run_id is not None else [row.run for row in store.runs(_RUNS, before=size)]
    views = [run_view(store, fold_run(store, run, until=size), live=False, checkpoint=None) for run in runs]
    return ReplayView(size=size, root=root(size).hex(), runs=views)


def _size(store: Store, until: int | str | None) -> int:
    if until is None:
        return store.size()
    if isinstance(until, str) and until.isascii() and until.isdigit() and len(until) < 16:
        until = int(until)
    if isinstance(until, int):
        if not 0 <= until < store.size():
            raise NotFound(f"entry {until} is not in this ledger; its entries are 0 to {store.size() - 1}")
        return until + 1
    return _size_at(store, until)


def _size_at(store: Store, when: str) -> int:
    try:
        moment = datetime.fromisoformat(when)
    except ValueError:
        raise RequestRefused(
            f"{when[:80]!r} is neither a seq nor a time; give a number, or a time such as 2026-11-21T14:30:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    until_us = round(moment.timestamp() * 1_000_000)
    size = 0
    for seq, raw in store.raw_entries():
        try:
            at = decode(raw).at
        except UNREADABLE:
            continue
        if at <= until_us:
            size = seq + 1
    return size
