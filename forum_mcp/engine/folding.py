"""A run's state kept up with its record: folded once, then entry by entry."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from forum_mcp.engine.accounts import account_of_day, limited, move_accounts, moves_between, position_of, sum_of
from forum_mcp.engine.approving import keep_standing_approval, standing_resolution
from forum_mcp.engine.event_scrubbing import scrub_event
from forum_mcp.engine.recalling import Recall
from forum_mcp.engine.scrubbing import Scrubber
from forum_mcp.errors import DecisionRefused, EntryRefused, LedgerUnreadable, NotFound, StaleAppend
from forum_mcp.ledger.entry import Body, Draft, Entry, NewBody, RunId
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.ledger.kinds.base import Amounts, Seen
from forum_mcp.rules.next import decide
from forum_mcp.rules.run import RunState
from forum_mcp.rules.state import evolve
from forum_mcp.stores.base import Store, Stored, Transaction

__all__ = ["Folded", "entry_bodies", "fold_on", "fold_run"]


_PAGE: Final = 1_000


class _Bodies(Protocol):
    def body(self, commit: str) -> Body | None: ...


def entry_bodies(store: _Bodies, entry: Entry) -> Callable[[str], bytes | None]:
    """Return a reader of the entry's bodies by name; it reads the store only when asked."""

    def read(name: str) -> bytes | None:
        ref = entry.bodies.get(name)
        body = store.body(ref.commit) if ref is not None else None
        return None if body is None else body.data

    return read


def fold_run(store: Store, run: RunId, until: int | None = None) -> RunState:
    """Return the state after the run's entries (those with seq < until).

    Raises:
        NotFound: the ledger has no entry of that run.
    """
    state = fold_on(store, RunState(run), until)
    if state.started_seq < 0:
        raise NotFound(f"run {run[:80]!a} is not in this ledger; list runs to see those that are")
    return state


def fold_on(store: Store, state: RunState, until: int | None = None) -> RunState:
    """Return the state moved on by the entries after its newest (those with seq < until)."""
    for stored in store.run_entries(state.run, after=state.last_seq):
        if until is not None and stored.entry.seq >= until:
            break
        state = evolve(state, stored.entry, entry_bodies(store, stored.entry))
    return state


def _summed(tx: Transaction, store: Store, until: int, project: str, day: str) -> Seen:
    """Return the account of a project's day as the entries with seq < until make it, those of ``tx`` included.

    Raises:
        LedgerUnreadable: a run's terms are gone, so that nobody can tell whether it moved the account.
    """
    settled = reserved = Amounts()
    for run in _runs(store):
        state = RunState(run)
        for stored in tx.run_entries(run):
            if stored.entry.seq >= until:
                break
            before = position_of(state) if limited(state) else None
            state = evolve(state, stored.entry, entry_bodies(store, stored.entry))
            if before is None or state.contract is None or state.contract.project != project:
                continue
            for of, gained, held in moves_between(before, state):
                if of == day:
                    settled, reserved = sum_of(settled, gained), sum_of(reserved, held)
        if state.started_seq >= 0 and state.contract is None:
            raise LedgerUnreadable(
                f"the account of {project} on {day} cannot be read, nor summed up: what run {run} was bound by is "
                "gone; its runs go on tomorrow (UTC), or without [limits.day]"
            )
    return Seen(day=day, settled=settled, reserved=reserved)


def _runs(store: Store) -> Iterator[RunId]:
    before: int | None = None
    while rows := store.runs(_PAGE, before):
        yield from (row.run for row in rows)
        before = rows[-1].first_seq


