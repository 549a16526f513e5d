"""Calls and executors for the tests of this folder."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from forum_mcp.executors.base import Call, Executor
from forum_mcp.ledger.entry import RunId
from tests.engine.stage import Stage
from tests.executors.fault_server import FaultServer

E = TypeVar("E", bound=Executor)

PLAIN = Call(
    run=RunId("0" * 32),
    seq=1,
    purpose="task",
    task="t1",
    attempt=1,
    system=b"",
    prompt=b"hello",
    schema=None,
    timeout_ms=20_000,
    max_tokens=None,
)


class Opened(Protocol):
    """Keeps an executor until the end of the test, and closes it then."""

    def __call__(self, executor: E) -> E: ...


@pytest.fixture
def make_call() -> Callable[..., Call]:
    """Return a function that makes a call with some members changed."""

    def make(**changes: object) -> Call:
        return replace(PLAIN, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    executors: list[Executor] = []

    def keep(executor: E) -> E:
        executors.append(executor)
        return executor

    yield keep
    for executor in executors:
        await executor.aclose()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        faults = FaultServer(listener)
        yield faults
        faults.close()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A forum over a temporary ledger."""
    return Stage(tmp_path / "ledger.db")
