"""What the record advises: what a plan would take, and which lanes and models earned passing verdicts."""

from functools import partial

import msgspec

from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.history import History
from forum_mcp.engine.learning import LearnedView, learned
from forum_mcp.engine.ledger_reader import LedgerReader
from forum_mcp.engine.quoting import quote, wanted
from forum_mcp.engine.views import Quote, RunView
from forum_mcp.engine.worker_thread import in_worker_thread
from forum_mcp.ledger.entry import RunId

__all__ = ["Advice"]


class Advice:
    """Advice by the runs of one ledger, as whoever asks may read it; read beside the event loop, records nothing."""

    def __init__(self, ledger: LedgerReader, history: History) -> None:
        """Advise by the runs that ``ledger`` shows; ``history`` keeps what was read of them, and may be shared."""
        self._ledger = ledger
        self._history = history

    async def quoted(self, view: RunView) -> RunView:
        """Return the view of a planned run with what it is likely to take, by what tasks like its own took before."""
        if not view.tasks:
            return view
        told = await in_worker_thread(self._ledger, partial(self._quote, RunId(view.run_id)))
        return msgspec.structs.replace(view, quote=told)

    async def learned(self) -> LearnedView:
        """Return which lanes and models earned passing verdicts, at what cost: advice that changes nothing."""
        return await in_worker_thread(self._ledger, self._learned)

    def _quote(self, planned: RunId) -> Quote:
        with self._ledger.store.anew() as store:
            return quote(store, wanted(fold_run(store, planned)), self._history)

    def _learned(self) -> LearnedView:
        with self._ledger.store.anew() as store:
            return learned(store, self._history)
