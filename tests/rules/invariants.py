"""What must hold in every run, checked with a bookkeeping of its own."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, cast

import msgspec

from forum_mcp.ledger.entry import Entry, NewBody
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.next import decide
from forum_mcp.rules.run import RunState
from forum_mcp.rules.state import evolve
from tests.rules.record import RUN, Record

SAID: Final = "\u00absaid\u00bb"
"""Stands in every text that a person, a model or a command wrote."""

UNDER_WAY: Final = ("working", "judging", "retiring")


def check(record: Record) -> None:
    """Walk the entries with a bookkeeping of its own."""
    bound, limit = record.state.contract, record.state.limits.calls
    assert bound is not None
    started: dict[int, Entry] = {}
    closed: set[int] = set()
    ok: set[str] = set()
    begun: Counter[tuple[object, object]] = Counter()
    needs = {name: {edge.id for edge in held.plan.depends_on} for name, held in record.state.tasks.items()}
    reached: set[int] = set()
    for entry in record.entries:
        check_entry(entry, reached)
        data = entry.data
        match entry.kind:
            case "call.started":
                started[entry.seq] = entry
                paid = [each for each in started.values() if not reads_context(each)]
                assert limit is None or len(paid) <= limit, "settled + reserved goes beyond the limit"
                check_room(bound, [each for seq, each in started.items() if seq not in closed])
            case "call.finished":
                assert data["call"] in started.keys() - closed, "an outcome without an open attempt"
                closed.add(int(str(data["call"])))
            case "run.resumed":
                lost = set(msgspec.convert(data.get("in_doubt", []), list[int]))
                assert lost <= started.keys() - closed
                closed |= lost
            case "task.started":
                name = str(data["task"])
                begun[name, data["n"]] += 1
                assert begun[name, data["n"]] == 1, f"{name} started twice"
                assert needs[name] <= ok, f"{name} started before what it needs"
            case "task.judged" if data["ok"]:
                ok.add(str(data["task"]))
            case _:
                pass
    state = record.state
    assert state.spend.calls == len([seq for seq in closed if not reads_context(started[seq])])
    assert set(state.open) == started.keys() - closed
    assert state.slots == sum(held.status in UNDER_WAY for held in state.tasks.values()) <= bound.max_parallel


def reads_context(entry: Entry) -> bool:
    """Tell whether a call reads context, which no budget counts."""
    return str(entry.data["purpose"]).startswith("context:")


def check_room(bound: Contract, opened: list[Entry]) -> None:
    """Check that no executor and no run has more open attempts than it may."""
    for name, count in Counter(str(entry.data["executor"]) for entry in opened).items():
        assert count <= bound.executors[name].max_parallel, f"{count} open attempts on {name}"
    assert len({entry.data.get("task") for entry in opened}) <= bound.max_parallel
    assert len({(entry.data["purpose"], entry.data.get("task")) for entry in opened}) == len(opened)


def check_entry(entry: Entry, reached: set[int]) -> None:
    """Check an entry's parents, its shape, and that no text stands in its data."""
    assert entry.parents == sorted(set(entry.parents))
    assert len(entry.parents) <= 256
    assert entry.parents or entry.kind == "run.started"
    assert set(entry.parents) <= reached, f"{entry.kind} has parents {entry.parents} that are not of this run before it"
    reached.add(entry.seq)
    kind = KINDS[entry.kind]
    assert set(entry.bodies) <= set(kind.bodies)
    told = {name: value for name, value in entry.data.items() if name != "t_ms"}
    assert msgspec.to_builtins(msgspec.convert(told, kind.payload)) == told
    for text in strings(entry.data):
        assert len(text.encode()) <= 1_024
        assert SAID not in text


def strings(value: object) -> Iterator[str]:
    """Yield every string among the values of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in cast("list[object]", value):
            yield from strings(part)
    if isinstance(value, dict):
        yield from strings([*cast("dict[str, object]", value).values()])


def check_end(record: Record) -> None:
    """Check that the seal counts what happened and says success exactly when every task is ok."""
    [seal] = record.of_kind("run.finished")
    assert seal is record.entries[-1]
    ok = {str(entry.data["task"]) for entry in record.of_kind("task.judged") if entry.data["ok"]}
    skipped = {str(entry.data["task"]) for entry in record.of_kind("task.skipped")}
    assert seal.data.get("tasks_ok", 0) == len(ok)
    assert seal.data.get("tasks_skipped", 0) == len(skipped)
    assert not ok & skipped
    tasks = set(record.state.tasks)
    answers = record.of_kind("answer.synthesized")
    if record.of_kind("run.cancelled"):
        assert seal.data["state"] == "cancelled"
        return
    assert (seal.data["state"] == "succeeded") == (bool(tasks) and ok == tasks)
    assert len(answers) == bool(ok)
    assert ("error" in seal.data) == (seal.data["state"] == "failed")
    assert seal.data.get("tasks_failed", 0) == len(tasks - ok - skipped)
    assert not record.state.incomplete


def derive_again(record: Record) -> None:
    """Derive every recorded decision from the entries before it alone."""
    state = RunState(RUN)
    for entry in record.entries:
        if KINDS[entry.kind].role == "decision":
            draft = decide(state)
            assert draft is not None, f"nothing gives {entry.kind} {entry.seq}"
            assert (draft.kind, draft.actor, list(draft.parents)) == (entry.kind, entry.actor, entry.parents)
            assert {**draft.data, "t_ms": entry.data["t_ms"]} == entry.data
            assert draft.bodies.keys() == entry.bodies.keys()
            for name, body in draft.bodies.items():
                if isinstance(body, NewBody):
                    assert body.data == record.bodies(entry)(name)
                else:
                    assert body == entry.bodies[name]
        state = evolve(state, entry, record.bodies(entry))
