"""The ledger as one principal of a shared server may read it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

import msgspec

from forum_mcp.engine.ledger_reader import LedgerReader
from forum_mcp.engine.principal import ADMIN, Principal
from forum_mcp.engine.progress import OnProgress, no_progress
from forum_mcp.engine.views import EntryView, ShowView, TraceView, VerifyView
from forum_mcp.errors import NotFound
from forum_mcp.ledger.entry import Body, RunId
from forum_mcp.stores.base import Store
from forum_mcp.stores.principal import Owners, PrincipalStore

if TYPE_CHECKING:
    from forum_mcp.engine.filtering import EntryQuery

__all__ = ["PrincipalLedger"]

_WITHHELD = "withheld"


class PrincipalLedger(LedgerReader):
    """Every reading operation, over the store as the principal may read it.

    Three of them need the whole ledger: what is withheld is taken out of what they give. Nothing can be appended.
    """

    def __init__(self, whole: LedgerReader, principal: Principal, owners: Owners) -> None:
        def sees(store: Store, run: RunId | None, first_seq: int | None) -> bool:
            return principal.may(ADMIN) or (run is not None and owners.of(store, run, first_seq) == principal.actor)

        self._whole = whole
        self._seen = PrincipalStore(whole.store, sees)
        self._all = principal.may(ADMIN)
        super().__init__(self._seen, whole.signing)

    def body(self, commit: str) -> Body:
        """Return the body of a commitment that an entry of the principal's own runs cites.

        Raises:
            NotFound: none does, or the body is not here.
        """
        if not self._seen.knows(commit):
            raise NotFound(f"no entry of yours cites a body {commit[:64]!a}; read an entry for the ones that it cites")
        return super().body(commit)

    def show(
        self,
        *,
        seq: int | None = None,
        limit: int = 20,
        before: int | None = None,
        bodies: bool = False,
        **wanted: "Unpack[EntryQuery]",
    ) -> ShowView:
        """Return entries as ``LedgerReader.show`` does; of a withheld one, asked for by its seq, the leaf hash."""
        if seq is not None:
            stored = self._whole.store.entry(seq)
            if not self._seen.shows(stored.entry):
                leaf = _leaf_only(seq, stored.leaf)
                return ShowView(entries=[leaf], size=self.size, before=None, checkpoint=self.newest_checkpoint())
        return super().show(seq=seq, limit=limit, before=before, bodies=bodies, **wanted)

    def trace(self, seq: int, limit: int = 500) -> TraceView:
        """Return what caused an entry, without what is withheld.

        Raises:
            NotFound: there is no such entry, or it is withheld.
        """
        self._seen.entry(seq)
        view = self._whole.trace(seq, limit)
        lines = [line for line in view.lines if self._seen.shows(self._whole.store.entry(line.seq).entry)]
        return msgspec.structs.replace(view, lines=lines, more=view.more or len(lines) < len(view.lines))

    def verify(
        self,
        level: int = 3,
        checkpoint: str | Sequence[str] | None = None,
        *,
        vkeys: Sequence[str] = (),
        witnesses: Sequence[str] = (),
        on_progress: OnProgress = no_progress,
    ) -> VerifyView:
        """Verify the whole record; of a fault in what is withheld only its place and code are told."""
        view = self._whole.verify(level, checkpoint, vkeys=vkeys, witnesses=witnesses, on_progress=on_progress)
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
