"""Signing the head of an open ledger: the key is read when it is first needed, and nothing is appended."""

from collections.abc import Callable

from forum_mcp.errors import LedgerError, NoteError
from forum_mcp.ledger import checkpoint as checkpoints
from forum_mcp.ledger import merkle, note
from forum_mcp.stores.base import Store

__all__ = ["Signing"]


class Signing:
    """The signer of one ledger. ``read_key`` gives its private key, or raises what stands in the way."""

    def __init__(self, store: Store, read_key: Callable[[], note.Signer]) -> None:
        self._store = store
        self._read_key = read_key
        self._key: note.Signer | None = None

    @property
    def vkey(self) -> str:
        """The C2SP verifier key in force: of the newest ``key.rotated``, else of entry 0."""
        rotated = self._store.newest_of_kind("key.rotated")
        stored = self._store.entry(0) if rotated is None else rotated
        return str(stored.entry.data.get("vkey", ""))

    def sign(self, size: int) -> str:
        """Return the signed checkpoint over the first ``size`` entries.

        Raises:
            LedgerReadOnly: the key file is missing.
            NoteError: the key is damaged, or not the one the record names.
        """
        key = self._own_key()
        if key.vkey != self.vkey:
            raise NoteError(
                "no checkpoint can be signed: the key file beside the ledger holds another key than the record names; "
                "put the right one back from a copy"
            )
        origin = checkpoints.origin_of(self._store.ledger_id)
        root = merkle.root_from_nodes(size, self._store.node)
        return note.sign(checkpoints.format(checkpoints.Checkpoint(origin, size, root)), key)

    def newest_note(self) -> str | None:
        """Return a note over the present head, or without a key the newest one the record holds, or None."""
        try:
            with self._store.snapshot():
                return self.sign(self._store.size())
        except LedgerError:
            stored = self._store.newest_of_kind("checkpoint.signed")
        reference = None if stored is None else stored.entry.bodies.get("note")
        body = None if reference is None else self._store.body(reference.commit)
        return None if body is None else body.data.decode("utf-8", "replace")

    def own_vkeys(self) -> list[str]:
        """Return the verifier key of the private key at hand: none when it is missing."""
        try:
            return [self._own_key().vkey]
        except LedgerError:
            return []

    def _own_key(self) -> note.Signer:
        if self._key is None:
            self._key = self._read_key()
        return self._key
