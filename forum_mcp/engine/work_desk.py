"""Work for the calling assistant: handing items out, and taking back what came of them."""

from typing import Final

import msgspec

from forum_mcp.engine.clock import Clock
from forum_mcp.engine.outcomes import Event, host_outcome, open_call
from forum_mcp.engine.run_holder import RunHolder
from forum_mcp.engine.run_views import is_over, run_state
from forum_mcp.engine.views import Next, WorkItem, WorkView
from forum_mcp.errors import AttemptClosed, NotFound, RequestRefused
from forum_mcp.ledger.entry import BodyRef, Draft, Entry, NewBody, RunId
from forum_mcp.rules.calls import TEXT
from forum_mcp.rules.run import OpenCall, RunState

__all__ = ["LEASE_S", "WorkDesk"]

LEASE_S: Final = 900
"""How long an item is kept for the assistant that took it, seconds."""

_RUNS_LOOKED_AT: Final = 20
_RESULT_CHARS: Final = 1_000_000
_NOTE_CHARS: Final = 4_000


class WorkDesk:
    """Where assistants take items and hand them back."""

    def __init__(self, holder: RunHolder, clock: Clock) -> None:
        self._holder = holder
        self._clock = clock

    async def next(self, run: RunId | None, *, limit: int, item: int | None, client: str) -> WorkView:
        """Hand out at most ``limit`` items on offer, of one run or of any; or ``item`` again, whose answer was lost.

        Where nothing is on offer but ``client`` has an item that it did not hand back, ``next`` names that.

        Raises:
            NotFound: there is no such run, or no such item.
            AttemptClosed: ``item`` has its outcome already.
        """
        if item is not None:
            again = self.again(item)
            return self.view([again], [RunId(again.run_id)])
        items = await self.hand_out(run, limit, client)
        concerned = list(dict.fromkeys([RunId(each.run_id) for each in items] or ([run] if run is not None else [])))
        return self.view(items, concerned, None if items else self.unreturned(run, client))

    async def hand_out(self, run: RunId | None, limit: int, client: str) -> list[WorkItem]:
        """Return at most ``limit`` items on offer, each now taken by ``client``.

        Raises:
            NotFound: there is no such run.
        """
        items: list[WorkItem] = []
        for each in [run] if run is not None else self._runs():
            for seq in self._on_offer(self._holder.state(each)):
                if len(items) == limit:
                    return items
                if await self._take(each, seq, client):
                    items.append(self._item(seq))
        return items

    def again(self, seq: int) -> WorkItem:
        """Return an item that has no outcome yet, whoever took it.

        Raises:
            NotFound: there is no such item.
            AttemptClosed: it has its outcome, or its run is over.
        """
        entry = self._entry(seq)
        assert entry.run is not None
        open_call(self._holder.state(entry.run), seq)
        return self._item(seq)

    def unreturned(self, run: RunId | None, client: str) -> int | None:
        """Return the oldest item that ``client`` took and did not hand back, of one run or of any."""
        held = (
            seq
            for each in ([run] if run is not None else self._runs())
            for seq, item in self._holder.state(each).open.items()
            if item.type == "host" and item.taken_seq >= 0 and item.taken_by == f"host:{client}"[:200]
        )
        return min(held, default=None)

    def on_offer(self, run: RunId) -> list[WorkItem]:
        """Return the run's items that nobody has taken, and take none."""
        return [self._item(seq) for seq in self._on_offer(self._holder.state(run))]

    async def prolong(self, item: int, client: str, note: str) -> RunId:
        """Record that ``client`` is still at its item, keep it for it anew, and return the run.

        Raises:
            NotFound: there is no such item.
            AttemptClosed: the item has its outcome, its run is over, or it is not this client's.
        """
        entry = self._entry(item)
        actor = f"host:{client}"[:200]
        bodies: dict[str, NewBody | BodyRef] = {}
        if note.strip():
            bodies["note"] = NewBody(TEXT, note[:_NOTE_CHARS].encode("utf-8", "replace"))

        def progressed(state: RunState) -> Draft:
            held = open_call(state, item)
            if held.taken_by != actor:
                raise AttemptClosed(
                    f"item {item} is not yours: {held.taken_by or 'nobody'} has it; ask for the next item"
                )
            data = {"call": item, "lease_until_us": self._clock.now_us() + LEASE_S * 1_000_000}
            return Draft("work.progressed", actor, data, bodies, (held.taken_seq,))

        assert entry.run is not None
        await self._holder.report(entry.run, progressed, take_up=False)
        return entry.run

    async def take_back(self, item: int, client: str, *, result: str | None, reason: str | None) -> RunId:
        """Record what came of an item and return its run.

        Raises:
            NotFound: there is no such item.
            RequestRefused: the result is larger than an item may be.
            AttemptClosed: the item has its outcome, or its run is over.
        """
        entry = self._entry(item)
        if len(result or "") > _RESULT_CHARS:
            raise RequestRefused(
                f"the result of item {item} has {len(result or '')} characters; hand back at most {_RESULT_CHARS}"
            )
        assert entry.run is not None
        await self._holder.report(entry.run, *host_outcome(item, client, result=result, reason=reason))
        return entry.run

    def view(self, items: list[WorkItem], runs: list[RunId], mine: int | None = None) -> WorkView:
        """Return what an assistant is told: its items, how their runs stand, and the call to make now."""
        words = {run: run_state(self._holder.state(run), live=self._holder.live(run)) for run in runs}
        upcoming: Next | None = None
        if items:
            upcoming = Next(tool="work", arguments={"action": "complete", "item": items[0].item, "result": "..."})
        elif mine is not None:
            upcoming = Next(tool="work", arguments={"action": "next", "item": mine})
        elif runs and words[runs[0]] == "waiting":
            upcoming = Next(tool="work", arguments={"action": "next", "run_id": runs[0]})
        elif runs:
            upcoming = Next(tool="run", arguments={"run_id": runs[0]})
        return WorkView(
            items=items,
            runs={str(run): word for run, word in words.items()},
            next=upcoming,
            checkpoint=self._holder.ledger.newest_checkpoint(),
        )

    def _runs(self) -> list[RunId]:
        held = [each.folded.run for each in self._holder.held_runs()]
        store = self._holder.ledger.store
        stored = [row.run for row in store.runs(_RUNS_LOOKED_AT)]
        return [*held, *(run for run in reversed(stored) if run not in held and not is_over(store, run))]

    def _on_offer(self, state: RunState) -> list[int]:
        now_us = self._clock.now_us()
        return [seq for seq, item in state.open.items() if _free(item, now_us)]

    async def _take(self, run: RunId, seq: int, client: str) -> bool:
        now_us = self._clock.now_us()
        actor = f"host:{client}"[:200]

        def free(state: RunState) -> OpenCall:
            item = open_call(state, seq)
            if not _free(item, now_us):
                raise AttemptClosed(f"item {seq} was taken by {item.taken_by} in the meantime; ask for the next item")
            return item

        def expired(state: RunState) -> Draft:
            return Draft("work.expired", "engine", {"call": seq}, {}, (free(state).taken_seq,))

        def taken(state: RunState) -> Draft:
            item = free(state)
            data = {"call": seq, "lease_until_us": now_us + LEASE_S * 1_000_000}
            return Draft("work.taken", actor, data, {}, (state.last_seq if renewed else item.offered_seq,))

        try:
            renewed = free(self._holder.state(run)).taken_seq >= 0
            events: tuple[Event, ...] = (expired, taken) if renewed else (taken,)
            await self._holder.report(run, *events, take_up=False)
        except AttemptClosed:
            return False
        return True

    def _entry(self, item: int) -> Entry:
        if 0 <= item < self._holder.ledger.store.size():
            entry = self._holder.ledger.store.entry(item).entry
            if entry.kind == "call.started" and entry.data.get("type") == "host":
                return entry
        raise NotFound(f"work item {item} does not exist; ask for items with work(action='next')")

    def _item(self, seq: int) -> WorkItem:
        entry = self._entry(seq)
        assert entry.run is not None
        held = self._holder.state(entry.run).tasks.get(str(entry.data.get("task")))
        schema = self._body(entry, "schema")
        return WorkItem(
            item=seq,
            run_id=entry.run,
            purpose=str(entry.data["purpose"]),
            task=held.plan.id if held is not None else None,
            lane=held.plan.lane if held is not None else None,
            instructions=self._text(entry, "system"),
            prompt=self._text(entry, "prompt"),
            schema=msgspec.json.decode(schema, type=dict[str, object]) if schema else None,
            lease_seconds=LEASE_S,
        )

    def _text(self, entry: Entry, name: str) -> str:
        """Return a text of the item; where it is gone, the words that keep anybody from working on nothing."""
        text = self._body(entry, name).decode()
        return text or f"(the {name} of this item was redacted; hand it back with action 'fail')"

    def _body(self, entry: Entry, name: str) -> bytes:
        ref = entry.bodies.get(name)
        body = self._holder.ledger.store.body(ref.commit) if ref is not None else None
        return b"" if body is None else body.data


def _free(item: OpenCall, now_us: int) -> bool:
    """Tell whether an item may be handed out; a lease further ahead than any can be is of before the clock was set."""
    leased = now_us < item.lease_until_us <= now_us + 2 * LEASE_S * 1_000_000
    return item.type == "host" and item.offered_seq >= 0 and (item.taken_seq < 0 or not leased)
