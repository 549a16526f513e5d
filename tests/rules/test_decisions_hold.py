"""What must hold in every run, whatever the plan, the roles, the limits and the order in which things happen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.rules.contract import Contract, Gates, Steps
from forum_mcp.rules.failures import ERROR_CLASSES
from forum_mcp.rules.policy import Policy
from tests.rules.invariants import SAID, check, check_end, derive_again
from tests.rules.record import Record, contract, terms

LONG: Final = SAID + "x" * 3_000


def plans() -> st.SearchStrategy[list[dict[str, object]]]:
    """Return plans of 1 to 12 tasks: edges to earlier tasks only, then written down in any order."""
    task = st.fixed_dictionaries(
        {
            "edges": st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["data", "order"])), max_size=2),
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
    input_bytes=st.sampled_from([200, 4_000]),
)


def ladders(*, rules: bool) -> st.SearchStrategy[list[str]]:
    """Return ladders of one to three rungs."""
    names = ["a", "b", "c", *(["rules"] if rules else [])]
    return st.one_of(st.sampled_from([["a"], ["b"]]), st.lists(st.sampled_from(names), min_size=1, max_size=3))


CONTRACTS: Final = st.builds(
    contract,
    st.fixed_dictionaries({"a": EXECUTORS, "b": EXECUTORS, "c": EXECUTORS}),
    policy=st.builds(Policy, undecided=st.sampled_from(["pass", "escalate", "fail"])),
    max_parallel=st.sampled_from([4, 3, 2, 1]),
    single=st.sampled_from([False, False, False, True]),
    gates=st.builds(
        Gates,
        run=st.sampled_from([False, False, True]),
        wave=st.sampled_from([False, False, True]),
        lanes=st.sampled_from([[], [], ["backend"]]),
    ),
    coordinator=ladders(rules=True),
    worker=ladders(rules=False),
    validator=ladders(rules=True),
    synthesizer=ladders(rules=True),
    classifier=ladders(rules=True),
    judge=ladders(rules=True),
    reviser=ladders(rules=True),
    verifier=ladders(rules=True),
    steps=st.builds(
        Steps,
        escalate=st.just(True),
        classify=st.booleans(),
        intent=st.booleans(),
        delivery=st.booleans(),
        verification=st.booleans(),
    ),
    context=st.sampled_from([[], [], ["notes"], ["guide", "notes"]]),
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
        f"{LONG}\n" * 3,
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
    last: str
    """What is answered to everything that is still asked at the end."""

    @initialize(
        drawn=CONTRACTS,
        tasks=plans(),
        limits=LIMITS,
        request=REQUESTS,
        given=st.booleans(),
        mode=st.sampled_from(["submit", "submit", "plan"]),
        last=st.sampled_from([SAID, LONG]),
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
        last: str,
    ) -> None:
        self.tasks, self.last = tasks, last
        plan = plan_bytes(tasks) if given else None
        self.record = Record(drawn, request=request, plan=plan, limits=limits, mode=mode)

    def _reply(self, call: int, text: str, verdict: str) -> str:
        match self.record.state.open[call].purpose:
            case "validate" | "verify":
                return verdict
            case "judge":
                return verdict.replace("passed", "met")
            case "classify":
                return '{"lane": "backend"}' if "true" in verdict else verdict
            case "revise":
                return text[: len(text) // 2] or text
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

    @precondition(lambda self: bool(self.record.state.gates) and self.record.state.phase != "finished")
    @rule(pick=PICK, approved=st.booleans(), scope=st.sampled_from(["once", "run"]))
    def somebody_resolves_a_gate(self, pick: int, scope: str, *, approved: bool) -> None:
        gates = list(self.record.state.gates)
        self.record.resolve(gates[pick % len(gates)], approved=approved, scope=scope)

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
        assert state.phase in ("rest", "finished") or state.open or state.timers or state.gates

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
            elif record.state.gates:
                record.resolve(next(iter(record.state.gates)), approved=True)
            elif record.state.open:
                call = next(iter(record.state.open))
                record.answer(call, self._reply(call, self.last, '{"passed": true}'))
            else:
                record.fire()
        assert record.state.phase == "finished"
        self.the_state_is_what_the_entries_fold_to()
        check(record)
        check_end(record)
        derive_again(record)


AnyRun.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
TestAnyRun = AnyRun.TestCase
