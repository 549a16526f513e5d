"""One simulated life of a ledger: what the operator set, what is asked, and what befalls the processes, all by a seed.

Every process is a forum of its own on one ledger file, in one virtual time: they are crashed (nothing they do reaches
the disk any more), closed in order, started beside each other with clocks that disagree, and told to resume the same
run; people approve, reject or never look; assistants do work, vanish with it or hand back rubbish.

A seed lives the same life again, but for the order in which calls that are cancelled at one moment end: anyio keeps
scopes in sets.
"""

import random
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

import anyio
import anyio.abc

from forum_mcp.configs.settings import (
    AmountSettings,
    ExecutorSettings,
    GateSettings,
    LimitSettings,
    PolicySettings,
    PriceSettings,
    RoleSettings,
    Settings,
    StepSettings,
)
from forum_mcp.engine.clock import Clock
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import ForumError, LedgerReadOnly
from forum_mcp.executors.base import Call
from forum_mcp.stores.base import Transaction
from forum_mcp.stores.sqlite import SqliteStore
from tests.simulation.models import LIES, model
from tests.simulation.virtual import in_virtual_time
from tests.simulation.watch import Watch

__all__ = ["Life", "live"]

EPOCH_US: Final = 1_900_000_000_000_000
LANES: Final = ("backend", "frontend", "database")
ROUNDS_MAX: Final = 3_000
PATIENCE_S: Final = 5.0


@dataclass
class Life:
    """What one seed came to."""

    seed: int
    watch: Watch = field(default_factory=Watch)
    performed: list[tuple[str, Call]] = field(default_factory=list[tuple[str, Call]])
    crashes: int = 0
    ends: list[str] = field(default_factory=list[str])


class Process:
    """One process of the simulation: a forum, and the means to take it from the disk."""

    def __init__(self, forum: Orchestrator, scope: anyio.CancelScope, ended: anyio.Event) -> None:
        self.forum = forum
        self.ended = ended
        self._scope = scope

    async def crash(self) -> None:
        """End it as ``kill -9`` would: from this moment nothing it does reaches the disk."""
        store = self.forum.ledger.store

        def gone(_: object) -> object:
            raise LedgerReadOnly("this process is dead")

        store.transact = store.transact_all = gone  # type: ignore[method-assign, assignment]
        await self.close()

    async def close(self) -> None:
        """End it in order."""
        self._scope.cancel()
        await self.ended.wait()


class World:
    """The processes that live, and the one ledger they share."""

    def __init__(self, life: Life, path: Path, group: anyio.abc.TaskGroup) -> None:
        self.life = life
        self.chance = random.Random(life.seed)
        self.settings = _settings(self.chance, path)
        self.badness = self.chance.choice((0.0, 0.1, 0.3, 0.8))
        self.living: list[Process] = []
        self.started = 0
        self._group = group

    async def start(self, ahead_s: float = 0.0) -> Process:
        """Start a process whose wall clock is ``ahead_s`` seconds ahead."""
        self.started += 1
        process: Process = await self._group.start(self._live, self.started, ahead_s)
        self.living.append(process)
        return process

    async def _live(self, number: int, ahead_s: float, *, task_status: anyio.abc.TaskStatus[Process]) -> None:
        noise = random.Random(f"{self.life.seed}/{number}")
        clock = Clock(
            now_us=lambda: EPOCH_US + int((anyio.current_time() + ahead_s) * 1_000_000),
            monotonic_ms=lambda: int(anyio.current_time() * 1_000),
            elapsed_s=anyio.current_time,
            entropy=noise.randbytes,
        )
        names = self.settings.executors

        def performed(name: str, call: Call) -> None:
            self.life.performed.append((name, call))

        models = {name: model(name, self.life.seed, self.badness, performed) for name in names}
        ended = anyio.Event()
        process: Process | None = None
        try:
            with anyio.CancelScope() as scope:
                async with Orchestrator.open(self.settings, executors=models, clock=clock) as forum:
                    self._watch(cast("SqliteStore", forum.ledger.store), number)
                    process = Process(forum, scope, ended)
                    task_status.started(process)
                    await anyio.sleep_forever()
        finally:
            if process in self.living:
                self.living.remove(process)
            ended.set()

    def _watch(self, store: SqliteStore, process: int) -> None:
        """Have everything checked after each commit of a process."""
        one, many = store.transact, store.transact_all

        def transact(work: Callable[[Transaction], object]) -> object:
            result = one(work)
            self.life.watch.look(store, process)
            return result

        def transact_all(works: list[Callable[[Transaction], object]]) -> list[object]:
            results = many(works)
            self.life.watch.look(store, process)
            return results

        store.transact, store.transact_all = transact, transact_all  # type: ignore[method-assign, assignment]


