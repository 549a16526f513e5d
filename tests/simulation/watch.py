"""What must hold after every commit of a simulated ledger, checked from its entries with a bookkeeping of its own."""

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from forum_mcp.ledger.entry import Entry, RunId, decode, genesis_prev, leaf_hash
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.ledger.kinds.call import CallFinished, CallStarted
from forum_mcp.ledger.kinds.run import RunFinished, RunResumed, RunStarted
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.failures import NOT_BEGUN
from forum_mcp.rules.plan import Plan, from_json
from forum_mcp.stores.sqlite import SqliteStore

__all__ = ["Watch"]


@dataclass
class _Run:
    """One run as its entries tell it."""

    limits: Amounts
    contract: Contract
    fence: int
    holder: int
    plan: Plan | None = None
    open: dict[int, CallStarted] = field(default_factory=dict[int, CallStarted])
    closed: set[int] = field(default_factory=set[int])
    calls: int = 0
    tokens: int = 0
    microusd: int = 0
    begun: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    passed: set[str] = field(default_factory=set[str])
    perhaps_done: dict[str, int] = field(default_factory=dict[str, int])
    """Task -> seq of its newest call that may have had its effects."""
    asked: dict[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    """Open gates: subject and key."""
    granted: set[str] = field(default_factory=set[str])
    over: bool = False


class Watch:
    """Reads what each commit added and asserts that nothing forbidden happened."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.runs: dict[RunId, _Run] = {}
        self._prev = ""

    def look(self, store: SqliteStore, process: int) -> None:
        """Check the entries that were committed since, all of them by ``process``."""
        for seq in range(len(self.entries), store.size()):
            stored = store.entry(seq)
            self._link(stored.raw, stored.leaf)
            entry = self.entries[-1]
            if entry.run is not None:
                self._entry(store, entry, process)

    def _link(self, raw: bytes, leaf: bytes) -> None:
        entry = decode(raw)
        assert entry.seq == len(self.entries)
        assert entry.prev == (self._prev or genesis_prev(entry.ledger))
        assert all(parent < entry.seq for parent in entry.parents)
        assert leaf == leaf_hash(raw)
        self._prev = leaf.hex()
        self.entries.append(entry)

    def _entry(self, store: SqliteStore, entry: Entry, process: int) -> None:
        assert entry.run is not None
        if entry.kind == "run.started":
            assert entry.run not in self.runs
            started = msgspec.convert(entry.data, RunStarted)
            contract = store.body(entry.bodies["contract"].commit)
            assert contract is not None
            self.runs[entry.run] = _Run(started.limits, Contract.from_json(contract.data), started.fence, process)
            return
        run = self.runs[entry.run]
        assert not run.over, f"{entry.kind} after the end of its run"
        if KINDS[entry.kind].role == "decision":
            assert process == run.holder, f"process {process} decided {entry.kind} in a run of process {run.holder}"
        match entry.kind:
            case "run.resumed":
                resumed = msgspec.convert(entry.data, RunResumed)
                assert resumed.fence > run.fence, "a run was taken up with an old fence"
                run.fence, run.holder = resumed.fence, process
                for seq in resumed.in_doubt:
                    self._close(run, seq, CallFinished(call=seq, error="in-doubt"))
            case "plan.accepted":
                body = store.body(entry.bodies["plan"].commit)
                assert body is not None
                run.plan = from_json(body.data)
            case "call.started":
                run.open[entry.seq] = call = msgspec.convert(entry.data, CallStarted)
                _once(run, call)
                _within_budget(run)
                _within_room(run)
            case "call.finished":
                finished = msgspec.convert(entry.data, CallFinished)
                self._close(run, finished.call, finished)
            case "task.started":
                _may_start(run, str(entry.data["task"]), int(str(entry.data.get("n", 1))))
            case "task.judged" if entry.data["ok"]:
                name = str(entry.data["task"])
                assert name not in run.passed, f"{name} succeeded twice"
                run.passed.add(name)
            case "task.reused":
                run.passed.add(str(entry.data["task"]))
            case "gate.opened":
                run.asked[entry.seq] = (str(entry.data["subject"]), str(entry.data["key"]))
            case "gate.resolved":
                _resolved(run, entry)
            case "timer.fired":
                for parent in entry.parents:
                    run.asked.pop(parent, None)
            case "run.finished":
                self._end(run, msgspec.convert(entry.data, RunFinished))
            case _:
                pass

    def _close(self, run: _Run, seq: int, finished: CallFinished) -> None:
        assert seq in run.open, f"an outcome of call {seq}, which is not open"
        started = run.open.pop(seq)
        run.closed.add(seq)
        run.calls += 1
        told = (finished.tokens_in or 0) + (finished.tokens_out or 0)
        whole = finished.tokens_in is not None and finished.tokens_out is not None
        run.tokens += told if whole else max(told, started.reserve.tokens or 0)
        cost = finished.cost_microusd
        run.microusd += (started.reserve.microusd or 0) if cost is None else cost
        if started.purpose == "task" and finished.error not in NOT_BEGUN:
            run.perhaps_done[str(started.task)] = seq

    def _end(self, run: _Run, finished: RunFinished) -> None:
        assert not run.open, "sealed with attempts under way"
        run.over = True
        assert finished.tasks_ok == len(run.passed)
        if run.plan is not None and finished.state == "succeeded":
            assert run.passed == {task.id for task in run.plan.tasks}
        assert finished.spent.calls == run.calls


def _within_budget(run: _Run) -> None:
    """Check that what is settled and what is reserved keep to the run's limits."""
    held = list(run.open.values())
    if run.limits.calls is not None:
        assert run.calls + len(held) <= run.limits.calls
    if run.limits.tokens is not None:
        assert run.tokens + sum(each.reserve.tokens or 0 for each in held) <= run.limits.tokens
    if run.limits.microusd is not None:
        assert run.microusd + sum(each.reserve.microusd or 0 for each in held) <= run.limits.microusd


def _within_room(run: _Run) -> None:
    for name, count in Counter(each.executor for each in run.open.values()).items():
        assert count <= run.contract.executors[name].max_parallel


def _once(run: _Run, started: CallStarted) -> None:
    """Check that work which may have had its effects once is done again only if somebody said so."""
    if started.purpose != "task" or run.plan is None:
        return
    [task] = [each for each in run.plan.tasks if each.id == started.task]
    before = run.perhaps_done.get(task.id)
    if before is not None and (task.effects or run.contract.executors[started.executor].effects) == "once":
        assert {"in-doubt", f"in-doubt:{before}"} & run.granted, f"{task.id} was done again and nobody was asked"


def _may_start(run: _Run, name: str, n: int) -> None:
    assert run.plan is not None
    [task] = [each for each in run.plan.tasks if each.id == name]
    assert (name, n) not in run.begun, f"{name} was started twice"
    run.begun.add((name, n))
    assert {edge.id for edge in task.depends_on} <= run.passed, f"{name} started before what it needs passed"
    wave = next(index for index, names in enumerate(run.plan.waves) if name in names)
    terms = run.contract.gates
    if terms.run:
        assert "run" in run.granted
    if terms.wave:
        assert {"wave", f"wave:{wave}"} & run.granted
    if task.lane in terms.lanes:
        assert {f"lane:{task.lane}", f"lane:{task.lane}/{name}"} & run.granted


def _resolved(run: _Run, entry: Entry) -> None:
    subject, key = run.asked.pop(int(str(entry.data["gate"])))
    if entry.data["approved"]:
        run.granted.add(key if entry.data.get("scope", "once") == "once" else subject)
