"""The store port: where entries, bodies, tree nodes and leases live.

A store keeps exact bytes and makes one promise: a transaction is all there after a crash, or not at all.
Inside a transaction the head is read under the write lock, so a seq is known the moment an entry is appended
and a rule can decide the next entry before anything is committed. Every store passes
``tests/contract/store_suite.py``.

Stores are synchronous: an embedded commit costs less than a thread hop. ``engine/recorder.py`` gathers
waiting works into one transaction and would run a networked store in a thread.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from forum_mcp.ledger.entry import Body, Draft, Entry, LedgerId, RunId

if TYPE_CHECKING:
    from forum_mcp.ledger.verify import Source

__all__ = ["BodyState", "Head", "Lease", "RunRow", "Store", "Stored", "Transaction"]

T = TypeVar("T")


class Stored(msgspec.Struct, frozen=True, gc=False):
    """An entry with its place: decoded form, exact bytes and 32-byte leaf hash."""

    entry: Entry
    raw: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may decide for a run. ``fence`` grows by one each time the lease changes hands.

    Attributes:
        holder: opaque id of a process (see ``engine/leases.py``).
        fence: 1, 2, 3 ... for the life of the run.
        expires_us: wall clock, microseconds since the epoch.
    """

    run: RunId
    holder: str
    fence: int
    expires_us: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of the index: its id and the seq of its ``run.started``."""

    run: RunId
    first_seq: int


@dataclass(frozen=True, slots=True)
class BodyState:
    """What became of a body.

    Attributes:
        state: ``present`` and matching; ``redacted`` on record; ``missing`` without a record; ``mismatch``: there, but
            not what its commitment promises.
        redacted_by: seq of the ``body.redacted`` entry, None without one.
    """

    state: Literal["present", "redacted", "missing", "mismatch"]
    redacted_by: int | None = None


class Head(NamedTuple):
    """The committed tree: number of entries, 32-byte root over them, and the ``change_token`` of that moment."""

    size: int
    root: bytes
    token: int


class Transaction(Protocol):
    """The write lock held: reads see everything committed plus what this transaction appended."""

    @property
    def size(self) -> int:
        """Entries so far, those of this transaction included."""
        ...

    def newest(self, run: RunId) -> int | None:
        """Return the seq of the run's newest entry, or None for a run that has none."""
        ...

    def run_entries(self, run: RunId, after: int = -1) -> list[Stored]:
        """Return the run's entries with seq > after, oldest first."""
        ...

    def append(self, draft: Draft, *, run: RunId | None, at_us: int) -> Stored:
        """Append one entry: salt and commit its new bodies, link it, extend the tree.

        Raises:
            EntryRefused: the entry would break the format, or cites a body the ledger does not hold.
            LedgerReadOnly: the store was opened read-only or lost a write.
        """
        ...

    def redact(self, draft: Draft, *, run: RunId | None, at_us: int) -> Stored | None:
        """Append a ``body.redacted`` entry and delete the body of its ``data["commit"]``, salt and index row with it.

        Returns:
            None, with nothing appended, when the body is not here.
        """
        ...

    def lease(self, run: RunId) -> Lease | None:
        """Return the run's lease, expired or not."""
        ...

    def set_lease(self, lease: Lease) -> None:
        """Write the run's lease (a mutable row outside the chain)."""
        ...

    def account(self, name: str) -> bytes | None:
        """Return what ``set_account`` wrote last under the name, or None."""
        ...

    def set_account(self, name: str, value: bytes) -> None:
        """Write an account: a mutable value outside the chain that the record can be summed up to again."""
        ...

    def drop_lease(self, run: RunId, fence: int) -> None:
        """End the lease if ``fence`` is still the one given: expiry becomes 0, the fence number stays."""
        ...


class Store(Protocol):
    """One ledger."""

    @property
    def ledger_id(self) -> LedgerId:
        """The ledger's id, 32 lower-case hex."""
        ...

    @property
    def read_only(self) -> bool:
        """True when nothing can be appended."""
        ...

    @property
    def path(self) -> Path | None:
        """The ledger's file, or None for a ledger that has none of its own."""
        ...

    @property
    def fault(self) -> str | None:
        """Why entries after the last one here cannot be shown (a cut export), or None: all of it is here."""
        ...

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` under the write lock; commit durably when it returns, undo everything when it raises."""
        ...

    def transact_all(self, works: Sequence[Callable[[Transaction], object]]) -> list[object | Exception]:
        """Run several works in ONE durable transaction, each in a savepoint of its own.

        Returns one item per work: its value, or the exception it raised (its savepoint is undone, the others
        stay).

        Raises:
            LedgerLocked: it is another process's turn, and that takes long; no work was run.
        """
        ...

    def anew(self) -> AbstractContextManager["Store"]:
        """Hold the ledger opened a second time, read-only: what is committed now, whatever view is held here."""
        ...

    def source(self, *, vkeys: Sequence[str] = ()) -> "AbstractContextManager[Source]":
        """Hold the whole record for verification or export, read anew; ``vkeys`` are the keys an export names.

        Raises:
            LedgerMissing: the file has gone.
        """
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Hold one consistent read view: reads inside see a single tree size."""
        ...

    def size(self) -> int:
        """Return the number of entries."""
        ...

    def head(self) -> Head:
        """Return size, root and change token of one and the same moment; the root of our own last commit is kept."""
        ...

    def entry(self, seq: int) -> Stored:
        """Return one entry.

        Raises:
            NotFound: seq is not in 0 .. size-1.
        """
        ...

    def raw_entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (seq, exact bytes) for start <= seq < stop, ascending, straight from disk and undecoded."""
        ...

    def run_entries(self, run: RunId, after: int = -1) -> list[Stored]:
        """Return the run's entries with seq > after, oldest first."""
        ...

    def cites(self, runs: Sequence[RunId], commit: str) -> bool:
        """Tell whether an entry of one of the runs, at most 256, cites the body of a commitment (64 hex)."""
        ...

    def newest(self, run: RunId) -> int | None:
        """Return the seq of the run's newest entry, or None."""
        ...

    def newest_of_kind(self, kind: str) -> Stored | None:
        """Return the newest entry of one of the kinds that are indexed (``checkpoint.signed``, ``key.rotated``)."""
        ...

    def body_state(self, commit: str) -> BodyState:
        """Return which of the four states a cited body (64 hex) is in."""
        ...

    def runs(self, limit: int, before: int | None = None) -> list[RunRow]:
        """Return runs newest first, at most ``limit``, whose first seq is < before."""
        ...

    def body(self, commit: str) -> Body | None:
        """Return the body of a commitment (64 hex), or None when it is not here (redacted or missing)."""
        ...

    def raw_bodies(self) -> Iterator[tuple[str, str, bytes, bytes | None]]:
        """Yield (commit hex, media type, salt, plain bytes or None when they cannot be unpacked) for each body."""
        ...

    def index_faults(self) -> Iterator[str]:
        """Yield the commit of each body whose row of the dedup index is absent, doubled or wrong."""
        ...

    def node(self, level: int, index: int) -> bytes:
        """Return the 32-byte hash of a complete subtree: level 0 is a leaf, level k covers 2^k leaves.

        Raises:
            NotFound: that subtree is not complete at the present size.
        """
        ...

    def raw_nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield (level, index, hash) of every stored node, by level then index."""
        ...

    def lease(self, run: RunId) -> Lease | None:
        """Return the run's lease, expired or not."""
        ...

    def change_token(self) -> int:
        """Return a number that changes when another process has committed; costs no read of the ledger."""
        ...

    def close(self) -> None:
        """Release the store; closing twice is harmless."""
        ...
