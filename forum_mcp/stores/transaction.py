"""A transaction of the SQLite store: the write lock held, the head known, entries appended in order.

Order of one append: check, link, then hand over the entry with the tree nodes it completes and its bodies. Everything
that can be refused is refused before that, so a work that catches the refusal and goes on leaves no orphan behind.

What is appended waits in ``Pending`` and is written in one go before the COMMIT: one statement for a table, not for a
row. Reads inside the transaction look there first. A savepoint is therefore a mark in a list, and costs SQLite nothing
until a work writes something else (a lease, a redaction) or more waits than may.
"""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType

from forum_mcp.errors import EntryRefused
from forum_mcp.ledger.entry import (
    Body,
    BodyRef,
    Draft,
    Entry,
    LedgerId,
    NewBody,
    RunId,
    commitment,
    decode,
    genesis_prev,
    leaf_hash,
)
from forum_mcp.ledger.members import is_media_type, seal
from forum_mcp.stores import rows, tree
from forum_mcp.stores.base import Lease, Stored
from forum_mcp.stores.bodies import BODY_MAX_BYTES, BodyTable
from forum_mcp.stores.connection import refusal
from forum_mcp.stores.pending import Mark, Pending

__all__ = ["SqliteTransaction"]

_SALT_BYTES = 32


