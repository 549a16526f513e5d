"""Gates: what waits for approval, and what an approval or its absence does.

A gate is asked for by the contract: before a run's tasks, before each wave, before tasks of certain lanes, at each
multiple of a cost, and always before a task whose work may have had effects it may have only once. Its subject is one
body; who approves names that body's commitment, so that nothing else can be meant.
"""

import heapq
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from forum_mcp.ledger.entry import Draft, Entry, NewBody
from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.ledger.kinds.gate import GateOpened, GateResolved
from forum_mcp.ledger.kinds.run import BudgetStopped
from forum_mcp.rules.agenda import touch
from forum_mcp.rules.budget import Asked, to_next_toll
from forum_mcp.rules.contract import ExecutorTerms
from forum_mcp.rules.run import Gate, RunState, TaskState

__all__ = [
    "VERSION",
    "Need",
    "admit",
    "before",
    "due",
    "expire",
    "in_doubt",
    "on_opened",
    "on_resolved",
    "toll",
    "unmet",
]

VERSION: Final = 1

_JSON: Final = "application/json"


class Need(NamedTuple):
    """An approval that something needs: its class, and this one of the class."""

    subject: str
    key: str


def unmet(state: RunState, held: TaskState) -> Need | None:
    """Return the first approval the task needs before it starts and does not have."""
    return next((need for need in _needs(state, held) if not _granted(state, need)), None)


def _needs(state: RunState, held: TaskState) -> Iterator[Need]:
    assert state.contract is not None
    terms = state.contract.gates
    if terms.run:
        yield Need("run", "run")
    if terms.wave:
        yield Need("wave", f"wave:{held.wave}")
    if held.plan.lane in terms.lanes:
        yield Need(f"lane:{held.plan.lane}", f"lane:{held.plan.lane}/{held.plan.id}")


def _granted(state: RunState, need: Need) -> bool:
    return need.key in state.granted or need.subject in state.granted


def _denied(state: RunState, need: Need) -> int | None:
    """Return the seq of what rejected the need, or None."""
    return state.denied.get(need.key, state.denied.get(need.subject))


def _open(state: RunState, need: Need) -> bool:
    return any(gate.key == need.key for gate in state.gates.values())


def admit(state: RunState, held: TaskState) -> None:
    """Place a task whose dependencies are settled: ready, kept by an open gate, or not to run."""
    need = unmet(state, held)
    rejected = None if need is None else _denied(state, need)
    if rejected is not None:
        held.status, held.because, held.doomed_by = "doomed", "gate", rejected
        touch(state, held)
    elif need is not None and _open(state, need):
        held.status = "gated"
        state.gated[held.plan.id] = need.key
    else:
        held.status = "ready"
        heapq.heappush(state.ready, (held.index, held.plan.id))


def _opened(state: RunState, need: Need, subject: dict[str, object], *parents: int, task: str | None = None) -> Draft:
    """Return ``gate.opened`` for what the subject says."""
    assert state.contract is not None
    opened = GateOpened(
        subject=need.subject,
        key=need.key,
        deadline_us=state.at_us + state.contract.gates.timeout_ms * 1_000,
        task=task,
    )
    said = {"run": state.run, "subject": need.subject, "key": need.key, **subject}
    return Draft(
        "gate.opened",
        "engine",
        msgspec.to_builtins(opened),
        {"subject": NewBody(_JSON, msgspec.json.encode(said, order="sorted"))},
        tuple(sorted({seq for seq in parents if seq >= 0})),
    )


def before(state: RunState, held: TaskState, need: Need) -> Draft:
    """Return the gate before a task that is ready to start."""
    match need.subject:
        case "run":
            tasks = list(state.tasks.values())
        case "wave":
            tasks = [each for each in state.tasks.values() if each.wave == held.wave]
        case _:
            tasks = [held]
    told = [
        {
            "id": each.plan.id,
            "lane": each.plan.lane,
            "instruction": each.plan.instruction,
            "executors": each.work.ladder,
        }
        for each in tasks
    ]
    return _opened(state, need, {"tasks": told}, state.plan_seq, *_upstream(state, held))


def _upstream(state: RunState, held: TaskState) -> list[int]:
    return [state.tasks[edge.id].settled_seq for edge in held.plan.depends_on][:250]


def in_doubt(state: RunState, held: TaskState) -> Draft | Literal["again", "never"] | None:
    """Return whether work that may have had its effects is to be done again: the question, or its answer."""
    need = Need("in-doubt", f"in-doubt:{held.work.call_seq}")
    if _granted(state, need):
        return "again"
    if _denied(state, need) is not None:
        return "never"
    if _open(state, need):
        return None
    subject: dict[str, object] = {"task": held.plan.id, "lane": held.plan.lane, "instruction": held.plan.instruction}
    return _opened(state, need, subject, held.work.call_seq, held.work.cause, task=held.plan.id)


