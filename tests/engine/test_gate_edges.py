"""Gates at their edges: what comes late, twice, from elsewhere or by a forger's hand."""

from collections.abc import Mapping

import anyio
import msgspec
import pytest

from forum_mcp.configs.settings import ExecutorSettings, GateSettings, PriceSettings, RoleSettings, Settings
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.views import RunView
from forum_mcp.errors import AppendRefused, GateClosed, RequestRefused
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from tests.engine.stage import WORKER, Stage, assert_clean

ONE: Mapping[str, object] = {"tasks": [{"id": "a", "lane": "backend", "instruction": "do a"}]}
LANES: Mapping[str, object] = {
    "tasks": [{"id": f"t{n}", "lane": "backend", "instruction": f"do {n}"} for n in range(3)]
}
_START_US = 1_800_000_000_000_000


class Hands:
    """The wall clock, moved by hand."""

    def __init__(self) -> None:
        self.us = _START_US

    def now_us(self) -> int:
        return self.us


def gated(stage: Stage, **gates: object) -> Settings:
    return stage.settings(WORKER).model_copy(update={"gates": GateSettings(**gates)})  # type: ignore[arg-type]


async def ended(forum: Orchestrator, run: str) -> RunView:
    """Return the run once it no longer waits for an approval, whose end nobody is told of."""
    with anyio.fail_after(10):
        while (view := await forum.run(run, wait_s=1)).state in ("waiting", "running"):
            pass
    return view


async def test_an_approval_that_comes_after_the_deadline_counts_for_nothing(stage: Stage) -> None:
    hands, cast = Hands(), {"model": ScriptedExecutor(stage.cast)}
    settings, clock = gated(stage, run=True, timeout_s=60), Clock(now_us=hands.now_us)
    async with Orchestrator.open(settings, executors=cast, clock=clock) as forum:
        run = await forum.submit("one", plan=ONE, wait_s=60)
    hands.us += 61_000_000  # it passes while nobody runs
    async with Orchestrator.open(settings, executors=cast, clock=clock) as forum:
        with pytest.raises(GateClosed, match="counts as rejected"):
            await forum.resolve(run.gates[0], approved=True)
        await forum.resume(run.run_id)
        view = await ended(forum, run.run_id)
        assert (view.state, stage.cast.received) == ("failed", [])
        assert_clean(forum)


async def test_an_approval_that_crosses_the_deadline_stops_nothing(stage: Stage) -> None:
    hands, cast = Hands(), {"model": ScriptedExecutor(stage.cast)}
    clock = Clock(now_us=hands.now_us)
    async with (
        Orchestrator.open(gated(stage, run=True, timeout_s=0.001), executors=cast, clock=clock) as forum,
        Orchestrator.open(gated(stage), executors=cast, clock=clock) as other,
    ):
        run = await forum.submit("one", plan=ONE, wait_s=60)
        [gate] = other.gates(run.run_id).gates
        data = {"gate": gate.gate, "approved": True, "digest": gate.digest, "how": "api"}
        other.ledger.append("gate.resolved", actor="person:local", data=data, run=run.run_id)
        hands.us = gate.deadline_us + 1  # the holder has not noticed yet, and its clock says that it is over
        assert (await ended(forum, run.run_id)).state == "succeeded"
        assert not stage.entries(forum, "run.interrupted")


async def test_of_two_who_answer_one_gate_the_first_counts(stage: Stage) -> None:
    async with stage.forum(gated(stage, run=True)) as forum, stage.forum(gated(stage)) as other:
        run = await forum.submit("one", plan=ONE, wait_s=60)
        said: list[bool] = []

        async def answer(by: Orchestrator, approved: bool) -> None:
            try:
                await by.resolve(run.gates[0], approved=approved)
            except AppendRefused:
                return
            said.append(approved)

        async with anyio.create_task_group() as group:
            group.start_soon(answer, other, False)
            group.start_soon(answer, forum, True)
        with anyio.fail_after(10):
            view = await forum.run(run.run_id, wait_s=60)
        assert len(said) == len(stage.entries(forum, "gate.resolved")) == 1
        assert view.state == ("succeeded" if said == [True] else "failed")
        assert_clean(forum)


@pytest.mark.parametrize(
    ("kind", "change"),
    [("gate.resolved", {"digest": "0" * 64}), ("gate.resolved", {"digest": ""}), ("timer.fired", {"due_us": 1})],
)
async def test_what_is_appended_by_hand_for_another_subject_or_too_early_opens_no_gate(
    stage: Stage, kind: str, change: dict[str, object]
) -> None:
    async with stage.forum(gated(stage, run=True)) as forum, stage.forum(gated(stage)) as other:
        run = await forum.submit("one", plan=ONE, wait_s=60)
        data = change if kind == "timer.fired" else {"gate": run.gates[0], "approved": True, "how": "api", **change}
        other.ledger.append(kind, actor="person:mallory", data=data, run=run.run_id, parents=(run.gates[0],))
        assert (await forum.resolve(run.gates[0], approved=True, wait_s=60)).state == "succeeded"
        assert_clean(forum)