def live(life: Life) -> Life:
    """Live one life and check it; raises what it finds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"

        async def main() -> None:
            async with anyio.create_task_group() as group:
                await _story(World(life, path, group))
                group.cancel_scope.cancel()

        in_virtual_time(main)
        with Ledger.open(path, create=False) as ledger:
            report = ledger.verify(level=4, checkpoint=ledger.checkpoint())
            assert report.findings == []
            assert report.clean
            assert report.counts["not-rederivable"] == report.counts["rules-not-available"] == 0
    return life


async def _story(world: World) -> None:
    """Begin runs and let things happen until each of them is over."""
    chance = world.chance
    first = await world.start()
    runs = [await _begin(world, first) for _ in range(chance.choice((1, 1, 2)))]
    for _ in range(ROUNDS_MAX):
        await anyio.sleep(chance.uniform(0.0, 1.0))
        if not world.living:
            await world.start(ahead_s=chance.choice((0.0, 0.0, 30.0)))
        forum = chance.choice(world.living).forum
        views = [await forum.run(run) for run in runs]
        if all(view.state in ("succeeded", "failed", "cancelled") for view in views):
            world.life.ends = [view.state for view in views]
            for process in list(world.living):
                await process.close()
            return
        with suppress(ForumError):
            await chance.choice(_HAPPENINGS)(world, forum, chance.choice(runs))
    raise AssertionError(f"after {ROUNDS_MAX} rounds a run is not over")


async def _begin(world: World, process: Process) -> str:
    chance = world.chance
    given = _plan(chance) if chance.random() < 0.7 else None
    view = await process.forum.submit(
        "1. make the endpoint\n2. write the guide\n3. style the page",
        plan=given,
        approve=chance.choice((*[None] * 8, "run", "wave")),
        wait_s=0,
    )
    return view.run_id


async def _nothing(_: World, forum: Orchestrator, run: str) -> None:
    await forum.run(run, wait_s=PATIENCE_S)


async def _crash(world: World, _: Orchestrator, __: str) -> None:
    world.life.crashes += 1
    await world.chance.choice(world.living).crash()


async def _close(world: World, _: Orchestrator, __: str) -> None:
    await world.chance.choice(world.living).close()


async def _another(world: World, _: Orchestrator, run: str) -> None:
    if len(world.living) < 3:
        other = await world.start(ahead_s=world.chance.choice((0.0, 0.0, 20.0, -20.0)))
        await other.forum.resume(run, wait_s=0)


async def _everybody_resumes(world: World, _: Orchestrator, run: str) -> None:
    async def resume(process: Process) -> None:
        with suppress(ForumError):
            await process.forum.resume(run, wait_s=0)

    async with anyio.create_task_group() as group:
        for process in list(world.living):
            group.start_soon(resume, process)


async def _resume(_: World, forum: Orchestrator, run: str) -> None:
    await forum.resume(run, wait_s=PATIENCE_S)


async def _cancel(world: World, forum: Orchestrator, run: str) -> None:
    if world.chance.random() < 0.15:
        await forum.cancel(run, reason=world.chance.choice(LIES))


async def _answer_gates(world: World, forum: Orchestrator, _: str) -> None:
    chance = world.chance
    for gate in forum.gates().gates:
        scope = chance.choice(("once", "once", "run"))
        with suppress(ForumError):
            await forum.resolve(gate.gate, approved=chance.random() < 0.95, scope=scope, digest=gate.digest)


async def _work(world: World, forum: Orchestrator, _: str) -> None:
    chance = world.chance
    client = chance.choice(("first", "second"))
    for item in (await forum.work_next(limit=chance.choice((1, 3)), client=client)).items:
        match chance.randrange(6):
            case 0:
                await forum.work_fail(item.item, chance.choice(LIES), client=client, wait_s=0)
            case 1:
                return  # gone with the rest of its items
            case 2:
                await forum.work_complete(item.item, chance.choice(("  \n", *LIES)), client=client, wait_s=0)
            case _:
                await forum.work_complete(item.item, f"did {item.task}", client=client, wait_s=0)


async def _long_night(world: World, _: Orchestrator, __: str) -> None:
    await anyio.sleep(world.chance.uniform(10.0, 120.0))


_HAPPENINGS: Final[tuple[Callable[[World, Orchestrator, str], Awaitable[None]], ...]] = (
    _nothing, _nothing, _crash, _close, _another, _everybody_resumes, _resume, _resume, _cancel, _answer_gates,
    _answer_gates, _work, _work, _long_night,
)  # fmt: skip


def _plan(chance: random.Random) -> dict[str, object]:
    tasks: list[dict[str, object]] = []
    for number in range(chance.randint(2, 9)):
        needs = [f"t{before}" for before in range(number) if chance.random() < 0.25]
        task: dict[str, object] = {"id": f"t{number}", "lane": chance.choice(LANES), "instruction": f"do {number}"}
        task["depends_on"] = [{"id": need, "type": chance.choice(("data", "order"))} for need in needs]
        if (effects := chance.choice((None, None, "none", "idempotent", "once"))) is not None:
            task["effects"] = effects
        tasks.append(task)
    return {"tasks": tasks}


def _settings(chance: random.Random, path: Path) -> Settings:
    def executor() -> ExecutorSettings:
        price = PriceSettings(input=1.0, output=2.0, call=0.001) if chance.random() < 0.95 else None
        return ExecutorSettings(
            type="scripted",
            script="-",
            attempts=chance.randint(1, 3),
            max_parallel=chance.randint(1, 4),
            timeout_s=chance.choice((2.0, 20.0, 60.0)),
            max_tokens=chance.choice((None, 200, 200)),
            price=price,
        )

    def role(*others: str) -> list[str]:
        return chance.choice((["weak"], ["weak", "strong"], ["strong", "weak"], *([other] for other in others)))

    assisted = chance.random() < 0.2
    return Settings(
        ledger=str(path),
        executors={"weak": executor(), "strong": executor()},
        roles=RoleSettings(
            coordinator=role("rules", "rules"),
            worker=["host"] if assisted else role(),
            validator=role("rules", "rules"),
            synthesizer=role("rules"),
            classifier=role(),
            panelists=["weak", "strong"],
            judge=role(),
            reviser=role(),
        ),
        steps=StepSettings(
            classify=chance.random() < 0.3,
            escalate=chance.random() < 0.7,
            panel=chance.random() < 0.2,
            intent=chance.random() < 0.3,
            delivery=chance.random() < 0.3,
            reuse=chance.random() < 0.3,
        ),
        limits=LimitSettings(
            calls=chance.choice((5, 30, 200, 200, 200)),
            seconds=chance.choice((30.0, 3600.0, 3600.0, 3600.0)),
            tokens=chance.choice((None, None, None, None, 50_000, 1_000_000)),
            usd=chance.choice((None, None, None, None, 0.1, 1.0)),
            task=AmountSettings(calls=chance.choice((None, None, None, 2, 6))),
            day=AmountSettings(calls=chance.choice((None, None, None, None, 30))),
        ),
        gates=GateSettings(
            run=chance.random() < 0.05,
            wave=chance.random() < 0.05,
            lanes=["backend"] if chance.random() < 0.2 else [],
            above_usd=0.05 if chance.random() < 0.1 else None,
            timeout_s=chance.choice((5.0, 600.0, 600.0)),
        ),
        policy=PolicySettings(undecided=chance.choice(("pass", "escalate", "fail")), loop_after=chance.choice((0, 3))),
        max_parallel=chance.randint(1, 5),
    )
