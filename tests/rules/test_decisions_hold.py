"""What must hold in every run, whatever the plan, the roles, the limits and the order in which things happen."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from forum_mcp.ledger.entry import Draft, Entry, NewBody
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.failures import ERROR_CLASSES
from forum_mcp.rules.next import decide
from forum_mcp.rules.policy import Policy
from forum_mcp.rules.run import RunState
from forum_mcp.rules.state import evolve
from tests.rules.record import RUN, Record, contract, plan_json, terms

SAID: Final = "\u00absaid\u00bb"
"""Stands in every text that a person, a model or a command wrote."""

LONG: Final = SAID + "x" * 3_000
UNDER_WAY: Final = ("working", "judging", "retiring")


def plans() -> st.SearchStrategy[list[dict[str, object]]]:
    """Return plans of 1 to 12 tasks: edges to earlier tasks only, then written down in any order."""
    task = st.fixed_dictionaries(
        {
            "edges": st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["data", "order"])), max_size=3),
            "effects": st.sampled_from([None, None, "none", "idempotent", "once"]),
            "done_when": st.sampled_from([[], [SAID]]),
            "schema": st.sampled_from([None, None, None, {"type": "object"}]),
            "lane": st.sampled_from(["backend", "writing", "general"]),
        }
    )
    return st.lists(task, min_size=1, max_size=12).flatmap(lambda drawn: st.permutations(list(_written(drawn))))


def _written(drawn: Sequence[Mapping[str, object]]) -> Iterator[dict[str, object]]:
    for number, task in enumerate(drawn):
        edges: dict[str, str] = {}
        for back, kind in msgspec.convert(task["edges"], list[tuple[int, str]]):
            if number > 0:
                edges[f"t{back % number}"] = kind
        needs = [{"id": name, "type": kind} for name, kind in edges.items()]
        yield {
            **task,
            "edges": None,
            "id": f"t{number}",
            "instruction": f"{SAID} {number}",
            "depends_on": needs,
        }


def plan_bytes(tasks: list[dict[str, object]]) -> bytes:
    """Return the plan as a caller or the Coordinator writes it."""
    kept = [{name: value for name, value in task.items() if name != "edges" and value is not None} for task in tasks]
    return msgspec.json.encode({"tasks": kept})


EXECUTORS: Final = st.builds(
    terms,
    type=st.sampled_from(["command", "chat", "chat", "host"]),
    attempts=st.integers(1, 3),
    max_parallel=st.integers(1, 3),
    effects=st.sampled_from(["none", "idempotent", "once"]),
    input_chars=st.sampled_from([200, 4_000]),
)


def ladders(*, rules: bool) -> st.SearchStrategy[list[str]]:
    """Return ladders of one to three rungs."""
    names = ["a", "b", "c", *(["rules"] if rules else [])]
    return st.lists(st.sampled_from(names), min_size=1, max_size=3)


CONTRACTS: Final = st.builds(
    contract,
    st.fixed_dictionaries({"a": EXECUTORS, "b": EXECUTORS, "c": EXECUTORS}),
    policy=st.builds(Policy, undecided=st.sampled_from(["pass", "escalate", "fail"])),
    max_parallel=st.integers(1, 4),
    single=st.sampled_from([False, False, False, True]),
    coordinator=ladders(rules=True),
    worker=ladders(rules=False),
    validator=ladders(rules=True),
    synthesizer=ladders(rules=True),
)
LIMITS: Final = st.builds(
    Amounts,
    calls=st.one_of(st.none(), st.integers(1, 8), st.integers(1, 30)),
    ms=st.one_of(st.none(), st.none(), st.none(), st.integers(1, 100_000)),
)
REQUESTS: Final = st.sampled_from(
    [
        SAID,
        LONG,
        f"1. write the guide {SAID}\n2. build the api\n3. build the database",
        f"build it, then test it {SAID}",
    ]
)
VERDICTS: Final = st.sampled_from(
    [
        '{"passed": true, "reason": "' + LONG + '", "evidence": ""}',
        '{"passed": true}',
        '{"passed": true}',
        '{"passed": false, "reason": "' + SAID + '"}',
        '{"passed": "true"}',
        SAID,
        LONG,
    ]
)
TEXTS: Final = st.sampled_from([SAID, SAID, LONG, " ", "<tool_call>" + SAID, '{"' + SAID + '": 1}', "[]"])
ERRORS: Final = st.sampled_from(sorted(ERROR_CLASSES))
PICK: Final = st.integers(0, 15)


class AnyRun(RuleBasedStateMachine):
    """One run: anything that may happen to it, in any order."""

    record: Record
    tasks: list[dict[str, object]]

    @initialize(
        drawn=CONTRACTS,
        tasks=plans(),
        limits=LIMITS,
        request=REQUESTS,
        given=st.booleans(),
        mode=st.sampled_from(["submit", "submit", "plan"]),
    )
    def start(
        self,
        drawn: Contract,
        tasks: list[dict[str, object]],
        limits: Amounts,
        request: str,
        *,
        given: bool,
        mode: str,
    ) -> None:
        self.tasks = tasks
        plan = plan_bytes(tasks) if given else None
        self.record = Record(drawn, request=request, plan=plan, limits=limits, mode=mode)

    def _reply(self, call: int, text: str, verdict: str) -> str:
        match self.record.state.open[call].purpose:
            case "validate":
                return verdict
            case "plan":
                return text + plan_bytes(self.tasks).decode() if len(text) < 20 else text
            case _:
                return text

    def _call(self, pick: int) -> int:
        calls = list(self.record.state.open)
        return calls[pick % len(calls)]

    @precondition(lambda self: bool(self.record.state.open))
    @rule(pick=PICK, text=TEXTS, verdict=VERDICTS, tokens=st.sampled_from([None, 7]))
    def succeed(self, pick: int, text: str, verdict: str, tokens: int | None) -> None:
        call = self._call(pick)
        self.record.answer(call, self._reply(call, text, verdict), tokens=tokens)

    @precondition(lambda self: bool(self.record.state.open))
    @rule(text=TEXTS, verdict=VERDICTS)
    def all_succeed(self, text: str, verdict: str) -> None:
        for call in list(self.record.state.open):
            if call in self.record.state.open:
                self.record.answer(call, self._reply(call, text, verdict))

    @precondition(lambda self: bool(self.record.state.open))
    @rule(
        pick=PICK,
        error=ERRORS,
        reply=st.sampled_from([None, LONG]),
        wait=st.sampled_from([None, 0, 90, 60_001]),
    )
    def fail(self, pick: int, error: str, reply: str | None, wait: int | None) -> None:
        self.record.answer(self._call(pick), reply, error, retry_after_ms=wait)

    @precondition(lambda self: bool(self.record.state.timers) or self.record.state.limits.ms is not None)
    @precondition(lambda self: self.record.state.phase not in ("finished", "rest") and not self.record.state.time_up)
    @rule()
    def let_a_deadline_pass(self) -> None:
        self.record.fire()

    @rule(ms=st.integers(1, 20_000))
    def let_time_pass(self, ms: int) -> None:
        limit = self.record.state.limits.ms
        self.record.now_ms = min(self.record.now_ms + ms, 10**9 if limit is None else max(limit, self.record.now_ms))

    @precondition(lambda self: self.record.state.phase != "finished")
    @rule(dice=st.integers(0, 9))
    def cancel(self, dice: int) -> None:
        if dice == 0:
            self.record.cancel()

    @precondition(lambda self: self.record.state.phase != "finished")
    @rule(orderly=st.booleans(), mode=st.sampled_from([None, "submit"]))
    def change_hands(self, mode: str | None, *, orderly: bool) -> None:
        if orderly:
            self.record.interrupt()
        self.record.resume(mode)

    @precondition(lambda self: any(item.type == "host" for item in self.record.state.open.values()))
    @rule(pick=PICK)
    def an_assistant_takes_an_item(self, pick: int) -> None:
        items = [item for item in self.record.state.open.values() if item.type == "host"]
        item = items[pick % len(items)]
        if item.taken_seq >= 0:
            self.record.expire(item.seq)
        self.record.take(item.seq)

    @rule(count=st.integers(1, 3))
    def another_run_goes_on(self, count: int) -> None:
        self.record.elsewhere(count)

    @invariant()
    def the_state_is_what_the_entries_fold_to(self) -> None:
        folded, live = self.record.refold(), self.record.state
        assert folded == live
        assert [*folded.agenda] == [*live.agenda], "in another order"
        assert [*folded.open] == [*live.open], "in another order"

    @invariant()
    def a_run_never_waits_for_nothing(self) -> None:
        state = self.record.state
        assert state.phase in ("rest", "finished") or state.open or state.timers

    @invariant()
    def the_entries_keep_the_rules(self) -> None:
        check(self.record)

    def teardown(self) -> None:
        """End the run by answering whatever it asks, then derive every decision again."""
        if not hasattr(self, "record"):
            return
        record = self.record
        for _ in range(400):
            if record.state.phase == "finished":
                break
            if record.state.phase == "rest":
                record.resume("submit")
            elif record.state.open:
                call = next(iter(record.state.open))
                record.answer(call, self._reply(call, SAID, '{"passed": true}'))
            else:
                record.fire()
        assert record.state.phase == "finished"
        self.the_state_is_what_the_entries_fold_to()
        check(record)
        check_end(record)
        derive_again(record)


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
                assert limit is None or len(started) <= limit, "settled + reserved goes beyond the limit"
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
    assert state.spend.calls == len(closed)
    assert set(state.open) == started.keys() - closed
    assert state.slots == sum(held.status in UNDER_WAY for held in state.tasks.values()) <= bound.max_parallel


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


AnyRun.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestAnyRun = AnyRun.TestCase


def test_a_synthesis_that_cannot_be_paid_for_again_gives_way_to_the_rules() -> None:
    for again in ("due", "lost", "next rung"):
        bound = contract(
            {"m": terms(), "once": terms(attempts=1)},
            synthesizer=["once", "m"] if again == "next rung" else ["m"],
        )
        record = Record(bound, plan=plan_json(("a", []), ("b", [])), limits=Amounts(calls=3))
        record.answer(reply="one")
        record.answer(reply="two")
        if again == "lost":
            record.resume()
        else:
            record.answer(error="timeout")
            if again == "due":
                record.fire()
        assert [entry.data["by"] for entry in record.of_kind("answer.synthesized")] == ["rules"]
        assert len(record.of_kind("budget.stopped")) == 1
        assert len(record.of_kind("call.started")) == 3
        check_end(record)
        derive_again(record)


def test_a_call_is_kept_back_for_the_synthesis() -> None:
    plan = plan_json(("a", []), ("b", []), ("c", []))
    record = Record(contract(synthesizer=["m"]), plan=plan, limits=Amounts(calls=3))
    record.answer(reply="one")
    record.answer(reply="two")
    assert [entry.data["purpose"] for entry in record.of_kind("call.started")] == [
        "task",
        "task",
        "synthesize",
    ]
    record.answer(reply="both")
    [stop] = record.of_kind("budget.stopped")
    assert (stop.data["limit"], stop.data["asked"], stop.data["kept_back"]) == (3, 1, 1)
    [answer] = record.of_kind("answer.synthesized")
    assert record.text(answer, "answer") == "both\n\nSkipped, not part of this answer: c."
    assert (record.state.end, record.state.error) == ("failed", "budget-calls")
    derive_again(record)


def test_a_second_outcome_of_an_attempt_changes_nothing() -> None:
    record = Record(contract(), plan=plan_json(("a", []), ("b", ["a"])))
    call = next(iter(record.state.open))
    record.answer(call, "one")
    before = record.refold()
    late = Draft("call.finished", "executor:m", {"call": call, "error": "timeout"}, {}, (call,))
    record.report(late)
    assert record.entries[-1].data["call"] == call, "nothing was decided from it"
    before.last_seq = record.state.last_seq
    assert record.state == before


@pytest.mark.parametrize("effects", ["none", "idempotent", "once"])
def test_work_that_may_be_done_once_is_not_done_again_after_a_crash(effects: str) -> None:
    record = Record(contract({"m": terms(effects=effects)}), plan=plan_json(("a", [])))
    record.resume()
    tries = [entry.data["attempt"] for entry in record.of_kind("call.started")]
    if effects == "once":
        assert tries == [1]
        assert [entry.data.get("error") for entry in record.of_kind("task.finished")] == ["in-doubt"]
        assert record.state.end == "failed"
    else:
        assert tries == [1, 2]
        record.answer(reply="done")
        assert record.state.end == "succeeded"
    assert record.state.spend.calls == len(tries)
    derive_again(record)


def test_an_answer_of_three_hundred_tasks_has_no_more_parents_than_an_entry_may() -> None:
    names = [f"t{number}" for number in range(300)]
    bound = contract({"m": terms(max_parallel=300)}, max_parallel=300, synthesizer=["m"])
    first: list[tuple[str, list[str]]] = [(name, []) for name in names]
    record = Record(bound, plan=plan_json(*first, ("last", names)))
    while record.state.phase == "tasks":
        record.answer(reply="x")
    record.resume()
    record.answer(reply="all of it")
    assert record.state.end == "succeeded"
    check(record)
    derive_again(record)


@pytest.mark.parametrize("task_ends", ["timeout", "auth", "refused"])
def test_what_depends_on_a_failed_task_is_skipped_and_its_siblings_go_on(task_ends: str) -> None:
    plan = plan_json(("a", []), ("b", ["a"]), ("c", ["b"]), ("d", []))
    record = Record(contract({"m": terms(attempts=1)}), plan=plan)
    record.answer(error=task_ends)
    record.answer(reply="d is done")
    skipped = {str(entry.data["task"]): entry.data["upstream"] for entry in record.of_kind("task.skipped")}
    assert skipped == {"b": "a", "c": "b"}
    [answer] = record.of_kind("answer.synthesized")
    assert "d is done" in record.text(answer, "answer")
    assert "Failed, not part of this answer: a." in record.text(answer, "answer")
    assert "Skipped, not part of this answer: b, c." in record.text(answer, "answer")
    assert (record.state.end, record.state.error) == ("failed", "tasks-failed")
