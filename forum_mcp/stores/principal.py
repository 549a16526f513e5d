"""A store as one principal may read it: its own runs, the entries everybody needs, and nothing else.

What proves the record stays open: size, root, nodes, the entries about checkpoints and keys. Every other entry is
withheld but for its leaf hash, and so is every body that no entry which may be read cites.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from forum_mcp.errors import AccessRefused, LedgerReadOnly, NotFound
from forum_mcp.ledger.entry import Body, Entry, LedgerId, RunId, decode
from forum_mcp.stores.base import BodyState, Lease, RunRow, Store, Stored, Transaction

if TYPE_CHECKING:
    from forum_mcp.ledger.verify import Source

__all__ = ["Owners", "PrincipalStore", "Sees"]

T = TypeVar("T")

Sees = Callable[[Store, RunId | None, int | None], bool]
"""(whole store, run, seq of its first entry if known) -> whether the principal may read the run; with None for the run,
whether it may read everything."""

_OPEN_KINDS: Final = frozenset(
    {"ledger.opened", "checkpoint.signed", "checkpoint.cosigned", "checkpoint.anchored", "key.rotated"}
)
_PAGE: Final = 256
_KNOWN_MAX: Final = 100_000


class Owners:
    """Who began which run: the actor of its first entry, which never changes."""

    def __init__(self) -> None:
        self._known: dict[RunId, str] = {}

    def of(self, store: Store, run: RunId, first_seq: int | None = None) -> str | None:
        """Return the actor that began a run, or None when there is no such run; ``first_seq`` saves reading it all."""
        if run not in self._known:
            if first_seq is not None:
                first: Stored | None = store.entry(first_seq)
            else:
                first = next(iter(store.run_entries(run)), None)
            if first is None:
                return None
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[run] = first.entry.actor
        return self._known[run]


class PrincipalStore:
    """The whole store but for what is withheld; read-only.

    What is the same for everybody is taken over by name: a member that the whole store gains is not here until
    somebody has judged it.
    """

    def __init__(self, whole: Store, sees: Sees) -> None:
        self._whole = whole
        self._sees = sees
        self._everything = sees(whole, None, None)
        self._cited: set[str] = set()
        """Commitments that entries read here cite: whoever holds the reference may read the body."""
        self.size, self.head, self.node, self.raw_nodes = whole.size, whole.head, whole.node, whole.raw_nodes
        self.change_token, self.snapshot = whole.change_token, whole.snapshot
        self.path, self.fault = whole.path, whole.fault

    @property
    def ledger_id(self) -> LedgerId:
        """The ledger's id, 32 lower-case hex."""
        return self._whole.ledger_id

    @property
    def read_only(self) -> bool:
        """True when nothing can be appended to the ledger, by whomever."""
        return self._whole.read_only

    def close(self) -> None:
        """Do nothing: the whole store is open for others too."""

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """Refuse to append: what a principal causes is appended by the engine."""
        del work
        _refuse_append()

    def transact_all(self, works: Sequence[Callable[[Transaction], object]]) -> list[object | Exception]:
        """Refuse to append."""
        del works
        _refuse_append()

    def source(self, *, vkeys: Sequence[str] = ()) -> AbstractContextManager[Source]:
        """Refuse to read the whole record: the server verifies it, and tells a principal what that found."""
        del vkeys
        raise AccessRefused("the whole record is not a principal's to read; verify it with ledger_verify")

    def raw_bodies(self) -> Iterator[tuple[str, str, bytes, bytes | None]]:
        """Refuse to list bodies: of most of them a principal knows no entry."""
        raise AccessRefused("bodies are not listed to a principal; read an entry for the ones that it cites")

    def index_faults(self) -> Iterator[str]:
        """Refuse to list commitments, as ``raw_bodies`` does."""
        yield from (commit for commit, *_ in self.raw_bodies())

    @contextmanager
    def anew(self) -> Generator[PrincipalStore]:
        """Hold the ledger opened a second time, with the same withheld."""
        with self._whole.anew() as fresh:
            yield PrincipalStore(fresh, self._sees)

    def shows(self, entry: Entry) -> bool:
        """Tell whether the principal may read an entry."""
        if entry.run is None:
            return self._everything or entry.kind in _OPEN_KINDS
        return self._sees(self._whole, entry.run, None)

    def entry(self, seq: int) -> Stored:
        """Return an entry.

        Raises:
            NotFound: there is none, or it is withheld; then the message has its leaf hash.
        """
        stored = self._whole.entry(seq)
        if not self.shows(stored.entry):
            raise NotFound(
                f"entry {seq} is withheld: it belongs to another principal; its leaf hash is {stored.leaf.hex()}, "
                "and its proof is open"
            )
        self._given(stored.entry)
        return stored

    def newest_of_kind(self, kind: str) -> Stored | None:
        """Return the newest entry of an indexed kind that everybody may read."""
        stored = self._whole.newest_of_kind(kind)
        if stored is None or not self.shows(stored.entry):
            return None
        self._given(stored.entry)
        return stored

    def raw_entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yield (seq, exact bytes) of the entries that may be read."""
        for seq, raw in self._whole.raw_entries(start, stop):
            entry = decode(raw)
            if self.shows(entry):
                self._given(entry)
                yield seq, raw

    def run_entries(self, run: RunId, after: int = -1) -> list[Stored]:
        """Return the entries of a run of the principal, else none."""
        found = self._whole.run_entries(run, after) if self._sees(self._whole, run, None) else []
        for stored in found:
            self._given(stored.entry)
        return found

    def cites(self, runs: Sequence[RunId], commit: str) -> bool:
        """Tell whether an entry of those of the runs that are the principal's cites the body of a commitment."""
        return self._whole.cites([run for run in runs if self._sees(self._whole, run, None)], commit)

    def newest(self, run: RunId) -> int | None:
        """Return the seq of the newest entry of a run of the principal, else None."""
        return self._whole.newest(run) if self._sees(self._whole, run, None) else None

    def runs(self, limit: int, before: int | None = None) -> list[RunRow]:
        """Return the newest runs of the principal."""
        found: list[RunRow] = []
        for page in self._own_runs(before):
            found += page
            if len(found) >= limit:
                break
        return found[:limit]

    def lease(self, run: RunId) -> Lease | None:
        """Return the lease of a run of the principal, expired or not."""
        return self._whole.lease(run) if self._sees(self._whole, run, None) else None

    def body(self, commit: str) -> Body | None:
        """Return the body of a commitment that an entry cites which may be read, else None."""
        return self._whole.body(commit) if self.knows(commit) else None

    def body_state(self, commit: str) -> BodyState:
        """Return what became of a body that an entry cites which may be read; of any other, that it is missing."""
        return self._whole.body_state(commit) if self.knows(commit) else BodyState("missing")

    def knows(self, commit: str) -> bool:
        """Tell whether an entry that may be read cites a commitment (64 hex): one read here, or one of an own run.

        O(1) for the first; for the second the own runs are searched, newest first, where there is or was such a body.
        """
        if self._everything or commit in self._cited:
            return True
        if self._whole.body_state(commit).state == "missing":
            return False
        found = any(self._whole.cites([row.run for row in page], commit) for page in self._own_runs(None))
        if found:
            self._cited.add(commit)
        return found

    def _given(self, entry: Entry) -> None:
        self._cited.update(reference.commit for reference in entry.bodies.values())

    def _own_runs(self, before: int | None) -> Iterator[list[RunRow]]:
        """Yield the principal's runs, newest first, whose first seq is < before, page by page."""
        while rows := self._whole.runs(_PAGE, before):
            yield [row for row in rows if self._sees(self._whole, row.run, row.first_seq)]
            before = rows[-1].first_seq


def _refuse_append() -> NoReturn:
    raise LedgerReadOnly("this is the ledger as one principal reads it; what it does goes through runs")
