"""``Ledger``: one ledger opened, the same operations for Python, the CLI and MCP.

Reading and verifying need no key. What only some methods need is loaded by them: ``ledger verify`` starts small.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from forum_mcp.configs.paths import MEMORY, default_ledger
from forum_mcp.engine import reading
from forum_mcp.engine.bodies import BodyGiven, body_of
from forum_mcp.engine.genesis import create_file, create_in_memory
from forum_mcp.engine.progress import Heed, unheard
from forum_mcp.engine.signing import Signing
from forum_mcp.engine.verifying import verify_open, verify_path
from forum_mcp.engine.views import EntryView, ReplayView, ShowView, TraceView, VerifyView
from forum_mcp.errors import LedgerMissing, LedgerReadOnly, NotFound, RequestRefused
from forum_mcp.ledger import merkle
from forum_mcp.ledger.entry import Body, Draft, LedgerId, RunId
from forum_mcp.stores.base import Stored, Transaction
from forum_mcp.stores.keys import KeyFile, KeyHere, Keys
from forum_mcp.stores.recognition import is_export
from forum_mcp.stores.signed import SignedFile
from forum_mcp.stores.sqlite import SqliteStore, wall_clock_us

if TYPE_CHECKING:
    from forum_mcp.stores.export_file import ExportStore
    from forum_mcp.stores.seen import SeenStore

__all__ = ["Ledger", "verify_path"]


class Ledger:
    """One open ledger; a context manager. Make it with ``open``."""

    def __init__(
        self,
        store: "SqliteStore | ExportStore | SeenStore",
        signing: Signing,
        now_us: Callable[[], int],
        keys: Keys | None = None,
        checkpoint_every: int = 0,
    ) -> None:
        self._store = store
        self._signing = signing
        self.now_us = now_us  # wall clock, microseconds since the epoch
        self._keys = keys
        if isinstance(store, SqliteStore) and checkpoint_every > 0:
            store.before_commit(signing.recording(checkpoint_every, now_us))

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        create: bool = True,
        read_only: bool = False,
        keys: Path | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        now_us: Callable[[], int] = wall_clock_us,
        checkpoint_every: int = 1000,
    ) -> Self:
        """Open a ledger, making it first where there is none; O(log n) reads.

        Args:
            path: the file, an export (read-only), ``:memory:``, or None for the user's own ledger.
            create: make a ledger where there is none, with its key and entry 0.
            read_only: never write; nothing is created.
            keys: directory of the signing keys, ``keys`` beside the ledger unless given.
            entropy: source of ids, salts and keys; n -> n bytes.
            now_us: wall clock, microseconds since the epoch.
            checkpoint_every: record a signed checkpoint with every so many entries; 0 is never.

        Raises:
            LedgerMissing: there is none and it is not to be made.
            LedgerUnreadable: not a ledger, damaged at its head, or a place that cannot hold one.
        """
        if path is not None and str(path) == MEMORY:
            store, signer = create_in_memory(entropy, now_us)
            here = KeyHere(signer)
            return cls(store, Signing(store, here.read, here.staged), now_us, here, checkpoint_every)
        file = Path(default_ledger() if path is None else path).expanduser().absolute()
        if is_export(file):
            from forum_mcp.engine.exports import open_export

            return cls(*open_export(file), now_us)
        key_file = KeyFile(file.resolve().parent / "keys" if keys is None else keys)
        try:
            store = SqliteStore.open(file, read_only=read_only, entropy=entropy, now_us=now_us)
        except LedgerMissing:
            if not create or read_only:
                raise
            store = create_file(file, key_file, entropy, now_us)
        own = key_file.of(store.ledger_id)
        signing = Signing(store, own.read, own.staged, SignedFile(own.memory))
        return cls(store, signing, now_us, own, checkpoint_every)

    def close(self) -> None:
        """Release the ledger; closing twice is harmless."""
        self._store.close()
        self._signing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def store(self) -> "SqliteStore | ExportStore | SeenStore":
        """The store, for the engine."""
        return self._store

    @property
    def missing_rest(self) -> str | None:
        """Why an export cannot be shown to its end, or None: the whole of it is here."""
        return None if isinstance(self._store, SqliteStore) else self._store.fault

    @property
    def signing(self) -> Signing:
        """The signer, for ``engine.custody``."""
        return self._signing

    @property
    def keys(self) -> Keys:
        """The private keys.

        Raises:
            LedgerReadOnly: a copy has none.
        """
        if self._keys is None:
            raise LedgerReadOnly("an export has no keys: it is a copy; name the ledger itself with --ledger")
        return self._keys

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

    def append(
        self,
        kind: str,
        *,
        actor: str,
        data: Mapping[str, object] | None = None,
        bodies: Mapping[str, BodyGiven] | None = None,
        parents: Sequence[int] = (),
        run: str | None = None,
    ) -> EntryView:
        """Append one entry of any dotted kind, durable on return.

        Args:
            kind: dotted, past tense.
            actor: who, 1..200 characters.
            data: small facts; ASCII keys, whole numbers, texts.
            bodies: name -> text, bytes, ``NewBody`` for another media type, or the reference of an earlier entry.
            parents: seqs of the entries that caused it, ascending, each once.
            run: 32 lower-case hex, or None.

        Raises:
            EntryRefused: the entry would break the format; nothing was appended.
            LedgerReadOnly: the ledger is open for reading only, or the disk failed.
        """
        given = {name: body_of(name, body) for name, body in (bodies or {}).items()}
        draft = Draft(kind, actor, data or {}, given, tuple(parents))
        of_run = None if run is None else RunId(run)
        stored = self._store.transact(lambda transaction: transaction.append(draft, run=of_run, at_us=self.now_us()))
        if kind == "key.rotated":
            self._signing.forget()
        return reading.entry_view(self._store, stored)

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
        """Return one entry, or the newest of those wanted, newest last; ``before`` pages on.

        ``kind`` and ``actor`` may be first words; see ``filtering.make_filter`` for them, the times and the text.

        Raises:
            NotFound: no entry ``seq``.
            RequestRefused: limit, before or a time out of range.
        """
        from forum_mcp.engine.filtering import make_filter

        wanted = make_filter(run_id=run_id, kind=kind, actor=actor, since=since, until=until, text=text)
        newest = self._signing.newest_note()
        if seq is not None:
            return reading.show_one(self._store, seq, bodies=bodies, checkpoint=newest)
        return reading.show(self._store, wanted=wanted, limit=limit, before=before, bodies=bodies, checkpoint=newest)

    def trace(self, seq: int, limit: int = 500) -> TraceView:
        """Return what caused an entry, newest first, at most ``limit`` lines.

        Raises:
            NotFound: no such entry.
            RequestRefused: limit out of range.
        """
        return reading.trace_view(self._store, seq, limit)

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

    def record_checkpoint(self, parents: Sequence[int] = ()) -> EntryView:
        """Append ``checkpoint.signed`` with the note over the entries before it; ends a rotation that is under way.

        Raises:
            CheckpointRefused: the ledger is not a continuation of what was signed last.
            LedgerReadOnly: the key file is missing, or nothing can be appended.
        """

        def work(transaction: Transaction) -> tuple[Stored, bool]:
            return self._signing.record(transaction, transaction.size, self.now_us(), parents)

        stored, rotating = self._store.transact(work)
        if rotating and self._keys is not None:
            # The old key may go only now: a checkpoint that both have signed is durable.
            self._keys.promote()
            self._signing.forget()
        return reading.entry_view(self._store, stored)

    def verify(
        self,
        level: int = 3,
        checkpoint: str | Sequence[str] | None = None,
        *,
        vkeys: Sequence[str] = (),
        witnesses: Sequence[str] = (),
        heed: Heed = unheard,
    ) -> VerifyView:
        """Recompute everything from the disk; arguments as of ``verify_path``, the key in use here is known without.

        Raises:
            LedgerMissing: the file has gone.
            RequestRefused: no such level.
        """
        trusted = list(dict.fromkeys([*vkeys, *self._signing.own_vkeys()]))
        return verify_open(self._store, self._signing, level, checkpoint, trusted, witnesses, heed)

    def replay(self, until: int | str | None = None, run_id: str | None = None) -> ReplayView:
        """Rebuild the state after the entry ``until`` (a seq, or an ISO 8601 time) and return it; runs nothing.

        Raises:
            NotFound: no such entry or run.
            RequestRefused: ``until`` is neither a seq nor a time.
        """
        from forum_mcp.engine.replay import replay

        return replay(self.store, self.root, until=until, run_id=run_id)

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
