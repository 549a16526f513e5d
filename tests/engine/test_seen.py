"""What one principal of a shared server may do to another's runs: nothing, whatever operation it comes by."""

import inspect
from typing import Final

import pytest

from forum_mcp.engine.learning import learned
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.seen import READ, SUBMIT, Principal, SeenForum, SeenLedger
from forum_mcp.errors import AccessRefused, LedgerReadOnly, NotFound
from forum_mcp.stores.seen import Owners, SeenStore
from tests.engine.stage import HOST, Stage

BOTH: Final = frozenset({READ, SUBMIT})
SAME_FOR_ALL: Final = {"open", "route", "roster", "quoted"}
"""Operations that touch no run, or only a view that was already given."""
THROUGH_THE_LEDGER: Final = {"run", "runs", "replay", "work_open", "learned"}
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


async def test_the_run_of_another_is_not_begun_through_the_daemon(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forum_mcp.engine.orchestrator.ask_daemon", None)  # it sees every run and must not be asked
    async with stage.forum(stage.settings(HOST)) as forum:
        one, two = principals(forum)
        run = (await one.plan("say hello", single=True)).run_id
        for asked in (two.submit(plan=run, detach=True), two.resume(run, detach=True), two.fork(run, detach=True)):
            with pytest.raises(NotFound):
                await asked


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
        assert [row.model for row in (await one.learned()).rows] == ["host"]
        assert (await two.learned()).runs == 0, "what was read for one is not told to the other"


async def test_a_ledger_that_is_opened_anew_is_read_over_its_own_connection_alone(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        run = (await principals(forum)[0].submit("say hello", single=True)).run_id
    with Ledger.open(stage.ledger) as whole:
        ledger = SeenLedger(whole, Principal("principal:one", BOTH), Owners())
        with ledger.store.anew() as store:
            whole.close()
            assert [row.run for row in store.runs(5)] == [run]


async def test_a_principal_s_store_has_no_member_of_the_whole_one_that_nobody_judged(stage: Stage) -> None:
    async with stage.forum() as forum:
        store = principals(forum)[0].ledger.store
        assert isinstance(store, SeenStore)
        assert not hasattr(store, "backup")
        with pytest.raises(LedgerReadOnly):
            store.transact(lambda tx: tx.size)
        with pytest.raises(LedgerReadOnly):
            store.transact_all([])
        for refused in (store.source, lambda: list(store.raw_bodies()), lambda: list(store.index_faults())):
            with pytest.raises(AccessRefused):
                refused()


async def test_closing_a_principal_s_ledger_closes_nobody_else_s(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        one, two = principals(forum)
        one.ledger.close()
        assert (await two.submit("say hello", single=True)).checkpoint
        with pytest.raises(LedgerReadOnly):
            two.ledger.append("note.made", actor="host:two")
        with pytest.raises(AccessRefused):
            list(two.ledger.export())
