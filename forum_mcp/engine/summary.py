"""A ledger or a run in figures, from its record alone: what was done, by which models, at what cost.

Every figure is a sum over entries. What no entry tells is None or counted as missing, never zero.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from forum_mcp.engine.filtering import upwards
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.reading import known_run
from forum_mcp.engine.tally import ModelCalls, Tally, TaskFigures
from forum_mcp.engine.views import VerifyView, View
from forum_mcp.ledger.entry import Entry
from forum_mcp.stores.base import Store

__all__ = ["Payload", "SummaryView", "Verified", "summarize"]

_REQUEST_CHARS: Final = 2_000


class Payload(View, frozen=True, kw_only=True):
    """Bytes: of the entries, and of the bodies they cite, each body once and at its plain size."""

    entry_bytes: int
    bodies: int
    body_bytes: int


class Verified(View, frozen=True, kw_only=True):
    """What verifying the whole ledger found; ``codes`` counts the findings by code (of the first 200)."""

    clean: bool
    level: int
    size: int
    root: str
    findings: int
    codes: dict[str, int]


class SummaryView(View, frozen=True, kw_only=True):
    """Figures of one run, or of a whole ledger (``run`` is None).

    ``runs``, ``tasks`` and ``verdicts`` count by how they ended (``unfinished`` while they have not), ``steps`` what
    routing and the steps after the answer came to (``intent met``); ``task_list`` is there for a run only.
    ``served_other``: calls whose model was not the one requested. ``tokens_in`` and ``tokens_out`` are sums over the
    calls that told them; ``tokens_untold`` counts the others, as ``unpriced`` does for the cost. ``active_seconds``:
    active time of the runs, added up; ``call_seconds``: time of the calls, added up. ``first_at`` and ``last_at``:
    microseconds since the epoch. ``state``, ``lane`` and ``request`` are of a run.
    """

    ledger: str
    run: str | None
    entries: int
    first_at: int | None
    last_at: int | None
    state: str | None
    lane: str | None
    request: str | None
    runs: dict[str, int]
    kinds: dict[str, int]
    models: list[ModelCalls]
    calls: int
    call_errors: dict[str, int]
    served_other: int
    tokens_in: int | None
    tokens_out: int | None
    tokens_untold: int
    cost_usd: float | None
    unpriced: int
    active_seconds: float
    call_seconds: float
    tasks: dict[str, int]
    task_list: list[TaskFigures]
    verdicts: dict[str, int]
    steps: dict[str, int]
    payload: Payload
    checkpoint: str | None
    verified: Verified | None


def summarize(ledger: Ledger, run_id: str | None = None, *, verify: bool = True) -> SummaryView:
    """Return the figures of a run, or of the whole ledger.

    Args:
        ledger: the ledger.
        run_id: the run, or None for all of it.
        verify: verify the whole ledger too (level 3), and say what that found.

    Raises:
        NotFound: the ledger has no such run.
    """
    store = ledger.store
    verified = ledger.verify() if verify else None
    tally = Tally(keep_tasks=run_id is not None)
    payload = _Payloads()
    with store.snapshot():
        run = None if run_id is None else known_run(store, run_id)
        for stored in upwards(store, 0) if run is None else store.run_entries(run):
            tally.add(stored.entry)
            payload.add(stored.entry, len(stored.raw))
        request = None if run_id is None else _request(store, tally.request_commit)
    return SummaryView(
        ledger=store.ledger_id,
        run=run,
        entries=tally.entries,
        first_at=tally.first_at,
        last_at=tally.last_at,
        state=next(iter(tally.run_states()), None) if run_id is not None else None,
        lane=tally.lane if run_id is not None else None,
        request=request,
        runs=tally.run_states(),
        kinds=_sorted(tally.kinds),
        models=tally.models(),
        calls=tally.kinds["call.started"],
        call_errors=_sorted(tally.errors),
        served_other=tally.served_other,
        tokens_in=tally.tokens_in,
        tokens_out=tally.tokens_out,
        tokens_untold=tally.tokens_untold,
        cost_usd=None if tally.microusd is None else tally.microusd / 1_000_000,
        unpriced=tally.unpriced,
        active_seconds=tally.active_ms / 1000,
        call_seconds=tally.call_ms / 1000,
        tasks=tally.task_states(),
        task_list=tally.task_list(),
        verdicts=_sorted(tally.verdicts),
        steps=_sorted(tally.steps),
        payload=payload.view(),
        checkpoint=ledger.newest_checkpoint(),
        verified=None if verified is None else _verified(verified),
    )


class _Payloads:
    """Bytes of entries and of the bodies they cite."""

    def __init__(self) -> None:
        self._entry_bytes = 0
        self._body_bytes = 0
        # Eight bytes of a commitment tell bodies apart well enough for a count, in a third of the memory.
        self._seen: set[int] = set()

    def add(self, entry: Entry, size: int) -> None:
        self._entry_bytes += size
        for reference in entry.bodies.values():
            key = int(reference.commit[:16], 16)
            if key not in self._seen:
                self._seen.add(key)
                self._body_bytes += reference.size

    def view(self) -> Payload:
        return Payload(entry_bytes=self._entry_bytes, bodies=len(self._seen), body_bytes=self._body_bytes)


def _request(store: Store, commit: str | None) -> str | None:
    body = None if commit is None else store.body(commit)
    return None if body is None else body.data.decode("utf-8", "replace")[:_REQUEST_CHARS]


def _verified(view: VerifyView) -> Verified:
    return Verified(
        clean=view.clean,
        level=view.level,
        size=view.size,
        root=view.root,
        findings=view.findings_total,
        codes=_sorted(Counter(finding.code for finding in view.findings)),
    )


def _sorted(counts: "Iterable[str] | Counter[str]") -> dict[str, int]:
    return dict(sorted(Counter(counts).items()))
