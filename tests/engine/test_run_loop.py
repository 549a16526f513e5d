"""A request in, a judged answer out: what the loop does, as its record tells it."""

from itertools import pairwise

import anyio
import msgspec
import pytest

from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.run_views import finished_line, run_line
from forum_mcp.errors import RequestRefused
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.ledger.entry import RunId
from tests.engine.stage import DIAMOND, WORKER, Stage, assert_clean, plan_of


async def test_a_request_is_routed_planned_done_judged_and_answered(stage: Stage) -> None:
    stage.cast.plan = lambda _: DIAMOND
    async with stage.forum() as forum:
        view = await forum.submit("build the database schema and the auth endpoint")
        assert (view.state, view.answer, view.lane, view.plan_by) == (
            "succeeded",
            "the answer",
            "backend",
            "coordinator",
        )
        assert view.waves == [["a"], ["b", "c"], ["d"]]
        assert [task.verdict for task in view.tasks] == ["passed"] * 4
        kinds = [entry.kind for entry in stage.entries(forum)]
        assert kinds[:6] == [
            "ledger.opened",
            "run.started",
            "route.decided",
            "call.started",
            "call.finished",
            "plan.accepted",
        ]
        assert kinds[-2:] == ["run.finished", "checkpoint.signed"]
        assert_clean(forum)


async def test_a_task_starts_when_its_own_dependencies_are_settled_and_not_when_a_wave_is(stage: Stage) -> None:
    slow = anyio.Event()

    async def work(call: Call) -> str:
        if call.task == "slow":
            await slow.wait()
        if call.task == "after-quick":
            slow.set()
        return "done"

    stage.cast.plan = lambda _: plan_of(("quick", []), ("slow", []), ("after-quick", ["quick"]), ("end", ["slow"]))
    stage.cast.task = work
    async with stage.forum() as forum:
        with anyio.fail_after(20):
            assert (await forum.submit("go", wait_s=20)).state == "succeeded"
        assert_clean(forum)


async def test_no_more_tasks_run_at_once_than_max_parallel(stage: Stage) -> None:
    running, most = 0, 0

    async def work(_: Call) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        running -= 1
        return "done"

    stage.cast.plan = lambda _: plan_of(*((f"t{i}", list[str]()) for i in range(9)))
    stage.cast.task = work
    async with stage.forum(stage.settings(max_parallel=3)) as forum:
        assert (await forum.submit("go")).state == "succeeded"
        assert most == 3
        assert_clean(forum)


async def test_outputs_flow_along_data_edges_and_not_along_order_edges(stage: Stage) -> None:
    plan = {
        "tasks": [
            {"id": "a", "lane": "backend", "instruction": "do a"},
            {"id": "b", "lane": "backend", "instruction": "do b", "depends_on": ["a"]},
            {"id": "c", "lane": "backend", "instruction": "do c", "depends_on": [{"id": "a", "type": "order"}]},
        ]
    }
    stage.cast.task = lambda call: "SECRET-OF-A" if call.task == "a" else "ok"
    async with stage.forum() as forum:
        assert (await forum.submit("go", plan=plan)).state == "succeeded"
    prompts = {call.task: call.prompt for call in stage.cast.received if call.purpose == "task"}
    assert b"SECRET-OF-A" in prompts["b"]
    assert b"SECRET-OF-A" not in prompts["c"]


async def test_every_byte_an_executor_received_is_a_recorded_body_and_every_repeat_its_own_attempt(
    stage: Stage,
) -> None:
    seen: set[str | None] = set()

    def flaky(call: Call) -> Outcome | str:
        if call.task not in seen:
            seen.add(call.task)
            return Outcome(error="server-error", detail="try again")
        return "fine"

    stage.cast.plan = lambda call: DIAMOND if call.attempt > 1 else "no JSON at all"
    stage.cast.task = flaky
    async with stage.forum() as forum:
        assert (await forum.submit("go")).state == "succeeded"
        started = {entry.seq: entry for entry in stage.entries(forum, "call.started")}
        assert sorted(call.seq for call in stage.cast.received) == sorted(started)
        for call in stage.cast.received:
            bodies = started[call.seq].bodies
            for name, received in (("system", call.system), ("prompt", call.prompt), ("schema", call.schema)):
                if received is not None:
                    body = forum.ledger.body(str(bodies[name]["commit"]))
                    assert body is not None
                    assert body.data == received
        assert_clean(forum)


async def test_the_trace_of_each_entry_of_a_run_reaches_its_request(stage: Stage) -> None:
    stage.cast.plan = lambda _: DIAMOND
    stage.cast.task = lambda call: Outcome(error="exit-code", exit_code=1) if call.task == "b" else "ok"
    async with stage.forum() as forum:
        view = await forum.submit("go")
        assert view.state == "failed"
        for entry in stage.entries(forum):
            if entry.run is not None:
                assert forum.ledger.trace(entry.seq).reaches_request, entry.kind