class Folded:
    """One run's state and the means to move it forward inside a transaction."""

    def __init__(self, store: Store, run: RunId, scrubber: Scrubber, state: RunState | None = None) -> None:
        self.store = store
        self.run = run
        self.state = fold_run(store, run) if state is None else state
        self._scrubber = scrubber
        self._recall = Recall(store, fold_on)
        self._spoiled = False
        self._fresh: dict[str, bytes] = {}
        """Bodies of the newest transaction by commitment: a later entry of it may cite what no reader sees yet."""

    def refold(self) -> None:
        """Build the state anew: a transaction that moved it was undone."""
        self.state = fold_run(self.store, self.run)
        self._spoiled = False

    def spoil(self) -> None:
        """Mark the state as moved by a work that is being undone; nothing is appended until ``refold``."""
        self._spoiled = True

    def catch_up(self, tx: Transaction) -> None:
        """Fold what other processes appended since.

        Raises:
            StaleAppend: an append that moved the state was undone; fold anew and decide again.
        """
        if self._spoiled:
            raise StaleAppend(f"the state of run {self.run} was moved by an append that was undone; fold it again")
        self._fresh.clear()
        newest = tx.newest(self.run)
        if newest is None or newest < self.state.last_seq:
            raise StaleAppend(f"the state of run {self.run} is ahead of its record: a commit failed; fold it again")
        if newest > self.state.last_seq:
            self._evolve(tx.run_entries(self.run, after=self.state.last_seq))

    def fresh_bodies(self, entry: Entry) -> dict[str, bytes]:
        """Return, by name, those of the entry's bodies that the newest transaction was given, byte for byte."""
        return {name: self._fresh[ref.commit] for name, ref in entry.bodies.items() if ref.commit in self._fresh}

    def follow(self) -> None:
        """Fold what was committed since, outside of a transaction."""
        self._evolve(self.store.run_entries(self.run, after=self.state.last_seq))

    def _evolve(self, entries: Iterable[Stored]) -> None:
        for stored in entries:
            self.state = evolve(self.state, stored.entry, entry_bodies(self.store, stored.entry))

    def append(self, tx: Transaction, draft: Draft, *, t_ms: int, at_us: int) -> Stored:
        """Append one entry of the run, an event scrubbed of secrets, and fold it."""
        t_ms = max(t_ms, self.state.t_ms)
        draft = scrub_event(draft, self._scrubber)
        data: dict[str, object] = {**draft.data, "t_ms": t_ms}
        bound = limited(self.state)
        if bound and self.state.seen is not None and KINDS[draft.kind].role == "decision":
            data["seen"] = msgspec.to_builtins(self.state.seen)
        placed = Draft(draft.kind, draft.actor, data, draft.bodies, draft.parents)
        stored = tx.append(placed, run=self.run, at_us=at_us)
        for name, body in draft.bodies.items():
            if isinstance(body, NewBody):
                self._fresh[stored.entry.bodies[name].commit] = body.data

        def read(name: str) -> bytes | None:
            ref = stored.entry.bodies.get(name)
            fresh = self._fresh.get(ref.commit) if ref is not None else None
            return entry_bodies(self.store, stored.entry)(name) if fresh is None else fresh

        before = position_of(self.state) if bound else None
        gate = self.state.gates.get(int(str(draft.data["gate"]))) if draft.kind == "gate.resolved" else None
        self.state = evolve(self.state, stored.entry, read)
        if before is not None and self.state.contract is not None:
            again = partial(_summed, tx, self.store, stored.entry.seq)
            move_accounts(tx, self.state.contract.project, moves_between(before, self.state), again)
        if draft.kind == "task.judged":
            self._recall.keep(tx, self.state, str(draft.data["task"]), stored.entry.seq)
        if gate is not None and self.state.contract is not None:
            keep_standing_approval(tx, self.state.contract.project, gate.subject, stored.entry)
        return stored

    def _standing(self, tx: Transaction, gate_seq: int, at_us: int) -> Draft | None:
        assert self.state.contract is not None
        gate = self.state.gates[gate_seq]
        return standing_resolution(tx, self.store, self.state.contract.project, gate_seq, gate, at_us)

    def decide(self, tx: Transaction, *, t_ms: int, at_us: int) -> Sequence[Stored]:
        """Append every decision that can be made now, one by one, and return them.

        Raises:
            DecisionRefused: one is nothing that a record takes.
        """
        made: list[Stored] = []
        while True:
            if limited(self.state) and self.state.contract is not None:
                again = partial(_summed, tx, self.store, tx.size)
                self.state.seen = account_of_day(tx, self.state.contract.project, at_us, again)
            if (draft := decide(self.state)) is None:
                if (held := self._recall.due(self.state)) is None:
                    return made
                recalled = self._recall.look_up(tx, self.state, held, at_us)
                made.append(self.append(tx, recalled, t_ms=t_ms, at_us=at_us))
                continue
            try:
                made.append(self.append(tx, draft, t_ms=t_ms, at_us=at_us))
            except EntryRefused as error:
                raise DecisionRefused(f"run {self.run} can decide nothing more: {error}") from error
            if draft.kind == "gate.opened" and (given := self._standing(tx, made[-1].entry.seq, at_us)) is not None:
                made.append(self.append(tx, given, t_ms=t_ms, at_us=at_us))
