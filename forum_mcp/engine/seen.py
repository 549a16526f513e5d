"""The forum as one principal of a shared server may use it.

A principal reads the entries of the runs it began and the bodies they cite; of every other entry there is the leaf
hash. Checkpoints, roots and proofs are open: they prove the record and hold nothing of it. What may be *done*
depends on scopes. Every operation goes through here, whatever tool, resource or task it came by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Unpack

import msgspec

from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.progress import Heed, unheard
from forum_mcp.engine.views import EntryView, GatesView, ShowView, TraceView, VerifyView, WorkView
from forum_mcp.errors import AccessRefused, NotFound
from forum_mcp.ledger.entry import Body, RunId
from forum_mcp.stores.base import Store
from forum_mcp.stores.seen import Owners, SeenStore

if TYPE_CHECKING:
    from forum_mcp.engine.options import RunOptions
    from forum_mcp.engine.views import RunLine, RunView

__all__ = ["ADMIN", "APPROVE", "READ", "SCOPES", "SUBMIT", "Principal", "SeenForum", "SeenLedger"]

READ: Final = "forum:read"
SUBMIT: Final = "forum:submit"
APPROVE: Final = "forum:approve"
ADMIN: Final = "forum:admin"
SCOPES: Final = (READ, SUBMIT, APPROVE, ADMIN)

_WITHHELD: Final = "withheld"
_RUNS_LOOKED_AT: Final = 20
_RUNS_SEARCHED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a token was given to.

    Attributes:
        name: unique among all principals of a server, fit for an entry's actor.
        scopes: what it may do, of ``SCOPES``; ``forum:admin`` may do and read everything.
    """

    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """The actor of the entries it causes."""
        return f"host:{self.name}"

    def may(self, scope: str) -> bool:
        """Tell whether it has a scope."""
        return scope in self.scopes or ADMIN in self.scopes

    def need(self, scope: str) -> None:
        """Refuse what it has no scope for.

        Raises:
            AccessRefused: it has not.
        """
        if not self.may(scope):
            raise AccessRefused(f"your token has no scope '{scope}'; ask for one that has it")


class SeenLedger(Ledger):
    """The ledger as one principal may read it."""

    def __init__(self, whole: Ledger, principal: Principal, owners: Owners) -> None:
        def sees(store: Store, run: RunId, first_seq: int | None) -> bool:
            return principal.may(ADMIN) or owners.of(store, run, first_seq) == principal.actor

        assert not isinstance(whole.store, SeenStore), "a principal is served from the whole ledger"
        self._seen = SeenStore(whole.store, sees)
        self._everything = whole
        self._all = principal.may(ADMIN)
        super().__init__(self._seen, whole.signing, whole.now_us)

    def close(self) -> None:
        """Do nothing: the whole ledger is open for others too."""

    def body(self, commit: str) -> Body:
        """Return the body of a commitment that an entry of the principal's own runs cites.

        Raises:
            NotFound: none does, or the body is not here.
        """
        if self._all or any(
            reference.commit == commit
            for row in self._seen.runs(_RUNS_SEARCHED)
            for stored in self._seen.run_entries(row.run)
            for reference in stored.entry.bodies.values()
        ):
            return self._everything.body(commit)
        raise NotFound(f"no entry of yours cites a body {commit[:64]!a}; read an entry for the ones that it cites")

    def show(
        self,
        *,
        seq: int | None = None,
        run_id: str | None = None,
        kind: str | None = None,
        limit: int = 20,
        before: int | None = None,
        bodies: bool = False,
        actor: str | None = None,
        since: str | None = None,
        until: str | None = None,
        text: str | None = None,
    ) -> ShowView:
        """Return entries as ``Ledger.show`` does; one that is withheld and asked for by its seq has only its leaf."""
        if seq is not None:
            stored = self._everything.store.entry(seq)
            if not self._seen.shows(stored.entry):
                return ShowView(
                    entries=[_leaf_only(seq, stored.leaf)],
                    size=self.size,
                    before=None,
                    checkpoint=self.newest_checkpoint(),
                )
        return super().show(
            seq=seq,
            run_id=run_id,
            kind=kind,
            limit=limit,
            before=before,
            bodies=bodies,
            actor=actor,
            since=since,
            until=until,
            text=text,
        )

    def trace(self, seq: int, limit: int = 500) -> TraceView:
        """Return what caused an entry, without what is withheld.

        Raises:
            NotFound: there is no such entry, or it is withheld.
        """
        self._seen.entry(seq)
        view = self._everything.trace(seq, limit)
        lines = [line for line in view.lines if self._seen.shows(self._everything.store.entry(line.seq).entry)]
        return msgspec.structs.replace(view, lines=lines, more=view.more or len(lines) < len(view.lines))

    def verify(
        self,
        level: int = 3,
        checkpoint: str | Sequence[str] | None = None,
        *,
        vkeys: Sequence[str] = (),
        witnesses: Sequence[str] = (),
        heed: Heed = unheard,
    ) -> VerifyView:
        """Verify the whole record; of a fault in what is withheld only its place and code are told."""
        view = self._everything.verify(level, checkpoint, vkeys=vkeys, witnesses=witnesses, heed=heed)
        if self._all:
            return view
        findings = [
            msgspec.structs.replace(finding, expected=_WITHHELD, found=_WITHHELD, body=None)
            for finding in view.findings
        ]
        return msgspec.structs.replace(view, findings=findings)


