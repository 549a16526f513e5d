"""The port of the engine: what tools, resources and the server may ask of a forum.

``orchestrator.py`` is the whole forum, ``principal_forum.py`` the forum as one principal of a shared server may use it.
An operation that stands here is one that the second has judged; what each does and raises says ``Orchestrator``.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, Unpack

from forum_mcp.engine.approving import ResolutionTerms
from forum_mcp.engine.learning import LearnedView
from forum_mcp.engine.ledger_reader import LedgerReader
from forum_mcp.engine.options import RunOptions
from forum_mcp.engine.views import GatesView, RouteView, RunsView, RunView, WorkItem, WorkView
from forum_mcp.executors.sampler import Sampler

__all__ = ["Forum"]


class Forum(Protocol):
    """An open forum, as whoever calls may use it."""

    @property
    def ledger(self) -> LedgerReader:
        """The record."""
        ...

    @property
    def sampler(self) -> Sampler:
        """Where questions to a client's model wait for a client."""
        ...

    @property
    def witnesses(self) -> Sequence[str]:
        """Verifier keys of the third parties whose signatures count."""
        ...

    @property
    def takes_approvals(self) -> bool:
        """Whether a tool call may resolve a gate."""
        ...

    @property
    def asks_approvals(self) -> bool:
        """Whether the person behind whoever calls may resolve a gate."""
        ...

    def route(self, request: str) -> RouteView:
        """Route a request; records nothing."""
        ...

    def roster(self) -> list[dict[str, object]]:
        """Return the lanes, and whether policy permits them."""
        ...

    async def plan(
        self,
        request: str | None = None,
        *,
        plan: Mapping[str, object] | None = None,
        wait_s: float = 45.0,
        by: str = "person:local",
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Open a run that rests once its plan is accepted."""
        ...

    async def quoted(self, view: RunView) -> RunView:
        """Return the view of a planned run with what it is likely to take."""
        ...

    async def learned(self) -> LearnedView:
        """Return which lanes and models earned passing verdicts, at what cost."""
        ...

    async def submit(
        self,
        request: str | None = None,
        *,
        plan: Mapping[str, object] | str | None = None,
        idempotency_key: str | None = None,
        wait_s: float = 45.0,
        by: str = "person:local",
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Start a run, or go on with one that rests after its plan."""
        ...

    async def run(self, run_id: str, *, wait_s: float = 0.0) -> RunView:
        """Return a run as its record tells it, once it is over, needs its caller, or ``wait_s`` seconds are gone."""
        ...

    def runs(self, *, limit: int = 20, before: int | None = None) -> RunsView:
        """List runs, newest first."""
        ...

    def sees(self, run_id: str) -> bool:
        """Tell whether whoever calls may read a run."""
        ...

    def may_lend(self, run_id: str) -> bool:
        """Tell whether the model of whoever calls may be asked for a run."""
        ...

    async def cancel(self, run_id: str, *, reason: str = "", by: str = "person:local") -> RunView:
        """Cancel a run."""
        ...

    async def resume(self, run_id: str, *, wait_s: float = 45.0, detach: bool = False) -> RunView:
        """Go on with a run that no live process holds."""
        ...

    async def fork(
        self,
        run_id: str,
        *,
        seq: int | None = None,
        request: str | None = None,
        plan: Mapping[str, object] | None = None,
        wait_s: float = 45.0,
        by: str = "person:local",
        detach: bool = False,
        **options: Unpack[RunOptions],
    ) -> RunView:
        """Start a run from an entry of another one."""
        ...

    def gates(self, run_id: str | None = None) -> GatesView:
        """List the gates that wait for an approval."""
        ...

    async def resolve(
        self,
        gate: int,
        *,
        approved: bool,
        by: str = "person:local",
        take_up: bool = True,
        wait_s: float = 0.0,
        **terms: Unpack[ResolutionTerms],
    ) -> RunView:
        """Approve or reject a gate."""
        ...

    async def work_next(
        self, run_id: str | None = None, *, limit: int = 1, item: int | None = None, client: str = "host"
    ) -> WorkView:
        """Hand out the next items on offer."""
        ...

    def work_open(self, run_id: str) -> list[WorkItem]:
        """Return the items of a run that nobody has taken."""
        ...

    async def work_complete(self, item: int, result: str, *, client: str = "host", wait_s: float = 5.0) -> WorkView:
        """Take the result of an item back."""
        ...

    async def work_fail(self, item: int, reason: str, *, client: str = "host", wait_s: float = 5.0) -> WorkView:
        """Take back that an item cannot be done."""
        ...

    async def work_progress(self, item: int, note: str = "", *, client: str = "host") -> WorkView:
        """Record that an item is still being done."""
        ...