async def test_a_plan_rests_until_it_is_submitted(stage: Stage) -> None:
    stage.cast.plan = lambda _: DIAMOND
    async with stage.forum() as forum:
        planned = await forum.plan("go")
        assert planned.state == "waiting"
        assert planned.next is not None
        assert (planned.next.tool, planned.next.arguments) == ("submit", {"run_id": planned.run_id})
        assert stage.entries(forum, "task.started") == []
        done = await forum.submit(plan=planned.run_id)
        assert (done.run_id, done.state) == (planned.run_id, "succeeded")
        assert_clean(forum)


async def test_an_idempotency_key_joins_the_run_it_began(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        first, second = await forum.submit("go", idempotency_key="k"), await forum.submit("go", idempotency_key="k")
        assert first.run_id == second.run_id
        assert len(stage.entries(forum, "run.started")) == 1


async def test_a_request_is_not_answered_with_the_run_of_another_one_by_its_key(stage: Stage) -> None:
    plan: dict[str, object] = msgspec.json.decode(DIAMOND)
    async with stage.forum(stage.settings(WORKER)) as forum:
        await forum.submit("go", idempotency_key="k")
        await forum.submit(plan=plan, idempotency_key="planned")
        size = forum.ledger.size
        with pytest.raises(RequestRefused, match="with another request"):
            await forum.submit("stop", idempotency_key="k")
        with pytest.raises(RequestRefused, match="with another plan"):
            await forum.submit("go", plan=plan, idempotency_key="k")
        with pytest.raises(RequestRefused, match="with another plan"):
            await forum.submit("\n".join(f"do {name}" for name in "abcd"), idempotency_key="planned")
        with pytest.raises(RequestRefused, match="is empty"):
            await forum.submit("go", idempotency_key=" ")
        assert forum.ledger.size == size
        assert (await forum.submit("go", idempotency_key="a\ud800")).run_id != (
            await forum.submit("go", idempotency_key="a?")
        ).run_id


async def test_runs_side_by_side_share_one_ledger(stage: Stage) -> None:
    stage.cast.plan = lambda _: DIAMOND
    async with stage.forum() as forum:
        async with anyio.create_task_group() as group:
            for i in range(6):
                group.start_soon(forum.submit, f"request number {i}")
        assert [run.state for run in forum.runs().runs] == ["succeeded"] * 6
        assert_clean(forum)


async def test_a_cancelled_run_ends_what_it_had_under_way(stage: Stage) -> None:
    begun = anyio.Event()

    async def stuck(_: Call) -> str:
        begun.set()
        await anyio.sleep_forever()
        return "never"

    stage.cast.task = stuck
    async with stage.forum(stage.settings(WORKER)) as forum:
        view = await forum.submit("go", wait_s=0)
        with anyio.fail_after(20):
            await begun.wait()
            done = await forum.cancel(view.run_id, reason="changed my mind")
        assert done.state == "cancelled"
        (outcome,) = stage.entries(forum, "call.finished")
        assert outcome.data["error"] == "cancelled"
        assert_clean(forum)


async def test_a_bare_route_records_nothing(stage: Stage) -> None:
    async with stage.forum() as forum:
        before = forum.ledger.size
        assert forum.route("write the readme docs and the guide").lane == "technical-writing"
        assert forum.ledger.size == before


async def test_every_transaction_of_a_run_writes_something(stage: Stage) -> None:
    async def work(call: Call) -> str:
        for _ in range(10):  # the loop has time to look at the record where nothing is to be found
            await anyio.lowlevel.checkpoint()
        return f"result of {call.task}"

    statements: list[str] = []
    stage.cast.plan, stage.cast.task = lambda _: DIAMOND, work
    async with stage.forum() as forum:
        writer = getattr(forum.ledger.store, "_writer")  # noqa: B009 - nothing but SQLite sees an empty transaction
        writer.set_trace_callback(statements.append)
        assert (await forum.submit("go")).state == "succeeded"
        calls = len(stage.entries(forum, "call.finished"))
        writer.set_trace_callback(None)
    ends = [at for at, sql in enumerate(statements) if sql == "COMMIT"]
    assert len(ends) >= calls
    for before, end in pairwise([-1, *ends]):
        assert any(sql.startswith(("INSERT", "UPDATE")) for sql in statements[before + 1 : end]), statements[before:end]


async def test_a_run_that_is_over_is_listed_from_its_ends_as_its_fold_would_be(stage: Stage) -> None:
    read: list[int] = []
    async with stage.forum(stage.settings(WORKER)) as forum:
        over = await forum.submit("  say\n hello " + "and again " * 40, single=True, wait_s=60)
        failed = await forum.submit("two", max_calls=1, plan=msgspec.json.decode(DIAMOND), wait_s=60)
        resting = await forum.plan("rest", single=True)
        folded = [run_line(fold_run(forum.ledger.store, RunId(run.run_id)), live=False) for run in (failed, over)]
        [first, *others] = forum.runs().runs
        assert (first.run_id, first.state) == (resting.run_id, "waiting")
        assert others == folded
        for row in forum.ledger.store.runs(10):
            read += [row.first_seq] if finished_line(forum.ledger.store, row) is None else []
        assert read == [resting.entries[0]]