def _leaf_only(seq: int, leaf: bytes) -> EntryView:
    return EntryView(
        seq=seq, at=0, kind=_WITHHELD, actor=_WITHHELD, run=None, parents=[], data={}, bodies={}, leaf=leaf.hex()
    )


class SeenForum(Orchestrator):
    """An open forum, for one principal: the same runs and executors, over the ledger as the principal reads it.

    A run of somebody else is not found: every operation looks its run up in that ledger.
    """

    def __init__(self, whole: Orchestrator, principal: Principal, owners: Owners) -> None:
        super().__init__(
            SeenLedger(whole.ledger, principal, owners),
            whole._settings,
            whole._roster,
            whole._executors,
            whole._contract,
            whole._holder,
            whole._clock,
            whole.sampler,
        )
        self._history = whole._history
        self._principal = principal
        self._owners = owners
        self.takes_approvals = self.asks_approvals = principal.may(APPROVE)

    def sees(self, run_id: str) -> bool:
        """Tell whether a run is the principal's."""
        return self.ledger.store.newest(RunId(run_id)) is not None

    async def plan(
        self,
        request: str | None = None,
        *,
        plan: Mapping[str, object] | None = None,
        wait_s: float = 45.0,
        by: str = "",
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Plan a request in the principal's name."""
        self._principal.need(SUBMIT)
        options["reuse"] = False  # what others have had done is not told by its being done already
        return await super().plan(request, plan=plan, wait_s=wait_s, by=self._principal.actor, **options)

    async def submit(
        self,
        request: str | None = None,
        *,
        plan: Mapping[str, object] | str | None = None,
        idempotency_key: str | None = None,
        wait_s: float = 45.0,
        by: str = "",
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Start a run in the principal's name; its idempotency keys are its own."""
        self._principal.need(SUBMIT)
        options["reuse"] = False
        return await super().submit(
            request,
            plan=plan,
            idempotency_key=None if idempotency_key is None else self._own_key(idempotency_key),
            wait_s=wait_s,
            by=self._principal.actor,
            detach=detach,
            **options,
        )

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "") -> RunView:
        """Cancel a run of the principal."""
        self._principal.need(SUBMIT)
        return await super().cancel(run_id, reason=reason, by=self._principal.actor)

    async def resume(self, run_id: str, *, wait_s: float = 45.0, detach: bool = False) -> RunView:
        """Go on with a run of the principal."""
        self._principal.need(SUBMIT)
        return await super().resume(run_id, wait_s=wait_s, detach=detach)

    async def resume_all(self, *, detach: bool = False) -> list[RunLine]:
        """Take up the principal's interrupted runs."""
        self._principal.need(SUBMIT)
        return await super().resume_all(detach=detach)

    async def fork(
        self,
        run_id: str,
        *,
        seq: int | None = None,
        request: str | None = None,
        plan: Mapping[str, object] | None = None,
        wait_s: float = 45.0,
        by: str = "",
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Fork a run of the principal."""
        self._principal.need(SUBMIT)
        options["reuse"] = False
        return await super().fork(
            run_id,
            seq=seq,
            request=request,
            plan=plan,
            wait_s=wait_s,
            by=self._principal.actor,
            detach=detach,
            **options,
        )

    def may_lend(self, run_id: str) -> bool:
        """Tell whether the principal began the run: to look at another's lends it no model."""
        return self._owners.of(self.ledger.store, RunId(run_id)) == self._principal.actor

    def holds(self) -> list[str]:
        """Return the principal's runs that this process holds."""
        return [run for run in super().holds() if self.sees(run)]

    def gates(self, run_id: str | None = None) -> GatesView:
        """List the open gates of the principal's runs."""
        runs = [run_id] if run_id is not None else [row.run for row in self.ledger.store.runs(_RUNS_LOOKED_AT)]
        found = [gate for run in runs for gate in super(SeenForum, self).gates(run).gates]
        return GatesView(gates=sorted(found, key=lambda gate: (gate.deadline_us, gate.gate)))

    async def resolve(
        self,
        gate: int,
        *,
        approved: bool,
        by: str = "",
        how: str = "api",
        scope: str = "once",
        until_us: int | None = None,
        digest: str | None = None,
        reason: str = "",
        take_up: bool = True,
        wait_s: float = 0.0,
    ) -> RunView:
        """Resolve a gate of one of the principal's runs; a whole class of gates needs ``forum:admin``."""
        self._principal.need(APPROVE)
        if scope == "class":
            self._principal.need(ADMIN)
        self.ledger.store.entry(gate)
        return await super().resolve(
            gate,
            approved=approved,
            by=self._principal.actor,
            how=how,
            scope=scope,
            until_us=until_us,
            digest=digest,
            reason=reason,
            take_up=take_up,
            wait_s=wait_s,
        )

    async def work_next(
        self, run_id: str | None = None, *, limit: int = 1, item: int | None = None, client: str = ""
    ) -> WorkView:
        """Hand out items of the principal's runs."""
        self._principal.need(SUBMIT)
        mine = self._principal.name
        if item is not None:
            self.ledger.store.entry(item)
        if item is not None or run_id is not None:
            return await super().work_next(run_id, limit=limit, item=item, client=mine)
        view = WorkView(items=[], runs={}, next=None, checkpoint=self.ledger.newest_checkpoint())
        for row in reversed(self.ledger.store.runs(_RUNS_LOOKED_AT)):
            found = await super().work_next(row.run, limit=limit, client=mine)
            if found.items:
                return found
            view = found if found.next is not None and found.next.tool == "work" else view
        return view

    async def work_complete(self, item: int, result: str, *, client: str = "", wait_s: float = 5.0) -> WorkView:
        """Take a result back for one of the principal's runs."""
        self._principal.need(SUBMIT)
        self.ledger.store.entry(item)
        return await super().work_complete(item, result, client=self._principal.name, wait_s=wait_s)

    async def work_fail(self, item: int, reason: str, *, client: str = "", wait_s: float = 5.0) -> WorkView:
        """Take back that an item of one of the principal's runs cannot be done."""
        self._principal.need(SUBMIT)
        self.ledger.store.entry(item)
        return await super().work_fail(item, reason, client=self._principal.name, wait_s=wait_s)

    async def work_progress(self, item: int, note: str = "", *, client: str = "") -> WorkView:
        """Record that an item of one of the principal's runs is still being done."""
        self._principal.need(SUBMIT)
        self.ledger.store.entry(item)
        return await super().work_progress(item, note, client=self._principal.name)

    def _own_key(self, key: str) -> str:
        if not key.strip():
            return key  # which is refused
        return hashlib.sha256(f"{self._principal.name}\n{key}".encode("utf-8", "surrogatepass")).hexdigest()
