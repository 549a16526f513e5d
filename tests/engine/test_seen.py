"""What one principal of a shared server may do to another's runs: nothing, whatever operation it comes by."""

import inspect
from typing import Final

import pytest

from forum_mcp.engine.learning import learned
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.seen import READ, SUBMIT, Principal, SeenForum
from forum_mcp.errors import AccessRefused, NotFound
from forum_mcp.stores.base import Store
from forum_mcp.stores.seen import Owners, SeenStore
from tests.engine.stage import HOST, Stage

BOTH: Final = frozenset({READ, SUBMIT})
SAME_FOR_ALL: Final = {"open", "route", "roster", "quoted"}
"""Operations that touch no run, or only a view that was already given."""
THROUGH_THE_LEDGER: Final = {"run", "runs", "replay", "work_open"}
"""Operations that look their run up in the ledger, which is the principal's."""


def principals(forum: Orchestrator, scopes: frozenset[str] = BOTH) -> tuple[SeenForum, SeenForum]:
    """Return the forum of two principals; the second has ``scopes``."""
    owners = Owners()
    one, two = Principal("principal:one", BOTH), Principal("principal:two", scopes)
    return SeenForum(forum, one, owners), SeenForum(forum, two, owners)


def test_each_operation_is_either_the_principal_s_own_or_known_to_need_nothing() -> None:
    operations = {name for name, _ in inspect.getmembers(Orchestrator, callable) if not name.startswith("_")}
    left = operations - set(vars(SeenForum)) - SAME_FOR_ALL - THROUGH_THE_LEDGER
    assert not left, "a new operation of the forum says in seen.py what a principal may do with it"


async def test_progress_is_only_told_of_an_item_of_one_s_own(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        one, two = principals(forum)
        await one.submit("say hello", single=True)
        [item] = (await one.work_next()).items
        with pytest.raises(NotFound, match="withheld"):
            await two.work_progress(item.item, "mine now", client="principal:one")
        assert (await one.work_progress(item.item, "half")).next is not None
        assert [entry.actor for entry in stage.entries(forum, "work.progressed")] == ["host:principal:one"]


async def test_reading_alone_changes_nothing(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        one, reader = principals(forum, frozenset({READ}))
        run = (await one.submit("say hello", single=True)).run_id
        [item] = (await one.work_next()).items
        for change in (
            reader.submit("say hello"),
            reader.plan("say hello"),
            reader.cancel(run),
            reader.resume(run),
            reader.fork(run),
            reader.work_next(),
            reader.work_progress(item.item),
            reader.work_complete(item.item, "x"),
            reader.work_fail(item.item, "x"),
            reader.resolve(0, approved=True),
        ):
            with pytest.raises(AccessRefused, match="no scope"):
                await change


async def test_a_ledger_that_is_opened_anew_withholds_the_same(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        one, two = principals(forum)
        await one.submit("say hello", single=True)
        [item] = (await one.work_next()).items
        await one.work_complete(item.item, "hello")
        with one.ledger.store.anew() as store:
            assert [row.model for row in learned(store).rows] == ["host"]
        with two.ledger.store.anew() as store:
            assert learned(store).runs == 0


async def test_a_member_of_the_store_that_nobody_judged_is_withheld(stage: Stage) -> None:
    async with stage.forum() as forum:
        store = SeenStore(forum.ledger.store, lambda run, seq: True)
        for name in ("raw_bodies", "transact", "transact_all", "index_faults", "something_new"):
            assert not hasattr(store, name)
        judged = {name for name in dir(Store) if not name.startswith("_") and hasattr(store, name)}
        assert {"entry", "runs", "run_entries", "newest", "raw_entries", "anew"} <= judged