def toll(
    state: RunState, asked: Asked, terms: ExecutorTerms, *parents: int
) -> Draft | BudgetStopped | Literal["wait"] | None:
    """Return the gate at the next multiple of the cost that the contract names, when a call would pass it.

    A call whose cost has no known bound runs alone, and holds what is left up to the next multiple.
    """
    assert state.contract is not None
    step = state.contract.gates.cost_microusd
    if step is None or terms.price is None:
        return None
    reserved = sum(item.reserve.microusd or 0 for item in state.open.values())
    asked_microusd = asked.microusd
    if asked_microusd is None:
        if reserved:
            return "wait"
        asked_microusd = to_next_toll(state, step)
    passed = (state.spend.microusd + reserved + asked_microusd - 1) // step
    if passed < 1:
        return None
    need = Need("cost", f"cost:{passed}")
    if _granted(state, need):
        return None
    if _denied(state, need) is not None:
        return BudgetStopped(
            scope="gate",
            currency="microusd",
            limit=passed * step,
            settled=state.spend.microusd,
            reserved=reserved,
            asked=asked_microusd,
        )
    if _open(state, need):
        return "wait"
    amounts = Amounts(microusd=state.spend.microusd, calls=state.spend.calls)
    subject: dict[str, object] = {
        "spent": msgspec.to_builtins(amounts),
        "reserved_microusd": reserved,
        "asked_microusd": asked_microusd,
        "up_to_microusd": (passed + 1) * step,
    }
    return _opened(state, need, subject, *parents)


def due(state: RunState) -> tuple[int, int] | None:
    """Return (deadline in wall clock microseconds, seq) of the gate that closes first, or None."""
    return min(((gate.deadline_us, seq) for seq, gate in state.gates.items()), default=None)


def on_opened(state: RunState, entry: Entry, data: GateOpened) -> None:
    """Fold ``gate.opened``: the ready tasks it is asked for wait for it."""
    subject = entry.bodies.get("subject")
    state.gates[entry.seq] = Gate(
        data.subject, data.key, "" if subject is None else subject.commit, data.deadline_us, data.task
    )
    # A lane's gate is for one task, the first that is ready: so that a lane of n tasks costs n steps and not n * n.
    concerned = state.ready[:1] if data.subject.startswith("lane:") else list(state.ready)
    waiting = {item for item in concerned if (need := unmet(state, state.tasks[item[1]])) and need.key == data.key}
    if not waiting:
        return
    if concerned[1:]:
        state.ready = [item for item in state.ready if item not in waiting]
        heapq.heapify(state.ready)
    else:
        heapq.heappop(state.ready)
    for _, name in waiting:
        state.tasks[name].status = "gated"
        state.gated[name] = data.key


def on_resolved(state: RunState, entry: Entry, data: GateResolved) -> None:
    """Fold ``gate.resolved``: what names another subject than the gate's, or comes after its deadline, is void."""
    gate = state.gates.get(data.gate)
    if gate is not None and data.digest == gate.digest and entry.at < gate.deadline_us:
        _close(state, data.gate, entry.seq, approved=data.approved, scope=data.scope)


def expire(state: RunState, gate_seq: int, entry: Entry) -> None:
    """Fold ``timer.fired`` of a gate: it is rejected, once its deadline has passed."""
    gate = state.gates.get(gate_seq)
    if gate is not None and entry.at >= gate.deadline_us:
        _close(state, gate_seq, entry.seq, approved=False)


def _close(state: RunState, gate_seq: int, by: int, *, approved: bool, scope: str = "once") -> None:
    """Close an open gate, and where its class was meant the others of it; place anew the tasks that waited."""
    closed = state.gates[gate_seq]
    whole = scope != "once"
    gone = {
        seq: gate for seq, gate in state.gates.items() if seq == gate_seq or (whole and gate.subject == closed.subject)
    }
    key = closed.subject if whole else closed.key
    if approved:
        state.granted.add(key)
    else:
        state.denied[key] = by
    keys = {gate.key for gate in gone.values()}
    for seq in gone:
        del state.gates[seq]
    for name in [name for name, waits_for in state.gated.items() if waits_for in keys]:
        del state.gated[name]
        admit(state, state.tasks[name])
    for gate in gone.values():
        touch(state, state.tasks.get(gate.task or ""))
