"""The part of the front that a calling assistant works through: taking items, telling of them, handing them back."""

from abc import ABC, abstractmethod

from forum_mcp.engine.views import RunView, WorkItem, WorkView
from forum_mcp.engine.work_desk import WorkDesk
from forum_mcp.ledger.entry import RunId

__all__ = ["Assistance"]


class Assistance(ABC):
    """What an assistant may do with the items of runs."""

    _desk: WorkDesk

    @abstractmethod
    async def run(self, run_id: str, *, wait_s: float = 0.0) -> RunView:
        """Return a run as its record tells it."""

    @abstractmethod
    def _run_id(self, run_id: str) -> RunId: ...

    async def work_next(
        self, run_id: str | None = None, *, limit: int = 1, item: int | None = None, client: str = "host"
    ) -> WorkView:
        """Hand out the next items on offer, of one run or of any; or ``item`` again, whose answer was lost.

        Where nothing is on offer but ``client`` has an item that it did not hand back, ``next`` names that.

        Raises:
            NotFound: the ledger has no such run, or no such item.
            AttemptClosed: ``item`` has its outcome already.
        """
        if item is not None:
            again = self._desk.again(item)
            return self._desk.view([again], [RunId(again.run_id)])
        run = self._run_id(run_id) if run_id is not None else None
        items = await self._desk.hand_out(run, limit, client)
        concerned = list(dict.fromkeys([RunId(each.run_id) for each in items] or ([run] if run is not None else [])))
        mine = None if items else self._desk.unreturned(run, client)
        return self._desk.view(items, concerned, mine)

    def work_open(self, run_id: str) -> list[WorkItem]:
        """Return the items of a run that nobody has taken; they stay on offer.

        Raises:
            NotFound: the ledger has no such run.
        """
        return self._desk.on_offer(self._run_id(run_id))

    async def work_complete(self, item: int, result: str, *, client: str = "host", wait_s: float = 5.0) -> WorkView:
        """Take a result back; the view says what to do next.

        Raises:
            NotFound: no such item.
            AttemptClosed: the item has its outcome already.
        """
        return await self._taken_back(await self._desk.take_back(item, client, result=result, reason=None), wait_s)

    async def work_fail(self, item: int, reason: str, *, client: str = "host", wait_s: float = 5.0) -> WorkView:
        """Take back that the assistant cannot or will not do the item.

        Raises:
            NotFound: no such item.
            AttemptClosed: the item has its outcome already.
        """
        return await self._taken_back(await self._desk.take_back(item, client, result=None, reason=reason), wait_s)

    async def work_progress(self, item: int, note: str = "", *, client: str = "host") -> WorkView:
        """Record that the item is still being done, and how far it is; it is kept for ``client`` anew.

        Raises:
            NotFound: no such item.
            AttemptClosed: the item has its outcome already, or went to somebody else.
        """
        run = await self._desk.prolong(item, client, note)
        return self._desk.view([], [run], item)

    async def _taken_back(self, run: RunId, wait_s: float) -> WorkView:
        await self.run(run, wait_s=wait_s)
        return self._desk.view([], [run])
