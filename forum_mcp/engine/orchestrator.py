"""The front of the engine: every operation, once, for MCP, the CLI and Python.

THIS IS A STUB THAT FIXES SIGNATURES; the founding engineer is writing the real one.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.views import RouteView, RunsView, RunView, WorkView

__all__ = ["Orchestrator"]


class Orchestrator:
    """One open forum: a ledger, a roster, executors and the runs this process holds."""

    ledger: Ledger

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Open the ledger (made on first use) and hold a task group for the runs; leaving interrupts them in order."""
        raise NotImplementedError
        yield

    def route(self, request: str) -> RouteView:
        """Route a request; records nothing."""
        raise NotImplementedError

    def roster(self) -> list[dict[str, object]]:
        """Return the lanes: name, category, description, keywords, tier."""
        raise NotImplementedError

    async def plan(self, request: str, *, plan: Mapping[str, object] | None = None, single: bool = False,
                   lane: str | None = None, wait_s: float = 45.0) -> RunView:
        """Open a run that rests once its plan is accepted."""
        raise NotImplementedError

    async def submit(self, request: str | None = None, *, plan: Mapping[str, object] | str | None = None,
                     single: bool = False, lane: str | None = None, max_calls: int | None = None,
                     max_seconds: float | None = None, max_parallel: int | None = None,
                     idempotency_key: str | None = None, wait_s: float = 45.0, client: str = "host") -> RunView:
        """Start a run and wait at most ``wait_s`` for it to end or to need its caller. ``plan`` is a plan or a run id."""
        raise NotImplementedError

    async def run(self, run_id: str, *, wait_s: float = 0.0) -> RunView:
        """Return a run as its record tells it, waiting at most ``wait_s`` for it to end or need its caller."""
        raise NotImplementedError

    def runs(self, *, limit: int = 20, before: int | None = None) -> RunsView:
        """List runs, newest first."""
        raise NotImplementedError

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "person:local") -> RunView:
        """Cancel a run."""
        raise NotImplementedError

    async def resume(self, run_id: str, *, wait_s: float = 45.0) -> RunView:
        """Go on with a run that no live process holds."""
        raise NotImplementedError

    async def work_next(self, run_id: str | None = None, *, limit: int = 1, client: str = "host") -> WorkView:
        """Hand out the next items on offer (of one run, or of any)."""
        raise NotImplementedError

    async def work_complete(self, item: int, result: str, *, client: str = "host", wait_s: float = 5.0) -> WorkView:
        """Take a result back; the view says what to do next."""
        raise NotImplementedError

    async def work_fail(self, item: int, reason: str, *, client: str = "host", wait_s: float = 5.0) -> WorkView:
        """Take back that the assistant cannot or will not do the item."""
        raise NotImplementedError
