"""``Ledger``: one ledger opened, the same operations for Python, the CLI and MCP.

What it answers stands in ``ledger_reader.py``; here it is opened, appended to, signed and closed. What only some
methods need is loaded by them: ``ledger verify`` starts small.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from forum_mcp.configs.paths import MEMORY, default_ledger
from forum_mcp.engine import reading
from forum_mcp.engine.ledger_reader import LedgerReader
from forum_mcp.engine.signing import Signing
from forum_mcp.engine.verifying import verify_path
from forum_mcp.engine.views import EntryView
from forum_mcp.errors import LedgerMissing, LedgerReadOnly
from forum_mcp.ledger.entry import Draft, RunId
from forum_mcp.stores.base import Store, Stored, Transaction
from forum_mcp.stores.keys import KeyFile, KeyHere, Keys
from forum_mcp.stores.recognition import is_export
from forum_mcp.stores.signed import SignedFile
from forum_mcp.stores.sqlite import SqliteStore, wall_clock_us

if TYPE_CHECKING:
    from forum_mcp.engine.bodies import BodyGiven

__all__ = ["Ledger", "verify_path"]


class Ledger(LedgerReader):
    """One open ledger; a context manager. Make it with ``open``."""

    def __init__(
        self,
        store: Store,
        signing: Signing,
        now_us: Callable[[], int],
        keys: Keys | None = None,
        checkpoint_every: int = 0,
    ) -> None:
        """Use ``open``; ``keys`` are None for a copy, which is never signed."""
        super().__init__(store, signing)
        self.now_us = now_us
        """Wall clock, microseconds since the epoch."""
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
            from forum_mcp.engine.genesis import create_in_memory

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
            from forum_mcp.engine.genesis import create_file

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
    def keys(self) -> Keys:
        """The private keys.

        Raises:
            LedgerReadOnly: a copy has none.
        """
        if self._keys is None:
            raise LedgerReadOnly("an export has no keys: it is a copy; name the ledger itself with --ledger")
        return self._keys

    def append(
        self,
        kind: str,
        *,
        actor: str,
        data: Mapping[str, object] | None = None,
        bodies: "Mapping[str, BodyGiven] | None" = None,
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
        from forum_mcp.engine.bodies import body_of

        given = {name: body_of(name, body) for name, body in (bodies or {}).items()}
        draft = Draft(kind, actor, data or {}, given, tuple(parents))
        of_run = None if run is None else RunId(run)
        stored = self._store.transact(lambda transaction: transaction.append(draft, run=of_run, at_us=self.now_us()))
        if kind == "key.rotated":
            self._signing.forget()
        return reading.entry_view(self._store, stored)

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
