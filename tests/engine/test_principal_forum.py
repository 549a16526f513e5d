"""What one principal of a shared server may do to another's runs: nothing, whatever operation it comes by."""

from typing import Final

import pytest

from forum_mcp.engine.forum import Forum
from forum_mcp.engine.learning import learned
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.principal import ADMIN, READ, SUBMIT, Principal
from forum_mcp.engine.principal_forum import PrincipalForum
from forum_mcp.engine.principal_ledger import PrincipalLedger
from forum_mcp.errors import AccessRefused, LedgerReadOnly, NotFound
from forum_mcp.stores.principal import Owners, PrincipalStore
from tests.engine.stage import HOST, WORKER, Stage

BOTH: Final = frozenset({READ, SUBMIT})


def principals(forum: Orchestrator, scopes: frozenset[str] = BOTH) -> tuple[PrincipalForum, PrincipalForum]:
    """Return the forum of two principals; the second has ``scopes``."""
    owners = Owners()
    one, two = Principal("principal:one", BOTH), Principal("principal:two", scopes)
    return PrincipalForum(forum, one, owners), PrincipalForum(forum, two, owners)


async def test_a_principal_has_the_operations_of_the_port_and_no_other(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        both: tuple[Forum, Forum] = principals(forum)
        port = {name for name in vars(Forum) if not name.startswith("_")}
        assert {name for name in dir(both[0]) if not name.startswith("_")} == port


async def test_nothing_of_another_principal_s_run_is_found_by_any_operation(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        one, two = principals(forum)
        run = (await one.submit("say hello", single=True)).run_id
        [item] = (await one.work_next()).items
        for refused in (
            two.run(run),
            two.submit(plan=run),
            two.cancel(run),
            two.resume(run),
            two.fork(run),
            two.work_next(run),
            two.work_next(item=item.item),
            two.work_complete(item.item, "x"),
            two.work_fail(item.item, "x"),
        ):
            with pytest.raises(NotFound, match=r"not in this ledger|withheld"):
                await refused
        for ask in (two.gates, two.work_open):
            with pytest.raises(NotFound, match="not in this ledger"):
                ask(run)
        assert (two.runs().runs, two.gates().gates, (await two.work_next()).items) == ([], [], [])
        assert (two.sees(run), two.may_lend(run)) == (False, False)
        assert [line.run_id for line in one.runs().runs] == [run]


async def test_a_body_is_read_by_whoever_has_an_entry_that_cites_it(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        one, two = principals(forum)
        await one.submit("say hello to one alone", single=True)
        cited = forum.ledger.store.entry(one.runs().runs[0].entries[0]).entry.bodies
        request = cited["request"].commit
        fresh = principals(forum)[0]  # which has read no entry yet: its runs are searched
        assert fresh.ledger.body(request).data == b"say hello to one alone"
        for commit in (request, cited["contract"].commit, "0" * 64, "not hex"):
            with pytest.raises(NotFound, match="no entry of yours cites"):
                two.ledger.body(commit)
            assert two.ledger.store.body(commit) is None
            assert two.ledger.store.body_state(commit).state == "missing"
        await two.submit("say hello to one alone", single=True)
        assert two.ledger.body(request).data == b"say hello to one alone", "the same words are one body"


async def test_an_administrator_reads_everything(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        one, root = principals(forum, frozenset({ADMIN}))
        run = (await one.submit("say hello", single=True)).run_id
        forum.ledger.append("note.made", actor="person:local", bodies={"text": "of no run"})
        for entry in forum.ledger.show(limit=100).entries:
            assert root.ledger.raw(entry.seq) == forum.ledger.raw(entry.seq)
            assert all(root.ledger.body(str(body["commit"])) for body in entry.bodies.values())
        assert root.sees(run)
        assert not root.may_lend(run), "to look at another's run lends it no model"


async def test_a_quote_tells_a_principal_what_its_own_runs_took(stage: Stage) -> None:
    async with stage.forum(stage.settings(WORKER)) as forum:
        one, two = principals(forum)
        plan: dict[str, object] = {"tasks": [{"id": "a", "lane": "general", "instruction": "do a"}]}
        await one.submit("both", plan=plan, wait_s=60)
        quotes = [(await each.plan("again", plan=plan, wait_s=60)).quote for each in (one, two)]
        assert [quote and quote.tasks[0].basis for quote in quotes] == [1, 0]


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
        ledger = PrincipalLedger(whole, Principal("principal:one", BOTH), Owners())
        with ledger.store.anew() as store:
            whole.close()
            assert [row.run for row in store.runs(5)] == [run]


async def test_a_principal_s_store_has_no_member_of_the_whole_one_that_nobody_judged(stage: Stage) -> None:
    async with stage.forum() as forum:
        store = principals(forum)[0].ledger.store
        assert isinstance(store, PrincipalStore)
        assert not hasattr(store, "backup")
        with pytest.raises(LedgerReadOnly):
            store.transact(lambda tx: tx.size)
        with pytest.raises(LedgerReadOnly):
            store.transact_all([])
        for refused in (store.source, lambda: list(store.raw_bodies()), lambda: list(store.index_faults())):
            with pytest.raises(AccessRefused):
                refused()


async def test_a_principal_s_ledger_is_neither_closed_nor_appended_to_nor_exported(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        one, two = principals(forum)
        assert not [name for name in ("close", "append", "record_checkpoint", "keys") if hasattr(one.ledger, name)]
        one.ledger.store.close()
        assert (await two.submit("say hello", single=True)).checkpoint, "the store is open for others too"
        with pytest.raises(AccessRefused):
            list(two.ledger.export())
