"""Looking up whether a task was done before: in the run a fork comes from, or in any run that allows reuse.

Where to look is kept outside the chain and proves nothing: the run it names is folded, and only a task that has the
key there, passed, and still has its output counts.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from forum_mcp.errors import LedgerError, NotFound
from forum_mcp.ledger.entry import BodyRef, Draft, RunId
from forum_mcp.ledger.kinds.run import Fork
from forum_mcp.ledger.kinds.task import TaskRecalled
from forum_mcp.rules.reuse import task_key, waits_for_recall
from forum_mcp.rules.run import RunState, TaskState, effects_of
from forum_mcp.stores.base import Store, Transaction

__all__ = ["Recall"]

_RUNS_KEPT: Final = 8

_Fold = Callable[[Store, RunState, int | None], RunState]
"""(store, state, until) -> the state after the run's further entries with seq < until."""


class _Done(NamedTuple):
    """A task that passed: what settled it, when, and its output."""

    seq: int
    output: BodyRef


class Recall:
    """What finished tasks of other runs are, by key."""

    def __init__(self, store: Store, fold: _Fold) -> None:
        self._store = store
        self._fold = fold
        self._runs: OrderedDict[tuple[RunId, int | None], RunState] = OrderedDict()
        self._fork: dict[str | None, _Done] | None = None

    def due(self, state: RunState) -> TaskState | None:
        """Return a task that waits to be looked up, or None."""
        waiting = (state.tasks[name] for name in state.agenda)
        return next((held for held in waiting if held.status == "working" and waits_for_recall(state, held)), None)

    def look_up(self, tx: Transaction, state: RunState, held: TaskState, at_us: int) -> Draft:
        """Return ``task.recalled`` for a task that was just started."""
        key = task_key(state, held)
        run, done = self._find(tx, state, held, key)
        if done is None or self._store.body(done.output.commit) is None:
            return _recalled(TaskRecalled(task=held.plan.id, n=held.n, key=key), held.started_seq)
        age_ms = max(0, at_us - self._store.entry(done.seq).entry.at) // 1_000
        found = TaskRecalled(task=held.plan.id, n=held.n, key=key, found=done.seq, run=run, age_ms=age_ms)
        return _recalled(found, held.started_seq, done.seq, output=done.output)

    def keep(self, tx: Transaction, state: RunState, task: str, seq: int) -> None:
        """Note where a task that passed is found by its key, when the run allows reuse."""
        held = state.tasks.get(task)
        if held is not None and held.status == "ok" and state.contract is not None and state.contract.steps.reuse:
            tx.set_account(f"task:{task_key(state, held)}", f"{state.run}:{seq}".encode())

    def _find(self, tx: Transaction, state: RunState, held: TaskState, key: str) -> tuple[RunId, _Done | None]:
        if state.fork_of is not None:
            done = self._done_before(state.fork_of).get(key)
            if done is not None:
                return RunId(state.fork_of.run), done
        assert state.contract is not None
        if not state.contract.steps.reuse or effects_of(state, held) == "once":
            return state.run, None
        kept = (tx.account(f"task:{key}") or b"").decode("ascii", "replace")
        run, _, seq = kept.partition(":")
        if not seq.isdigit():
            return state.run, None
        return RunId(run), self._done_at(RunId(run), int(seq), key)

    def _done_at(self, run: RunId, seq: int, key: str) -> _Done | None:
        """Return the task of a run that an entry settled, if it has the key; a run is folded once and then on."""
        try:
            name = str(self._store.entry(seq).entry.data.get("task"))
            source = self._moved(run, None, enough=seq)
        except (NotFound, LedgerError):
            return None
        held = source.tasks.get(name)
        done = None if held is None else _done(held)
        return done if held is not None and done is not None and done.seq == seq and _key(source, held) == key else None

    def _done_before(self, fork: Fork) -> dict[str | None, _Done]:
        """Return the tasks of a run that had passed where the fork starts, by key."""
        if self._fork is None:
            try:
                source = self._moved(RunId(fork.run), fork.seq + 1, enough=fork.seq)
            except (NotFound, LedgerError):
                return {}
            found = {_key(source, held): done for held in source.tasks.values() if (done := _done(held)) is not None}
            self._fork = found
        return self._fork

    def _moved(self, run: RunId, until: int | None, *, enough: int) -> RunState:
        """Return the state of a run, folded at least to the entry ``enough``."""
        source = self._runs.pop((run, until), None) or RunState(run)
        if source.last_seq < enough:
            source = self._fold(self._store, source, until)
        self._runs[run, until] = source
        if len(self._runs) > _RUNS_KEPT:
            self._runs.popitem(last=False)
        return source


def _done(held: TaskState) -> _Done | None:
    """Return what a task gave, if it passed."""
    if held.status != "ok" or held.output_ref is None or held.verdict == "undecided":
        return None
    return _Done(held.settled_seq, held.output_ref)


def _key(source: RunState, held: TaskState) -> str | None:
    return None if source.contract is None or source.roster is None else task_key(source, held)


def _recalled(found: TaskRecalled, *parents: int, output: BodyRef | None = None) -> Draft:
    bodies = {} if output is None else {"output": output}
    return Draft("task.recalled", "engine", msgspec.to_builtins(found), dict(bodies), tuple(sorted(parents)))
