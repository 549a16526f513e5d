"""What can be read of an open ledger: entries, causes, bodies, proofs, states, exports. Nothing here appends.

Everything comes through the one store that is given, so what that store withholds nobody reads. Reading needs no key;
without one the newest checkpoint is the newest on record. What only some methods need is loaded by them: ``ledger
verify`` starts small.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Unpack

from forum_mcp.engine import reading
from forum_mcp.engine.progress import OnProgress, no_progress
from forum_mcp.engine.signing import Signing
from forum_mcp.engine.verifying import verify_open
from forum_mcp.engine.views import DescentView, EntryView, ReplayView, ShowView, TraceView, VerifyView
from forum_mcp.errors import NotFound, RequestRefused
from forum_mcp.ledger import merkle
from forum_mcp.ledger.entry import Body, LedgerId
from forum_mcp.stores.base import Store

if TYPE_CHECKING:
    from forum_mcp.engine.filtering import EntryQuery

__all__ = ["LedgerReader"]


class LedgerReader:
    """An open ledger, to be read and verified."""

    def __init__(self, store: Store, signing: Signing) -> None:
        """Read through ``store``; ``signing`` gives the newest checkpoint."""
        self._store = store
        self._signing = signing

    @property
    def store(self) -> Store:
        """The store, for the engine."""
        return self._store

    @property
    def signing(self) -> Signing:
        """The signer, for the engine."""
        return self._signing

    @property
    def missing_rest(self) -> str | None:
        """Why an export cannot be shown to its end, or None: the whole of it is here."""
        return self._store.fault

    @property
    def ledger_id(self) -> LedgerId:
        """The ledger's id, 32 lower-case hex."""
        return self._store.ledger_id

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._store.size()

    @property
    def vkey(self) -> str:
        """The C2SP verifier key in force: of the newest ``key.rotated``, else of entry 0."""
        return self._signing.vkey

    def entry(self, seq: int) -> EntryView:
        """Return one entry with the texts of its bodies.

        Raises:
            NotFound: no such entry.
        """
        return reading.entry_view(self._store, self._store.entry(seq), texts=True)

    def raw(self, seq: int) -> bytes:
        """Return an entry's exact bytes: what is stored, hashed and verified.

        Raises:
            NotFound: no such entry.
        """
        return self._store.entry(seq).raw

    def body(self, commit: str) -> Body:
        """Return the body of a commitment (64 hex).

        Raises:
            NotFound: it is not here: redacted, missing, or never was.
        """
        body = self._store.body(commit)
        if body is None:
            raise NotFound(reading.absence(self._store, commit))
        return body

    def show(
        self,
        *,
        seq: int | None = None,
        limit: int = 20,
        before: int | None = None,
        bodies: bool = False,
        **wanted: "Unpack[EntryQuery]",
    ) -> ShowView:
        """Return one entry, or the newest of those wanted, newest last; ``before`` pages on.

        ``bodies`` adds the texts of their bodies; which are ``wanted`` says ``filtering.EntryQuery``.

        Raises:
            NotFound: no entry ``seq``.
            RequestRefused: limit, before or a time out of range.
        """
        from forum_mcp.engine.filtering import make_filter

        chosen = make_filter(**wanted)
        newest = self._signing.newest_note()
        if seq is not None:
            return reading.show_one(self._store, seq, bodies=bodies, checkpoint=newest)
        return reading.show(self._store, wanted=chosen, limit=limit, before=before, bodies=bodies, checkpoint=newest)

    def trace(self, seq: int, limit: int = 500) -> TraceView:
        """Return what caused an entry, newest first, at most ``limit`` lines.

        Raises:
            NotFound: no such entry.
            RequestRefused: limit out of range.
        """
        return reading.trace_view(self._store, seq, limit)

    def descent(self, seq: int, limit: int = 500) -> DescentView:
        """Return what an entry led to, oldest first, at most ``limit`` lines.

        Raises:
            NotFound: no such entry.
            RequestRefused: limit out of range.
        """
        from forum_mcp.engine.descent import descent

        return descent(self._store, seq, limit)

    def root(self, size: int | None = None) -> bytes:
        """Return the 32-byte root over the first ``size`` entries, all of them unless given.

        Raises:
            NotFound: the ledger has fewer entries.
        """
        if size is None:
            return self._store.head().root
        with self._store.snapshot():
            return merkle.root_from_nodes(self._within(size), self._store.node)

    def inclusion_proof(self, seq: int, size: int | None = None) -> list[bytes]:
        """Return the RFC 9162 inclusion proof of an entry in the tree of ``size`` (default: all) entries.

        Raises:
            NotFound: no such entry in a tree of that size.
        """
        with self._store.snapshot():
            within = self._within(size)
            if not 0 <= seq < within:
                raise NotFound(f"no entry {seq} in a tree of {within} entries")
            return merkle.inclusion_proof(seq, within, self._store.node)

    def consistency_proof(self, old_size: int, size: int | None = None) -> list[bytes]:
        """Return the RFC 9162 proof that the tree of ``size`` (default: all) entries extends that of ``old_size``.

        Raises:
            NotFound: the ledger has fewer entries.
            RequestRefused: no such proof exists (from 0, or backwards).
        """
        with self._store.snapshot():
            try:
                return merkle.consistency_proof(old_size, self._within(size), self._store.node)
            except ValueError as error:
                raise RequestRefused(str(error)) from error

    def proof(self, seq: int) -> str:
        """Return the C2SP tlog-proof of an entry under the newest checkpoint.

        Raises:
            NotFound: no such entry.
            RequestRefused: no checkpoint covers it, and without the key none can be signed.
        """
        from forum_mcp.engine import receipts

        with self._store.snapshot():
            return receipts.proof_of(self._store, seq, self._signing.newest_note())

    def growth_proof(self, since: str) -> str:
        """Return the proof that the ledger extends the kept checkpoint ``since``; see ``ledger.proof``.

        Raises:
            NoteError: ``since`` is not a checkpoint.
            RequestRefused: the ledger does not extend it.
        """
        from forum_mcp.engine import receipts

        with self._store.snapshot():
            return receipts.growth_proof(self._store, since, self._signing.newest_note())

    def receipt(self, seqs: Sequence[int] = (), *, run_id: str | None = None, bodies: bool = False) -> Iterator[bytes]:
        """Yield the lines of a receipt of the entries ``seqs``, or of a run: they can be verified without the rest.

        Raises:
            NotFound: no such entry or run.
            RequestRefused: no entry was named, or no checkpoint covers one.
        """
        from forum_mcp.engine import receipts

        with self._store.snapshot():
            wanted = seqs if run_id is None else [*seqs, *receipts.run_seqs(self._store, run_id)]
            vkeys, newest = receipts.verifier_keys(self._store), self._signing.newest_note()
            yield from receipts.receipt_of(self._store, wanted, newest, vkeys=vkeys, bodies=bodies)

    def checkpoint(self) -> str:
        """Sign the present head and return the note; appends nothing.

        Raises:
            CheckpointRefused: the ledger is not a continuation of what was signed last.
            LedgerReadOnly: the key file is missing.
            NoteError: the key file is damaged, or holds a key that does not sign for this ledger.
        """
        return self._signing.head()

    def newest_checkpoint(self) -> str | None:
        """Return a note over the present head; without the key the newest one the record holds, or None."""
        return self._signing.newest_note()

    def verify(
        self,
        level: int = 3,
        checkpoint: str | Sequence[str] | None = None,
        *,
        vkeys: Sequence[str] = (),
        witnesses: Sequence[str] = (),
        on_progress: OnProgress = no_progress,
    ) -> VerifyView:
        """Recompute everything from the disk; arguments as of ``verify_path``, the key in use here is known without.

        Raises:
            LedgerMissing: the file has gone.
            RequestRefused: no such level.
        """
        trusted = list(dict.fromkeys([*vkeys, *self._signing.own_vkeys()]))
        return verify_open(self._store, self._signing, level, checkpoint, trusted, witnesses, on_progress)

    def replay(self, until: int | str | None = None, run_id: str | None = None) -> ReplayView:
        """Rebuild the state after the entry ``until`` (a seq, or an ISO 8601 time) and return it; runs nothing.

        Raises:
            NotFound: no such entry or run.
            RequestRefused: ``until`` is neither a seq nor a time.
        """
        from forum_mcp.engine.replay import replay

        return replay(self._store, self.root, until=until, run_id=run_id)

    def export(self, *, without_bodies: bool = False) -> Iterator[bytes]:
        """Yield the lines of a self-contained export of the whole ledger, each ended by a newline.

        Raises:
            LedgerUnreadable: an entry cannot be read, so that no export can hold it.
        """
        from forum_mcp.engine.exports import export_lines

        newest = self._signing.newest_note()
        yield from export_lines(self._store, self.vkey, newest, without_bodies=without_bodies)

    def _within(self, size: int | None) -> int:
        present = self._store.size()
        if size is not None and not 0 <= size <= present:
            raise NotFound(f"no tree of {size} entries in a ledger of {present}")
        return present if size is None else size
