"""The part of the front that records nothing: where a request would go, what a plan would take, what was learned."""

from functools import partial

import msgspec

from forum_mcp.engine.history import History
from forum_mcp.engine.learning import LearnedView, learned
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.quoting import Wanted, quote, wanted
from forum_mcp.engine.requests import checked_request
from forum_mcp.engine.run_holder import RunHolder
from forum_mcp.engine.run_views import roster_rows, route_view
from forum_mcp.engine.views import Quote, RouteView, RunView
from forum_mcp.engine.worker_thread import in_worker_thread
from forum_mcp.ledger.entry import RunId
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.roster import Roster
from forum_mcp.rules.routing import route

__all__ = ["Advice"]


class Advice:
    """What a forum tells without a run. The whole record is read beside the event loop."""

    ledger: Ledger
    _roster: Roster
    _contract: Contract
    _holder: RunHolder
    _history: History

    def route(self, request: str) -> RouteView:
        """Route a request; records nothing.

        Raises:
            RequestRefused: the request is empty or too long.
        """
        return route_view(route(checked_request(request), self._roster), self._roster)

    def roster(self) -> list[dict[str, object]]:
        """Return the lanes: name, category, tier, description, keywords, and whether policy permits them."""
        return roster_rows(self._roster, self._contract.policy)

    async def quoted(self, view: RunView) -> RunView:
        """Return the view of a planned run with what it is likely to take, by what tasks like its own took before."""
        if not view.tasks:
            return view
        tasks = wanted(self._holder.state(RunId(view.run_id)))
        told = await in_worker_thread(self.ledger, partial(self._quote, tasks))
        return msgspec.structs.replace(view, quote=told)

    async def learned(self) -> LearnedView:
        """Return which lanes and models earned passing verdicts, at what cost: advice that changes nothing."""
        return await in_worker_thread(self.ledger, self._learned)

    def _quote(self, tasks: list[Wanted]) -> Quote:
        with self.ledger.store.anew() as store:
            return quote(store, tasks, self._history)

    def _learned(self) -> LearnedView:
        with self.ledger.store.anew() as store:
            return learned(store, self._history)
