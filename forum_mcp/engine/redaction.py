"""Redaction: which bodies would go, and their going, each with an entry that says so.

A body goes with its salt and its row of the index, in the transaction of its ``body.redacted`` entry. Which bodies that
concerns is read from the entries without the write lock; what was appended meanwhile is read under it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from forum_mcp.engine.custody import checked_reason
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.progress import OnProgress, no_progress
from forum_mcp.engine.views import View
from forum_mcp.errors import LedgerReadOnly, NotFound, RequestRefused
from forum_mcp.ledger.entry import BodyRef, Draft, Entry, NewBody, decode
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.stores.base import Transaction
from forum_mcp.stores.sqlite import SqliteStore

__all__ = ["BodyLine", "RedactionView", "prune", "redact_actor", "redact_commit", "redact_run"]

_PARENTS_MAX: Final = 256
_AT_A_TIME: Final = 500

_Why = Literal["shared", "checkpoint", "unfinished-run"]


class BodyLine(View, frozen=True, kw_only=True):
    """One body: its commitment, the entries that cite it (at most 256), and why it is kept, None when it goes."""

    commit: str
    size: int
    type: str
    cited: list[int]
    kept: _Why | None


class RedactionView(View, frozen=True, kw_only=True):
    """What a redaction does, or would do.

    Attributes:
        done: False for a dry run: nothing was changed.
        bytes: plain size of the bodies that go.
        entries: the ``body.redacted`` entries.
        erased: False when a reader kept the write-ahead log from being emptied, so that the file system may still hold
            what was deleted; None for a dry run.
    """

    done: bool
    redacted: list[BodyLine]
    kept: list[BodyLine]
    bytes: int
    entries: list[int]
    erased: bool | None


@dataclass(slots=True)
class _Citations:
    """One candidate: its reference, the entries that cite it, and what speaks against its going."""

    ref: BodyRef
    seqs: list[int] = field(default_factory=list[int])
    kept: _Why | None = None


@dataclass(slots=True)
class _Scope:
    """The runs and entries that a redaction is about.

    Attributes:
        picks: whether an entry is one of them.
        runs: the runs they belong to; a body that another run cites is shared.
        unfinished: those of them that may still need their bodies.
    """

    picks: Callable[[Entry], bool]
    runs: set[str | None] = field(default_factory=set[str | None])
    unfinished: set[str | None] = field(default_factory=set[str | None])


def redact_commit(ledger: Ledger, commit: str, reason: str, *, yes: bool = False) -> RedactionView:
    """Redact one body (64 hex), whoever cites it.

    Raises:
        NotFound: no such body here. RequestRefused: it is a checkpoint, or the reason is none.
        LedgerReadOnly: the ledger cannot be written.
    """
    if ledger.store.body_state(commit).state in ("redacted", "missing"):
        ledger.body(commit)
    found: dict[str, _Citations] = {}
    for entry in _entries(ledger, 0):
        for ref in entry.bodies.values():
            if ref.commit == commit:
                found.setdefault(commit, _Citations(ref))
                _cite([entry], found, _Scope(lambda _: True))
    if not found or found[commit].kept == "checkpoint":
        what = "a signed checkpoint, and holds nobody's words" if found else "cited by no entry; run ledger verify"
        raise RequestRefused(f"body {commit[:16]} is not redacted; it is {what}")
    return _carry_out(ledger, found, None, checked_reason(reason), yes=yes)


def redact_run(ledger: Ledger, run: str, reason: str, *, yes: bool = False, even_shared: bool = False) -> RedactionView:
    """Redact the bodies of a finished run, but those that other runs cite unless ``even_shared``.

    Raises:
        NotFound: no such run. RequestRefused: it is not finished, or the reason is none.
        LedgerReadOnly: the ledger cannot be written.
    """
    scope = _Scope(lambda entry: entry.run == run)
    found = _candidates(ledger, scope)
    if not scope.runs:
        raise NotFound(f"no run {run[:64]!a} in this ledger; list them with: forum-mcp run list")
    if scope.unfinished:
        raise RequestRefused(f"run {run} is not redacted; it is not finished and needs its bodies; cancel it first")
    return _carry_out(ledger, found, None if even_shared else scope, checked_reason(reason), yes=yes)


def redact_actor(
    ledger: Ledger, actor: str, reason: str, *, yes: bool = False, even_shared: bool = False
) -> RedactionView:
    """Redact the bodies of an actor's entries, but those of unfinished runs, and those that other runs cite.

    Raises:
        RequestRefused: the reason is none. LedgerReadOnly: the ledger cannot be written.
    """
    scope = _Scope(lambda entry: entry.actor == actor)
    found = _candidates(ledger, scope)
    return _carry_out(ledger, found, None if even_shared else scope, checked_reason(reason), yes=yes)


def prune(
    ledger: Ledger,
    before_us: int,
    reason: str,
    *,
    yes: bool = False,
    even_shared: bool = False,
    on_progress: OnProgress = no_progress,
) -> RedactionView:
    """Redact the bodies of the finished runs, and of the entries without one, that are all older than ``before_us``.

    ``on_progress`` is told how many bodies are gone.

    Raises:
        RequestRefused: the reason is none. LedgerReadOnly: the ledger cannot be written.
    """
    newer = {entry.run for entry in _entries(ledger, 0) if entry.at >= before_us and entry.run is not None}
    scope = _Scope(lambda entry: entry.at < before_us and entry.run not in newer)
    found = _candidates(ledger, scope)
    return _carry_out(
        ledger, found, None if even_shared else scope, checked_reason(reason), yes=yes, on_progress=on_progress
    )


def _candidates(ledger: Ledger, scope: _Scope) -> dict[str, _Citations]:
    """Return the bodies that entries of the scope cite and that are here, with all their citations; fill the scope."""
    found: dict[str, _Citations] = {}
    finished: set[str | None] = {None}
    for entry in _entries(ledger, 0):
        if entry.kind == "run.finished":
            finished.add(entry.run)
        if _is_custody(entry) or not scope.picks(entry):
            continue
        scope.runs.add(entry.run)
        for ref in entry.bodies.values():
            found.setdefault(ref.commit, _Citations(ref))
    scope.unfinished = scope.runs - finished
    for commit in [each for each in found if ledger.store.body_state(each).state in ("redacted", "missing")]:
        del found[commit]
    _cite(_entries(ledger, 0), found, scope)
    return found


def _cite(entries: Iterable[Entry], found: dict[str, _Citations], scope: _Scope) -> None:
    """Note which entries cite the candidates, and what keeps them."""
    for entry in entries:
        for ref in entry.bodies.values():
            candidate = found.get(ref.commit)
            if candidate is None:
                continue
            candidate.seqs.append(entry.seq)
            if entry.kind.startswith("checkpoint."):
                candidate.kept = "checkpoint"
            elif candidate.kept is None and entry.run in scope.unfinished:
                candidate.kept = "unfinished-run"
            elif candidate.kept is None and entry.run not in scope.runs:
                candidate.kept = "shared"


def _carry_out(
    ledger: Ledger,
    found: dict[str, _Citations],
    scope: _Scope | None,
    reason: NewBody,
    *,
    yes: bool,
    on_progress: OnProgress = no_progress,
) -> RedactionView:
    """Redact what may go. ``scope`` None: what is shared goes too."""
    store = ledger.store
    if not isinstance(store, SqliteStore) or store.read_only:
        raise LedgerReadOnly("nothing can be redacted: this ledger is open for reading only; name the ledger itself")
    if scope is None:
        for candidate in found.values():
            candidate.kept = None if candidate.kept == "shared" else candidate.kept
    size = ledger.size
    going = [commit for commit, candidate in found.items() if candidate.kept is None]
    entries: list[int] = []
    for start in range(0, len(going) if yes else 0, _AT_A_TIME):
        chosen = going[start : start + _AT_A_TIME]

        def work(transaction: Transaction, chosen: list[str] = chosen) -> list[int]:
            # The write lock is held: nobody can cite a body between this look and its going.
            if scope is not None:
                _cite(_entries(ledger, size), {each: found[each] for each in chosen}, scope)
            drafts = [_draft(commit, found[commit], reason) for commit in chosen if found[commit].kept is None]
            stored = [transaction.redact(draft, run=None, at_us=ledger.now_us()) for draft in drafts]
            return [each.entry.seq for each in stored if each is not None]

        entries += store.transact(work)
        on_progress(start + len(chosen), len(going))
    lines = [_line(candidate) for candidate in found.values()]
    gone = [line for line in lines if line.kept is None]
    return RedactionView(
        done=yes,
        redacted=gone,
        kept=[line for line in lines if line.kept is not None],
        bytes=sum(line.size for line in gone),
        entries=entries,
        erased=store.settle() if yes else None,
    )


def _draft(commit: str, candidate: _Citations, reason: NewBody) -> Draft:
    parents = tuple(sorted(set(candidate.seqs))[:_PARENTS_MAX])
    return Draft("body.redacted", "person:local", {"commit": commit}, {"reason": reason}, parents)


def _line(candidate: _Citations) -> BodyLine:
    ref = candidate.ref
    return BodyLine(
        commit=ref.commit,
        size=ref.size,
        type=ref.type,
        cited=sorted(set(candidate.seqs))[:_PARENTS_MAX],
        kept=candidate.kept,
    )


def _entries(ledger: Ledger, start: int) -> Iterator[Entry]:
    return (decode(raw) for _, raw in ledger.store.raw_entries(start))


def _is_custody(entry: Entry) -> bool:
    kind = KINDS.get(entry.kind)
    return kind is not None and kind.role == "custody"
