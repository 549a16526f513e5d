"""Who calls a tool, and what it is told while it waits.

Progress is sent, never needed: a client that asked for it gets a line every few seconds, which a person can read and
which keeps clients that give up on silent calls from doing so. The first number only grows (the protocol wants that):
it is the seconds waited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio

from forum_mcp.engine.entry_summary import counted

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.engine.views import RunView
    from forum_mcp.executors.sampler import Lent

__all__ = ["TICK_S", "Caller", "Model", "Tell", "doing", "line_of"]

T = TypeVar("T")

Tell = Callable[[float, str], Awaitable[None]]
"""(seconds waited so far, a line for a person)."""

TICK_S = 3.0
"""Seconds between two lines."""

_NAMED = 4


class Model(Protocol):
    """The model of a client."""

    def lent(self, forum: Forum, run_id: str) -> AbstractContextManager[Lent | None]:
        """Have the model at hand for a run, for the length of the block; None where it may not be asked."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """The client of a call.

    Attributes:
        name: what it calls itself.
        tell: sends a line of progress; does nothing when the client did not ask for any.
        model: the client's model, which a run may ask while a call waits for it.
    """

    name: str
    tell: Tell
    model: Model | None = None

    @property
    def actor(self) -> str:
        """The actor that entries of this caller name."""
        return f"host:{self.name}"

    async def follow(self, forum: Forum, view: RunView, wait_s: float) -> RunView:
        """Wait at most ``wait_s`` seconds for a run to end or to need its caller, telling how it goes."""
        began = anyio.current_time()
        with nullcontext() if self.model is None else self.model.lent(forum, view.run_id) as lent:
            while True:
                left = began + wait_s - anyio.current_time()
                view = await _next(forum, view.run_id, min(TICK_S, max(left, 0.0)), lent)
                if view.state != "running" or left <= TICK_S or (lent is not None and lent.asked()):
                    return view
                await self.tell(anyio.current_time() - began, line_of(view))

    async def meanwhile(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        """Return what ``work`` gives, telling every few seconds that ``what`` goes on."""
        given: list[T] = []
        async with anyio.create_task_group() as group:
            group.start_soon(self._beat, what)
            given.append(await work())
            group.cancel_scope.cancel()
        return given[0]

    async def _beat(self, what: str) -> None:
        began = anyio.current_time()
        while True:
            await anyio.sleep(TICK_S)
            waited = anyio.current_time() - began
            await self.tell(waited, f"{what}, {waited:.0f} s")


async def _next(forum: Forum, run_id: str, wait_s: float, lent: Lent | None) -> RunView:
    """Wait as ``forum.run`` does, or until the run asks something that the result of this call is to ask."""
    if lent is None:
        return await forum.run(run_id, wait_s=wait_s)
    async with anyio.create_task_group() as group:

        async def until_asked() -> None:
            await lent.until_asked()
            group.cancel_scope.cancel()

        group.start_soon(until_asked)
        await forum.run(run_id, wait_s=wait_s)
        group.cancel_scope.cancel()
    return await forum.run(run_id)


def line_of(view: RunView) -> str:
    """Return how a run goes in one line."""
    return f"{doing(view)}: {counted(view.spent.calls, 'call')}, {view.spent.seconds:.0f} s"


def doing(view: RunView) -> str:
    """Return what a run is at, in words that change only when it gets on."""
    if not view.tasks:
        return "planning"
    ended = sum(task.state in ("succeeded", "failed", "skipped") for task in view.tasks)
    running = [task.id for task in view.tasks if task.state == "running"]
    named = ", ".join(running[:_NAMED]) + (f" and {len(running) - _NAMED} more" if len(running) > _NAMED else "")
    now = f"running {named}" if running else "writing the answer" if ended == len(view.tasks) else "between tasks"
    return f"{ended} of {counted(len(view.tasks), 'task')} done, {now}"
