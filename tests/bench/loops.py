"""One run of a plan, the same under each system: every task is done, judged, and put into one answer.

``python -m tests.bench.loops SYSTEM PLACE TASKS DELAY_MS`` prints one JSON object. Each call of a model is a wait of
``DELAY_MS``, sixteen at a time. Times: ``wall`` is what a caller waits, ``cpu`` this process's CPU time, seconds;
``steps`` is what was recorded of the run, ``bytes`` what it takes on disk once everything is closed.
"""

import json
import operator
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Annotated, Any, Final, TypedDict

import anyio

from forum_mcp import Orchestrator
from forum_mcp.configs.settings import ExecutorSettings, LimitSettings, RoleSettings, Settings
from forum_mcp.executors.base import Call
from forum_mcp.executors.scripted import ScriptedExecutor

__all__ = ["PARALLEL", "SYSTEMS"]

PARALLEL: Final = 16

Figures = dict[str, float]


class _Watch:
    """Measures from its making to ``stop``."""

    def __init__(self) -> None:
        self.wall, self.cpu = perf_counter(), process_time()

    def stop(self) -> Figures:
        return {"wall": perf_counter() - self.wall, "cpu": process_time() - self.cpu}


def _size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


async def ours(place: Path, tasks: int, delay_s: float) -> Figures:
    """Run the plan here, and keep its ledger."""

    async def answer(call: Call) -> str:
        await anyio.sleep(delay_s)
        verdict = '{"passed": true, "reason": "as asked", "evidence": "all of it"}'
        return verdict if call.purpose == "validate" else f"what {call.task} gave"

    plan = [{"id": f"t{at}", "lane": "backend", "instruction": f"do piece {at} of the work"} for at in range(tasks)]
    model = ExecutorSettings(type="scripted", script="-", max_parallel=PARALLEL)
    settings = Settings(
        ledger=str(place / "ledger.db"),
        executors={"model": model},
        roles=RoleSettings(worker=["model"], validator=["model"], synthesizer=["model"]),
        limits=LimitSettings(calls=10 * tasks),
        max_parallel=PARALLEL,
    )
    async with Orchestrator.open(settings, executors={"model": ScriptedExecutor(answer)}) as forum:
        await forum.submit("warm up", single=True, wait_s=60)
        watch = _Watch()
        view = await forum.submit("do the work", plan={"tasks": plan}, wait_s=600)
        found = watch.stop()
        assert view.state == "succeeded", view.error
    return {**found, "steps": view.entries[1] - view.entries[0] + 1, "bytes": _size(place)}


@dataclass(frozen=True)
class _Verdict:
    ok: bool = True


async def forum_engine(place: Path, tasks: int, delay_s: float) -> Figures:
    """Run the plan with forum-engine over its SQLite storage, every append durable."""

    def part(name: str) -> Any:  # it has no types to import
        return import_module(f"forum.{name}")

    made = part("plan")

    class Coordinator:
        pieces = 1

        async def plan(self, *_: object, **__: object) -> object:
            work = [made.Task(f"t{at}", lane, f"do piece {at} of the work") for at in range(self.pieces)]
            return made.Plan(tuple(work))

    class Model:
        model_id = "model"

        async def run(self, assignment: Any) -> object:
            await anyio.sleep(delay_s)
            judged = assignment.task_id == "control:validator" or assignment.agent == "validator"
            said = '{"ok": true, "score": 1.0, "reason": "as asked"}' if judged else f"what {assignment.task_id} gave"
            return part("executor").Result(assignment.task_id, assignment.agent, said)

    roster = part("roster").load_default()
    lane = str(next(iter(roster.agents)))
    storage = part("sqlite_storage").SqliteStorage(str(place / "ledger.db"), fsync_each=True)
    ledger = part("ledger").Ledger(storage)
    policy = part("policy").Policy(frozenset(), max_parallel=PARALLEL)
    coordinator = Coordinator()
    engine = part("engine").Orchestrator(roster, ledger, Model(), policy, coordinator=coordinator)
    await engine.submit("warm up")
    coordinator.pieces, before = tasks, ledger.count()
    watch = _Watch()
    await engine.submit("do the work")
    found = watch.stop()
    steps = ledger.count() - before
    storage.close()
    return {**found, "steps": steps, "bytes": _size(place)}


class _Pieces(TypedDict):
    tasks: list[str]
    results: Annotated[list[str], operator.add]
    verdicts: Annotated[list[bool], operator.add]
    answer: str


async def langgraph(place: Path, tasks: int, delay_s: float) -> Figures:
    """Run the plan as a graph with LangGraph's SQLite checkpointer, each step durable before the next."""
    graphs: Any = import_module("langgraph.graph")
    types: Any = import_module("langgraph.types")
    saver: Any = import_module("langgraph.checkpoint.sqlite.aio").AsyncSqliteSaver

    async def work(piece: dict[str, str]) -> object:
        await anyio.sleep(delay_s)
        said = f"what {piece['id']} gave"
        return types.Command(update={"results": [said]}, goto=types.Send("judge", {"id": piece["id"], "said": said}))

    async def judge(_: dict[str, str]) -> dict[str, object]:
        await anyio.sleep(delay_s)
        return {"verdicts": [True]}

    async def synthesize(state: _Pieces) -> dict[str, object]:
        await anyio.sleep(delay_s)
        return {"answer": "\n".join(state["results"])}

    def fan_out(state: _Pieces) -> list[object]:
        return [types.Send("work", {"id": name}) for name in state["tasks"]]

    builder = graphs.StateGraph(_Pieces)
    for node in (work, judge, synthesize):
        builder.add_node(node.__name__, node)
    builder.add_conditional_edges(graphs.START, fan_out, ["work"])
    builder.add_edge("judge", "synthesize")
    builder.add_edge("synthesize", graphs.END)
    begin = {"tasks": [f"t{at}" for at in range(tasks)], "results": [], "verdicts": [], "answer": ""}
    async with saver.from_conn_string(str(place / "graph.db")) as kept:
        graph = builder.compile(checkpointer=kept)

        def config(thread: str) -> dict[str, object]:
            return {"configurable": {"thread_id": thread}, "max_concurrency": PARALLEL}

        await graph.ainvoke({**begin, "tasks": ["t0"]}, config("warm"), durability="sync")
        watch = _Watch()
        last = await graph.ainvoke(begin, config("run"), durability="sync")
        found = watch.stop()
        assert len(last["verdicts"]) == tasks
        steps = 0
        async for _ in kept.alist({"configurable": {"thread_id": "run"}}):
            steps += 1
    return {**found, "steps": steps, "bytes": _size(place)}


SYSTEMS: Final[dict[str, Callable[[Path, int, float], Awaitable[Figures]]]] = {
    "ours": ours,
    "forum-engine": forum_engine,
    "langgraph": langgraph,
}


def main(system: str, place: str, tasks: str, delay_ms: str) -> int:
    """Run one cell and print its figures."""
    os.environ.setdefault("LANGSMITH_TRACING", "false")
    run = SYSTEMS[system]

    async def cell() -> Figures:
        return await run(Path(place), int(tasks), float(delay_ms) / 1000)

    print(json.dumps(anyio.run(cell)))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
