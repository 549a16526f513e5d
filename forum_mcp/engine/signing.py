"""Signing the head of an open ledger: nothing is appended, and nothing is signed that does not extend the last time.

The key is read when it is first needed. Each signature is made while the memory of the last one is held, so that of
two processes neither can sign beside the other; the memory's own file says when it must be durable.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from forum_mcp.errors import CheckpointRefused, LedgerError, LedgerReadOnly, NoteError
from forum_mcp.ledger import checkpoint as checkpoints
from forum_mcp.ledger import merkle, note
from forum_mcp.ledger.entry import Draft, NewBody
from forum_mcp.ledger.finding import Finding, Report
from forum_mcp.stores.base import Store, Stored, Transaction
from forum_mcp.stores.signed import Remembered, SignedHere, SignedMemory

__all__ = ["Signed", "Signing"]

_AFTER: Final = (
    "put the newer ledger back, or accept the loss on record: forum-mcp ledger accept-rollback --reason TEXT"
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed checkpoint. ``rotating``: it carries the old and the new key's signature, and vouches for the new."""

    note: str
    size: int
    rotating: bool


class Signing:
    """The signer of one ledger.

    ``read_key`` gives its private key, or raises what stands in the way; ``read_next`` during a rotation the next one;
    ``memory`` is where it remembers what it signed last.

    Size and root come from the store, which keeps the right edge of the tree for as long as no other process commits:
    a signature costs the same at any size.
    """

    def __init__(
        self,
        store: Store,
        read_key: Callable[[], note.Signer],
        read_next: Callable[[], note.Signer | None] = lambda: None,
        memory: SignedMemory | None = None,
    ) -> None:
        self._store = store
        self._read_key = read_key
        self._read_next = read_next
        self._memory = SignedHere() if memory is None else memory
        self._origin = checkpoints.origin_of(store.ledger_id)
        self._pens: tuple[note.Pen, ...] = ()
        self._token: int | None = None
        self._vkey: str | None = None
        self._mine: Remembered | None = None
        self._last: Signed | None = None

    @property
    def vkey(self) -> str:
        """The C2SP verifier key in force: of the newest ``key.rotated``, else of entry 0."""
        self._refresh(self._store.change_token())
        return self._in_force()

    def _in_force(self) -> str:
        if self._vkey is None:
            rotated = self._store.newest_of_kind("key.rotated")
            stored = self._store.entry(0) if rotated is None else rotated
            self._vkey = str(stored.entry.data.get("vkey", ""))
        return self._vkey

    def close(self) -> None:
        """Let go of the memory's file."""
        self._memory.close()

    def forget(self) -> None:
        """Believe nothing that was read before: the record has a new key, or the memory was replaced."""
        self._token = None

    def sign(self, size: int) -> str:
        """Return the signed checkpoint over the first ``size`` entries, which are committed; see ``signed``.

        Raises:
            CheckpointRefused, LedgerReadOnly, NoteError: as ``signed``.
        """
        return self.signed(size).note

    def head(self) -> str:
        """Return the signed checkpoint over all that is committed; see ``signed``."""
        return self.signed().note

    def signed(self, size: int | None = None, *, durable: bool = False) -> Signed:
        """Sign the first ``size`` entries, or all that are committed.

        Args:
            size: entries that are committed.
            durable: remember it beyond a power cut, as for a checkpoint that is recorded.

        Raises:
            CheckpointRefused: the ledger is not a continuation of what was signed last.
            LedgerReadOnly: the key file is missing, or the memory cannot be written.
            NoteError: the key is damaged, or not the one the record names.
        """
        head = self._store.head()
        self._refresh(head.token)
        pens = self._ready()
        within, root = head.size, head.root
        if size is not None and size != within:
            within, root = size, merkle.root_from_nodes(size, self._store.node)
        if not durable and self._last is not None and self._last.size == within:
            return self._last  # signed and remembered already, and nobody has committed since: nothing new is said
        with self._memory.hold() as held:
            before = held.remembered
            known = before is None or (before == self._mine and before.size <= within)
            if before is not None and not known and not self._extends(before, within):
                within, root = self._anew(before, size)
            present = Remembered(within, root)
            if durable or before != present:
                held.remember(present, durable=durable)
            self._mine = present
        text = checkpoints.format(checkpoints.Checkpoint(self._origin, within, root))
        self._last = Signed(note.sign(text, *pens), within, len(pens) > 1)
        return self._last

    def record(
        self, transaction: Transaction, committed: int, at_us: int, parents: Sequence[int] = ()
    ) -> tuple[Stored, bool]:
        """Append the checkpoint over the first ``committed`` entries; also tell whether it vouches for a new key.

        Raises:
            CheckpointRefused, LedgerReadOnly, NoteError: as ``signed``; nothing was appended.
        """
        # Only what is committed is signed: the signer would remember a tree that a crash may still undo.
        signed = self.signed(committed, durable=True)
        body = NewBody("text/plain; charset=utf-8", signed.note.encode())
        draft = Draft("checkpoint.signed", "engine", {"size": signed.size}, {"note": body}, tuple(parents))
        return transaction.append(draft, run=None, at_us=at_us), signed.rotating

    def recording(self, every: int, now_us: Callable[[], int]) -> Callable[[Transaction, int], None]:
        """Return the work that records a checkpoint when a transaction passes a multiple of ``every`` entries."""

        def work(transaction: Transaction, committed: int) -> None:
            if committed // every == transaction.size // every:
                return
            # What cannot be signed is told by ``verify`` and to whoever asks for a checkpoint; it stops no work.
            with suppress(LedgerError):
                self.record(transaction, committed, now_us())

        return work

    def newest_note(self) -> str | None:
        """Return a note over the present head, or where none can be signed the newest the record holds, or None."""
        try:
            return self.head()
        except LedgerError:
            stored = self._store.newest_of_kind("checkpoint.signed")
        reference = None if stored is None else stored.entry.bodies.get("note")
        body = None if reference is None else self._store.body(reference.commit)
        return None if body is None else body.data.decode("utf-8", "replace")

    def abandoned(self) -> tuple[Remembered, Finding] | None:
        """Return what was signed last and how this ledger is no continuation of it; None when it is one.

        Raises:
            CheckpointRefused: the memory is damaged.
            LedgerReadOnly: it cannot be opened.
        """
        with self._memory.hold() as held:
            fault = None if held.remembered is None else self._difference(held.remembered)
            return None if held.remembered is None or fault is None else (held.remembered, fault)

    def judged(self, report: Report) -> Report:
        """Return the report with what the signer remembers held against the ledger; needs no key.

        That it agrees is no protection to boast of: the memory lies where the key lies.
        """
        try:
            found = self.abandoned()
        except (CheckpointRefused, LedgerReadOnly) as error:
            return report.deepened(report.level, (), not_protected=(f"signer: its memory was not compared, {error}",))
        if found is None:
            return report
        fault = found[1]
        told = f"signer: it signs no more, because it has signed {fault.expected.partition(',')[0]}"
        return report.deepened(report.level, (fault,), not_protected=(told,))

    def accept(self) -> Remembered:
        """Take the ledger as it is for what was signed last; return that."""
        self.forget()
        head = self._store.head()
        present = Remembered(head.size, head.root)
        self._memory.reset(present)
        return present

    def own_vkeys(self) -> list[str]:
        """Return the verifier key of the private key at hand: none when it is missing."""
        try:
            return [note.Pen(self._read_key()).vkey]
        except LedgerError:
            return []

    def _ready(self) -> tuple[note.Pen, ...]:
        """Return the pens that must sign: the key in force, during a rotation after the one before it."""
        in_force = self._in_force()
        if len(self._pens) == 1 and self._pens[0].vkey == in_force:
            return self._pens
        own = note.Pen(self._read_key())
        pens: tuple[note.Pen, ...] = (own,)
        if own.vkey != in_force:
            following = self._read_next()
            if following is None or following.vkey != in_force:
                raise NoteError(
                    "no checkpoint can be signed: the key file beside the ledger holds another key than the record "
                    "names; put the right one back from a copy"
                )
            pens = (own, note.Pen(following))
        self._pens = pens
        return pens

    def _refresh(self, token: int) -> None:
        if token != self._token:
            self._token, self._vkey, self._mine, self._last = token, None, None, None

    def _extends(self, remembered: Remembered, size: int) -> bool:
        return remembered.size <= size and merkle.root_from_nodes(remembered.size, self._store.node) == remembered.root

    def _anew(self, remembered: Remembered, size: int | None) -> tuple[int, bytes]:
        """Return size and root as they are on disk now: our own view may be a held one, older than the last signature.

        Raises:
            CheckpointRefused: what is on disk does not continue it either.
        """
        fault = self._difference(remembered)
        if fault is not None:
            raise CheckpointRefused(
                f"no checkpoint is signed: expected {fault.expected}, found {fault.found}; {_AFTER}"
            )
        with self._store.anew() as fresh:
            within = max(remembered.size, fresh.size() if size is None else size)
            return within, merkle.root_from_nodes(within, fresh.node)

    def _difference(self, remembered: Remembered) -> Finding | None:
        with self._store.anew() as fresh:
            size = fresh.size()
            if size < remembered.size:
                expected = f"{remembered.size} entries, which this ledger's key has signed"
                found = f"{size} entries: the tail is gone, or an older copy is back"
                return Finding("checkpoint-beyond-tail", None, None, expected, found)
            root = merkle.root_from_nodes(remembered.size, fresh.node)
        if root == remembered.root:
            return None
        expected = (
            f"root {remembered.root.hex()} over the first {remembered.size} entries, which this ledger's key has signed"
        )
        return Finding("checkpoint-root", None, None, expected, f"root {root.hex()} over them: history was rewritten")