class SqliteTransaction:
    """The write lock held on one connection; see ``stores.base.Transaction``."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        ledger: LedgerId,
        bodies: BodyTable,
        entropy: Callable[[int], bytes],
        edge: tree.Edge | None = None,
    ) -> None:
        """Begin with ``edge``, the right edge of the tree as the connection sees it; it is read where None."""
        self._connection = connection
        self._ledger = ledger
        self._bodies = bodies
        self._entropy = entropy
        self.edge = tree.read_edge(connection, bytes.fromhex(genesis_prev(ledger))) if edge is None else edge
        self._pending = Pending()
        self._mark: Mark | None = None
        self._in_savepoint = False
        self._reported = _Reported()

    @property
    def broken(self) -> sqlite3.Error | None:
        """The SQLite error after which nothing of this transaction may be committed."""
        return self._reported.broken

    @property
    def size(self) -> int:
        """Entries so far, those of this transaction included."""
        return self.edge.size

    @contextmanager
    def savepoint(self) -> Generator[None]:
        """Undo what the block appended when it raises, and keep the rest of the transaction."""
        edge = self.edge
        self._mark = self._pending.mark()
        try:
            yield
        except BaseException:
            if self.broken is None:
                self._pending.cut(self._mark)
                self._bodies.forget()
                if self._in_savepoint:
                    with self._reported:
                        self._connection.execute("ROLLBACK TO work")
            self.edge = edge
            raise
        finally:
            self._mark = None
            if self._in_savepoint and self.broken is None:
                with self._reported:
                    self._connection.execute("RELEASE work")
            self._in_savepoint = False

    def flush(self) -> None:
        """Write all that waits; the caller commits."""
        self._writing()
        with self._reported:
            self._pending.write(self._connection, self._bodies)
            if self._mark is not None:
                self._mark = self._pending.mark()

    def newest(self, run: RunId) -> int | None:
        """Return the seq of the run's newest entry, or None."""
        waiting = self._pending.newest(run)
        if waiting is not None:
            return waiting
        with self._reported:
            return rows.newest(self._connection, run)

    def run_entries(self, run: RunId, after: int = -1) -> list[Stored]:
        """Return the run's entries with seq > after, oldest first."""
        with self._reported:
            found = rows.run_entries(self._connection, run, after)
        return [*found, *self._pending.run_entries(run, after)]

    def append(self, draft: Draft, *, run: RunId | None, at_us: int) -> Stored:
        """Append one entry; see ``stores.base.Transaction.append``.

        Raises:
            EntryRefused: the entry would break the format, or cites a body the ledger does not hold.
            LedgerError: the disk or the ledger failed; nothing of the transaction will be committed.
        """
        edge = self.edge
        _check_types(draft, at_us)
        with self._reported:
            fresh: dict[bytes, Body] = {}
            references = {name: self._reference(name, body, fresh) for name, body in draft.bodies.items()}
            raw = _sealed(
                Entry(
                    actor=draft.actor,
                    at=at_us,
                    bodies=references,
                    data=dict(draft.data),
                    kind=draft.kind,
                    ledger=self._ledger,
                    parents=list(draft.parents),
                    prev=edge.leaf.hex(),
                    run=run,
                    seq=edge.size,
                    v=1,
                )
            )
            leaf = leaf_hash(raw)
            self.edge, hashes = tree.extended(edge, leaf)
            self._pending.add((edge.size, run, draft.kind, hashes, raw), fresh)
        if self._pending.full:
            self.flush()
        # Decoded from the bytes: the caller's own dicts may change later, the record may not.
        return Stored(decode(raw), raw, leaf)

    def redact(self, draft: Draft, *, run: RunId | None, at_us: int) -> Stored | None:
        """Append a ``body.redacted`` entry and delete its body; see ``stores.base.Transaction.redact``.

        Raises:
            EntryRefused, LedgerError: as ``append``.
        """
        commit = str(draft.data.get("commit", ""))
        self.flush()
        with self._reported:
            if not self._bodies.is_row(commit):
                return None
        stored = self.append(draft, run=run, at_us=at_us)
        self.flush()
        with self._reported:
            self._bodies.remove(commit)
        return stored

    def lease(self, run: RunId) -> Lease | None:
        """Return the run's lease, expired or not."""
        with self._reported:
            return rows.lease(self._connection, run)

    def set_lease(self, lease: Lease) -> None:
        """Write the run's lease."""
        self._writing()
        with self._reported:
            rows.set_lease(self._connection, lease)

    def drop_lease(self, run: RunId, fence: int) -> None:
        """End the lease if ``fence`` is still the one given."""
        self._writing()
        with self._reported:
            rows.drop_lease(self._connection, run, fence)

    def account(self, name: str) -> bytes | None:
        """Return what ``set_account`` wrote last under the name, or None."""
        with self._reported:
            return rows.account(self._connection, name)

    def set_account(self, name: str, value: bytes) -> None:
        """Write an account."""
        self._writing()
        with self._reported:
            rows.set_account(self._connection, name, value)

    def _reference(self, name: str, body: NewBody | BodyRef, fresh: dict[bytes, Body]) -> BodyRef:
        if not is_media_type(body.type):
            raise EntryRefused(
                f"body {name[:80]!a} has the media type {body.type[:120]!a}; expected lower-case printable "
                "ASCII of 1 to 100 characters like 'text/plain; charset=utf-8'"
            )
        if isinstance(body, BodyRef):
            held = self._pending.holds(body) or self._bodies.holds(body.commit, body.size, body.type)
            if not held:
                raise EntryRefused(
                    f"body '{name}' cites {body.commit[:16]}..., which this ledger does not hold with that "
                    "size and type (redacted, or of another ledger); give its bytes instead"
                )
            return body
        if len(body.data) > BODY_MAX_BYTES:
            raise EntryRefused(
                f"body {name[:80]!a} of {len(body.data)} bytes is refused: expected at most "
                f"{BODY_MAX_BYTES}; keep the file elsewhere and record its digest"
            )
        key = self._bodies.key(body.type, body.data)
        known = fresh.get(key) or self._pending.bodies.get(key)
        commit = self._bodies.find(key) if known is None else known.commit
        if commit is None:
            salt = self._entropy(_SALT_BYTES)
            commit = commitment(salt, body.type, body.data)
            fresh[key] = Body(commit, body.type, salt, bytes(body.data))
        return BodyRef(commit, len(body.data), body.type)

    def _writing(self) -> None:
        """Before the first write of a savepoint's block: make it one that SQLite can undo."""
        if self._mark is None or self._in_savepoint:
            return
        with self._reported:
            self._mark = self._pending.write(self._connection, self._bodies, self._mark)
            self._connection.execute("SAVEPOINT work")
        self._in_savepoint = True


class _Reported:
    """Remembers an SQLite error, so that a work that catches the refusal cannot have the rest committed.

    A class and not a generator: an append goes through it several times.
    """

    __slots__ = ("broken",)

    def __init__(self) -> None:
        self.broken: sqlite3.Error | None = None

    def __enter__(self) -> None:
        if self.broken is not None:
            raise refusal(self.broken)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            self.broken = error
            raise refusal(error) from error


def _sealed(entry: Entry) -> bytes:
    try:
        return seal(entry)
    except (TypeError, ValueError) as error:  # a subclass of str or int, which the encoder does not take
        raise EntryRefused(f"a {entry.kind[:100]!a} entry is refused: {error}; expected plain JSON values") from error


def _check_types(draft: Draft, at_us: int) -> None:
    """Refuse what the types forbid and a caller without a type checker may still pass: it would encode otherwise."""
    if type(at_us) is not int or at_us < 0:
        raise EntryRefused(f"at {at_us!r} is refused: expected microseconds since 1970 as a whole number, 0 or more")
    if not all(type(parent) is int for parent in draft.parents):
        raise EntryRefused(f"parents {draft.parents[:20]!r} are refused: expected seqs, ascending, each once")
