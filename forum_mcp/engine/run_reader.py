"""Runs as their record tells them: one looked up, waited for, or many listed. Changes nothing."""

from collections.abc import Sequence
from typing import Final

import anyio
import anyio.lowlevel

from forum_mcp.engine.reading import known_run
from forum_mcp.engine.run_holder import RunHolder
from forum_mcp.engine.run_views import finished_line, run_line, run_state, run_view
from forum_mcp.engine.views import RunLine, RunView
from forum_mcp.ledger.entry import RunId
from forum_mcp.stores.base import RunRow

__all__ = ["RunReader"]

_WAIT_MAX_S: Final = 3_600.0


class RunReader:
    """Reads the runs of a ledger, whoever holds them."""

    def __init__(self, holder: RunHolder) -> None:
        self._holder = holder
        self._ledger = holder.ledger

    def known(self, run_id: str) -> RunId:
        """Return the id of a run that is in the ledger; see ``known_run``."""
        return known_run(self._ledger.store, run_id)

    async def wait(self, run: RunId, wait_s: float) -> RunView:
        """Return a run's view, waiting at most ``wait_s`` seconds for it to end or need its caller."""
        await anyio.lowlevel.checkpoint()  # a caller that asks again and again leaves room for what it asks about
        with anyio.move_on_after(min(max(wait_s, 0.0), _WAIT_MAX_S)):
            while not self._settled(run):
                held = self._holder.held(run)
                await (held.changed if held is not None else self._holder.changed).wait()
        state, checkpoint = self._holder.state(run), self._ledger.newest_checkpoint()
        return run_view(self._ledger.store, state, live=self._holder.live(run), checkpoint=checkpoint)

    def lines(self, rows: Sequence[RunRow]) -> list[RunLine]:
        """Return the lines of runs in a list, in the order given."""
        return [
            finished_line(self._ledger.store, row)
            or run_line(self._holder.state(row.run), live=self._holder.live(row.run))
            for row in rows
        ]

    def _settled(self, run: RunId) -> bool:
        """Tell whether waiting is of no use: the run is over, rests, waits for its caller, or nobody holds it."""
        held = self._holder.held(run)
        if held is not None:
            word = run_state(held.folded.state, live=True)
            return word == "waiting" and held.quiet and held.folded.state.phase != "rest"
        return not self._holder.live(run) or run_state(self._holder.state(run), live=True) != "running"
