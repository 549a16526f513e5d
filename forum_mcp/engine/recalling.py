"""Looking up whether a task was done before: in the runs a fork comes from, or in any run that allows reuse.

A fork of a fork finds what its origin had by then, and what that one could have found in its own origin, the nearest
first: a task that is taken over twice cites the entry that took it over, which cites where it was done.

Where to look is kept outside the chain and proves nothing: the run it names is folded, and only a task that has the
key there, passed, and still has its output counts.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from forum_mcp.engine.accounts import kept_seq
from forum_mcp.errors import LedgerError, NotFound
from forum_mcp.ledger.entry import BodyRef, Draft, RunId
from forum_mcp.ledger.kinds.run import Fork
from forum_mcp.ledger.kinds.task import TaskRecalled
from forum_mcp.rules.reuse import task_key, waits_for_recall
from forum_mcp.rules.run import RunState, TaskState, effects_of
from forum_mcp.stores.base import Store, Transaction

__all__ = ["Recall"]

_RUNS_KEPT: Final = 8
_ORIGINS_MAX: Final = 32

_Fold = Callable[[Store, RunState, int | None], RunState]
"""(store, state, until) -> the state after the run's further entries with seq < until."""


class _Done(NamedTuple):
    """A task that passed: its run, what settled it, its output, and how old its work was by then, milliseconds."""

    run: RunId
    seq: int
    output: BodyRef
    age_ms: int


class Recall:
    """What finished tasks of other runs are, by key."""

    def __init__(self, store: Store, fold: _Fold) -> None:
        self._store = store
        self._fold = fold
        self._runs: OrderedDict[tuple[RunId, int | None], RunState] = OrderedDict()
        self._origins: list[dict[str | None, _Done]] = []
        self._further: Fork | None = None

    def due(self, state: RunState) -> TaskState | None:
        """Return a task that waits to be looked up, or None."""
        waiting = (state.tasks[name] for name in state.agenda)
        return next((held for held in waiting if held.status == "working" and waits_for_recall(state, held)), None)

    def look_up(self, tx: Transaction, state: RunState, held: TaskState, at_us: int) -> Draft:
        """Return ``task.recalled`` for a task that was just started."""
        key = task_key(state, held)
        done = self._find(tx, state, held, key)
        if done is None or self._store.body(done.output.commit) is None:
            return _recalled(TaskRecalled(task=held.plan.id, n=held.n, key=key), held.started_seq)
        age_ms = max(0, at_us - self._store.entry(done.seq).entry.at) // 1_000 + done.age_ms
        found = TaskRecalled(task=held.plan.id, n=held.n, key=key, found=done.seq, run=done.run, age_ms=age_ms)
        return _recalled(found, held.started_seq, done.seq, output=done.output)

    def keep(self, tx: Transaction, state: RunState, task: str, seq: int) -> None:
        """Note where a task that passed is found by its key, when the run allows reuse."""
        held = state.tasks.get(task)
        if held is not None and held.status == "ok" and state.contract is not None and state.contract.steps.reuse:
            tx.set_account(f"task:{task_key(state, held)}", f"{state.run}:{seq}".encode())

    def _find(self, tx: Transaction, state: RunState, held: TaskState, key: str) -> _Done | None:
        if state.fork_of is not None and (done := self._done_before(state.fork_of, key)) is not None:
            return done
        assert state.contract is not None
        if not state.contract.steps.reuse or effects_of(state, held) == "once":
            return None
        run, _, kept = (tx.account(f"task:{key}") or b"").partition(b":")
        seq = kept_seq(kept)
        return None if seq is None else self._done_at(RunId(run.decode("ascii", "replace")), seq, key)

    def _done_at(self, run: RunId, seq: int, key: str) -> _Done | None:
        """Return the task of a run that an entry settled, if it has the key; a run is folded once and then on."""
        try:
            name = str(self._store.entry(seq).entry.data.get("task"))
            source = self._moved(run, None, enough=seq)
        except (NotFound, LedgerError):
            return None
        held = source.tasks.get(name)
        done = None if held is None else _done(source, held)
        return done if held is not None and done is not None and done.seq == seq and _key(source, held) == key else None

    def _done_before(self, fork: Fork, key: str) -> _Done | None:
        """Return the task of that key which had passed where the fork starts, in its origin or that one's origins.

        An origin is folded when the nearer ones do not have the key.
        """
        for known in self._origins:
            if key in known:
                return known[key]
        while len(self._origins) < _ORIGINS_MAX:
            following = self._further if self._origins else fork
            if following is None:
                break
            try:
                source = self._moved(RunId(following.run), following.seq + 1, enough=following.seq)
            except (NotFound, LedgerError):
                break
            done = {_key(source, held): each for held in source.tasks.values() if (each := _done(source, held))}
            self._origins.append(done)
            self._further = source.fork_of
            if key in done:
                return done[key]
        return None

    def _moved(self, run: RunId, until: int | None, *, enough: int) -> RunState:
        """Return the state of a run, folded at least to the entry ``enough``."""
        source = self._runs.pop((run, until), None) or RunState(run)
        if source.last_seq < enough:
            source = self._fold(self._store, source, until)
        self._runs[run, until] = source
        if len(self._runs) > _RUNS_KEPT:
            self._runs.popitem(last=False)
        return source


def _done(source: RunState, held: TaskState) -> _Done | None:
    """Return what a task gave, if it passed."""
    if held.status != "ok" or held.output_ref is None or held.verdict == "undecided":
        return None
    before = held.recalled.age_ms if held.reused_from >= 0 and held.recalled is not None else None
    return _Done(source.run, held.settled_seq, held.output_ref, before or 0)


def _key(source: RunState, held: TaskState) -> str | None:
    return None if source.contract is None or source.roster is None else task_key(source, held)


def _recalled(found: TaskRecalled, *parents: int, output: BodyRef | None = None) -> Draft:
    bodies = {} if output is None else {"output": output}
    return Draft("task.recalled", "engine", msgspec.to_builtins(found), dict(bodies), tuple(sorted(parents)))