async def test_a_standing_approval_that_nobody_gave_is_found(stage: Stage) -> None:
    async with stage.forum(gated(stage, run=True)) as forum, stage.forum(gated(stage)) as other:
        run = await forum.submit("one", plan=ONE, wait_s=60)
        [gate] = forum.gates().gates
        data = {"gate": gate.gate, "approved": True, "digest": gate.digest, "how": "standing", "standing": 1}
        seq = other.ledger.append("gate.resolved", actor="person:local", data=data, run=run.run_id).seq
        with anyio.fail_after(10):
            await forum.run(run.run_id, wait_s=60)
            assert [each.seq for each in forum.ledger.verify(level=4).findings] == [seq]


async def test_an_approval_of_another_project_does_not_stand_here(stage: Stage) -> None:
    hands, cast = Hands(), {"model": ScriptedExecutor(stage.cast)}
    theirs = gated(stage, run=True).model_copy(update={"project": "theirs"})
    clock = Clock(now_us=hands.now_us)
    async with Orchestrator.open(theirs, executors=cast, clock=clock) as forum:
        run = await forum.submit("one", plan=ONE, wait_s=60)
        until_us = hands.us + 3_600_000_000
        await forum.resolve(run.gates[0], approved=True, scope="class", until_us=until_us, wait_s=60)
        [given] = stage.entries(forum, "gate.resolved")
    async with Orchestrator.open(gated(stage, run=True), executors=cast, clock=clock) as forum:
        pointer = str(given.seq).encode()
        forum.ledger.store.transact(lambda tx: tx.set_account("approval:default:run", pointer))
        assert (await forum.submit("one", plan=ONE, wait_s=60)).state == "waiting"


async def test_an_approval_of_the_class_closes_every_gate_of_it(stage: Stage) -> None:
    async with stage.forum(gated(stage, lanes=["backend"])) as forum:
        run = await forum.submit("all", plan=LANES, wait_s=60)
        assert len(run.gates) == 3
        view = await forum.resolve(run.gates[1], approved=True, scope="run", wait_s=60)
        assert (view.state, view.gates) == ("succeeded", [])
        run = await forum.submit("all", plan=LANES, wait_s=60)
        view = await forum.resolve(run.gates[1], approved=True, wait_s=60)
        assert [task.state for task in view.tasks] == ["waiting", "succeeded", "waiting"]
        view = await forum.resolve(run.gates[0], approved=False, scope="run", wait_s=60)
        assert [task.state for task in view.tasks] == ["skipped", "succeeded", "skipped"]
        assert_clean(forum)


async def test_a_cost_gate_waits_also_for_a_model_whose_reply_has_no_bound(stage: Stage) -> None:
    def dear(call: Call) -> Outcome:
        return Outcome(reply=f"{call.task} done".encode(), tokens_in=1_000, tokens_out=1_000)

    terms = ExecutorSettings(type="scripted", script="-", price=PriceSettings(input=100.0, output=100.0))
    settings = stage.settings(RoleSettings(worker=["dear"]), extra={"dear": terms})
    async with Orchestrator.open(
        settings, executors={"dear": ScriptedExecutor(dear), "model": ScriptedExecutor(dear)}
    ) as forum:
        run = await forum.submit("all", plan=LANES, approve_above_usd=0.3, wait_s=60)
        assert (run.state, [gate.subject for gate in forum.gates().gates]) == ("waiting", ["cost"])
        assert run.spent.cost_usd is not None
        assert 0.3 <= run.spent.cost_usd < 0.5
        assert (await forum.resolve(run.gates[0], approved=True, wait_s=60)).state == "succeeded"
        assert_clean(forum)


@pytest.mark.parametrize("usd", [float("nan"), float("inf"), 0.0, -1.0])
async def test_an_amount_that_is_none_is_refused(stage: Stage, usd: float) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        with pytest.raises(RequestRefused, match="approve_above_usd is"):
            await forum.submit("one", plan=ONE, approve_above_usd=usd)
        with pytest.raises(RequestRefused, match="max_usd is"):
            await forum.submit("one", plan=ONE, max_usd=usd)
        with pytest.raises(RequestRefused, match="max_seconds is"):
            await forum.submit("one", plan=ONE, max_seconds=usd)
        with pytest.raises(RequestRefused, match="max_total_tokens is"):
            await forum.submit("one", plan=ONE, max_total_tokens=10**30)


async def test_gates_are_listed_and_plans_quoted_over_a_damaged_record(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        run = (await forum.submit("one", plan=ONE, wait_s=60)).run_id
        lost = "cd" * 16
        forum.ledger.append("task.started", actor="engine", data={"task": "a", "n": 1, "lane": "x"}, run=lost)
        forum.ledger.append("call.finished", actor="engine", data={"call": "x"}, run=run)
        forum.ledger.append("call.started", actor="engine", data={"purpose": 5}, run=run)
        planned = await forum.plan("one more", plan=ONE, wait_s=60)
        assert (await forum.quoted(planned)).quote is not None
        opened = {"subject": "run", "key": "run", "deadline_us": 2**52}
        forum.ledger.append(
            "gate.opened", actor="engine", data=opened, bodies={"subject": "no JSON"}, run=planned.run_id
        )
        assert [gate.asks for gate in forum.gates().gates] == [{}]
        assert msgspec.json.encode(forum.gates())
