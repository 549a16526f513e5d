"""A command's work in an open forum: opened from its flags, closed in order, also on SIGTERM."""

import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from forum_mcp.configs.flags import Flags
from forum_mcp.errors import NoModel

if TYPE_CHECKING:
    import anyio

    from forum_mcp.configs.settings import Settings
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["in_forum"]

T = TypeVar("T")

_TERMINATED: Final = 143
"""Exit code of a process that SIGTERM ended."""


def in_forum(flags: Flags, work: "Callable[[Orchestrator], Awaitable[T]]", *, needs_worker: bool = False) -> T:
    """Open the forum these flags describe, do the work in it and close it; SIGTERM ends both in order.

    Raises:
        NoModel: the work needs somebody to do tasks, and only a calling assistant, or a client's model, could.
    """
    import anyio

    from forum_mcp.configs.load import load
    from forum_mcp.engine.readiness import refuse_place

    settings = load(flags)
    refuse_place(settings)
    workers = {name for rung in settings.roles.worker for name in rung.split("+")}
    types = {settings.executors[name].type if name in settings.executors else name for name in workers}
    if needs_worker and types <= {"host", "sampling"}:
        why = "no model is configured" if "sampling" not in types else "the worker is the model of an MCP client"
        raise NoModel(
            f"{why}; from the command line there is no assistant to do the work, and no client to ask; give one of "
            "--agent claude, --cmd 'PROGRAM {prompt}', --chat-url URL --model NAME, --local FILE.gguf, or executors "
            "in a configuration file, which forum-mcp init writes"
        )
    return anyio.run(_open_and_work, settings, work)


async def _open_and_work(settings: "Settings", work: "Callable[[Orchestrator], Awaitable[T]]") -> T:
    import anyio

    from forum_mcp.engine.orchestrator import Orchestrator

    terminated = False
    done: list[T] = []

    async def await_sigterm(scope: "anyio.CancelScope") -> None:
        nonlocal terminated
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                terminated = True
                scope.cancel()

    async with anyio.create_task_group() as tasks:
        if sys.platform != "win32":
            tasks.start_soon(await_sigterm, tasks.cancel_scope)
        async with Orchestrator.open(settings) as forum:
            done.append(await work(forum))
        tasks.cancel_scope.cancel()
    if terminated:
        sys.exit(_TERMINATED)
    return done[0]
