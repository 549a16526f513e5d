"""The gates that wait for somebody, read from the record, and their resolution."""

from typing import Final, Unpack

import msgspec

from forum_mcp.engine.approving import ResolutionTerms, check_scope, resolution
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.run_holder import RunHolder
from forum_mcp.engine.run_views import is_over
from forum_mcp.engine.views import GatesView, GateView
from forum_mcp.errors import NotFound, RequestRefused
from forum_mcp.ledger.canonical import UNREADABLE
from forum_mcp.ledger.entry import RunId

__all__ = ["GateDesk"]

_RUNS_LOOKED_AT: Final = 100


class GateDesk:
    """Where gates are listed and resolved."""

    def __init__(self, holder: RunHolder, clock: Clock) -> None:
        self._holder = holder
        self._clock = clock

    def pending(self, run: RunId | None) -> GatesView:
        """Return the open gates of one run, or of the newest 100, the one that closes first in front.

        Raises:
            NotFound: the ledger has no such run.
        """
        runs = [run] if run is not None else [row.run for row in self._holder.ledger.store.runs(_RUNS_LOOKED_AT)]
        found = [self._view(each, seq) for each in runs for seq in self._open(each)]
        return GatesView(gates=sorted(found, key=lambda each: (each.deadline_us, each.gate)))

    async def resolve(
        self, gate: int, *, approved: bool, by: str, take_up: bool, **terms: Unpack[ResolutionTerms]
    ) -> RunId:
        """Record a resolution and return the run; ``take_up``: go on with it here when no process holds it.

        Raises:
            NotFound: there is no such gate.
            RequestRefused: the scope or its end cannot be.
            GateClosed: the gate is not open any more, or its deadline has passed.
            AppendRefused: its subject is not the one of ``terms["digest"]``.
        """
        scope = terms.get("scope", "once")
        if not approved and scope == "class":
            raise RequestRefused("a rejection is of one gate (once) or of its class in this run (run)")
        check_scope(scope, terms.get("until_us"), self._clock.now_us())
        run = self._run(gate)
        event = resolution(gate, approved=approved, by=by, now_us=self._clock.now_us, **terms)
        await self._holder.report(run, event, take_up=take_up)
        return run

    def _open(self, run: RunId) -> list[int]:
        if is_over(self._holder.ledger.store, run):
            return []
        try:
            state = self._holder.state(run)
        except NotFound:  # entries of a run that has no beginning
            return []
        return [] if state.phase == "finished" or state.cancelled_seq >= 0 else list(state.gates)

    def _run(self, gate: int) -> RunId:
        store = self._holder.ledger.store
        if 0 <= gate < store.size():
            entry = store.entry(gate).entry
            if entry.kind == "gate.opened" and entry.run is not None:
                return entry.run
        raise NotFound(f"entry {gate} is no gate; list the open ones with: forum-mcp gate list")

    def _view(self, run: RunId, seq: int) -> GateView:
        store, gate = self._holder.ledger.store, self._holder.state(run).gates[seq]
        body = store.body(gate.digest)
        return GateView(
            gate=seq,
            run_id=run,
            subject=gate.subject,
            key=gate.key,
            digest=gate.digest,
            deadline_us=gate.deadline_us,
            asks=_asks(b"{}" if body is None else body.data),
        )


def _asks(subject: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(subject, type=dict[str, object])
    except UNREADABLE:  # appended by hand
        return {}
