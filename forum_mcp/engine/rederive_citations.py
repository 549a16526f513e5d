"""Verify level 4, across runs: events that bring something in from another run, held against what they cite.

A resolution by a standing approval and a task that was found done are no decisions of the run's rules, but each says
where it comes from, and the cited entry must say the same.
"""

from typing import Final

import msgspec

from forum_mcp.engine.approving import class_approval
from forum_mcp.engine.folding import fold_run
from forum_mcp.errors import ForumError
from forum_mcp.ledger.entry import Entry, RunId
from forum_mcp.ledger.finding import Finding
from forum_mcp.ledger.kinds.gate import GateResolved
from forum_mcp.ledger.kinds.task import TaskRecalled
from forum_mcp.rules.reuse import task_key
from forum_mcp.rules.run import RunState
from forum_mcp.stores.base import Store

__all__ = ["Citations"]

_RUNS_KEPT: Final = 8


class Citations:
    """What entries say about entries of other runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._runs: dict[str, RunState | None] = {}

    def problem(self, state: RunState, entry: Entry) -> Finding | None:
        """Return what is wrong with what an event cites, given the state before it; None where nothing is."""
        try:
            if entry.kind == "gate.resolved":
                return self._standing(state, entry, msgspec.convert(entry.data, GateResolved))
            if entry.kind == "task.recalled":
                return self._recalled(entry, msgspec.convert(entry.data, TaskRecalled))
        except msgspec.ValidationError:  # no handler folds it either
            return None
        return None

    def _standing(self, state: RunState, entry: Entry, data: GateResolved) -> Finding | None:
        gate = state.gates.get(data.gate)
        if gate is None or state.contract is None or (data.how != "standing" and data.standing is None):
            return None
        seq, project = data.standing, state.contract.project
        given = None if seq is None else class_approval(self._store, seq, project, gate.subject, entry.at)
        if given is not None and given.seq < data.gate and given.actor == entry.actor:
            return None
        return Finding("decision", entry.seq, None, f"a standing approval of {gate.subject}", f"entry {seq}")

    def _recalled(self, entry: Entry, data: TaskRecalled) -> Finding | None:
        if data.found is None:
            return None
        source = self._source(data.run or "")
        if source is not None and (source.incomplete or source.contract is None or source.plan is None):
            return None  # what the key rests on is gone: nobody can tell any more
        output = entry.bodies.get("output")
        for held in () if source is None else source.tasks.values():
            passed = held.settled_seq == data.found < entry.seq and held.status == "ok" and held.verdict != "undecided"
            if passed and held.output_ref == output and source is not None and task_key(source, held) == data.key:
                return None
        expected = f"a task of key {data.key[:16]}... that passed"
        return Finding("decision", entry.seq, None, expected, f"entry {data.found} of run {data.run}")

    def _source(self, run: str) -> RunState | None:
        """Return a cited run as it stands, or None when there is none."""
        if run not in self._runs:
            try:
                self._runs[run] = fold_run(self._store, RunId(run))
            except ForumError:
                self._runs[run] = None
            if len(self._runs) > _RUNS_KEPT:
                del self._runs[next(iter(self._runs))]
        return self._runs[run]
