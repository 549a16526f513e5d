"""Forks and reuse: what did not change is not done again, and says where it was done."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.engine.redaction import redact_commit
from forum_mcp.engine.views import EntryView
from forum_mcp.errors import RequestRefused
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.scripted import ScriptedExecutor
from tests.engine.stage import DIAMOND, Stage, assert_clean

PLAN = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "do a"},
        {"id": "b", "lane": "frontend", "instruction": "do b", "depends_on": ["a"]},
        {"id": "c", "lane": "database", "instruction": "do c", "depends_on": ["a"]},
        {"id": "d", "lane": "database", "instruction": "do d", "depends_on": ["b"]},
    ]
}


class Named(ScriptedExecutor):
    """A model whose replies carry its name; what it is told to do is kept."""

    def __init__(self, name: str, done: list[tuple[str, str]]) -> None:
        def reply(call: Call) -> Outcome | str:
            done.append((name, str(call.task)))
            return f"{call.task} by {name}"

        super().__init__(reply)
        self._name = name

    def identity(self) -> Mapping[str, object]:
        """Return what tells one model from the other."""
        return {**super().identity(), "name": self._name}


def settings(ledger: Path, **roles: list[str]) -> Settings:
    scripted = ExecutorSettings(type="scripted", script="-")
    return Settings(
        ledger=str(ledger),
        executors={"one": scripted, "two": scripted},
        roles=RoleSettings(worker=["one"], **roles),
    )


def open_forum(home: Path, done: list[tuple[str, str]]) -> AbstractAsyncContextManager[Orchestrator]:
    """Open a forum of two models; who did which task is added to ``done``."""
    return Orchestrator.open(settings(home / "l.db"), executors={name: Named(name, done) for name in ("one", "two")})


@pytest.fixture
def done() -> list[tuple[str, str]]:
    return []


async def test_a_fork_with_one_model_changed_runs_only_what_that_touches(
    tmp_path: Path, done: list[tuple[str, str]]
) -> None:
    async with open_forum(tmp_path, done) as forum:
        first = await forum.submit("all", plan=PLAN, wait_s=60)
        assert first.state == "succeeded"
        done.clear()
        view = await forum.fork(first.run_id, workers={"frontend": "two"}, wait_s=60)
        assert (view.state, done) == ("succeeded", [("two", "b"), ("one", "d")])
        entries = forum.ledger.show(run_id=view.run_id, limit=1000).entries
        reused = {str(entry.data["task"]): entry for entry in entries if entry.kind == "task.reused"}
        assert sorted(reused) == ["a", "c"]
        shown = forum.ledger.show(run_id=first.run_id, limit=1000).entries
        settled = {str(entry.data["task"]): entry.seq for entry in shown if entry.kind == "task.judged"}
        assert {name: entry.data["found"] for name, entry in reused.items()} == {n: settled[n] for n in ("a", "c")}
        [started] = [entry for entry in entries if entry.kind == "run.started"]
        assert started.parents == [first.entries[1]]
        assert_clean(forum)


async def test_a_fork_that_changes_nothing_calls_nobody(tmp_path: Path, done: list[tuple[str, str]]) -> None:
    async with open_forum(tmp_path, done) as forum:
        first = await forum.submit("all", plan=PLAN, wait_s=60)
        done.clear()
        view = await forum.fork(first.run_id, wait_s=60)
        assert (view.state, view.answer, done) == ("succeeded", first.answer, [])
        assert view.spent.calls == 0
        assert_clean(forum)


async def test_a_fork_from_an_earlier_entry_does_later_tasks_again(tmp_path: Path, done: list[tuple[str, str]]) -> None:
    async with open_forum(tmp_path, done) as forum:
        first = await forum.submit("all", plan=PLAN, max_parallel=1, wait_s=60)
        shown = forum.ledger.show(run_id=first.run_id, limit=1000).entries
        after_a = next(e.seq for e in shown if e.kind == "task.judged" and e.data["task"] == "a")
        done.clear()
        assert (await forum.fork(first.run_id, seq=after_a, wait_s=60)).state == "succeeded"
        assert sorted(task for _, task in done) == ["b", "c", "d"]
        with pytest.raises(RequestRefused, match="none of run"):
            await forum.fork(first.run_id, seq=0)
        with pytest.raises(RequestRefused, match="no executor"):
            await forum.fork(first.run_id, workers={"*": "three"})
        assert_clean(forum)


async def test_another_run_reuses_the_same_task_only_where_both_allow_it(
    tmp_path: Path, done: list[tuple[str, str]]
) -> None:
    async with open_forum(tmp_path, done) as forum:
        await forum.submit("all", plan=PLAN, wait_s=60)
        await forum.submit("all, again", plan=PLAN, reuse=True, wait_s=60)
        assert len(done) == 8, "the first run did not allow it"
        done.clear()
        view = await forum.submit("all, once more", plan=PLAN, reuse=True, wait_s=60)
        assert (view.state, done) == ("succeeded", [])
        aged = [e for e in forum.ledger.show(run_id=view.run_id, limit=1000).entries if e.kind == "task.reused"]
        assert len(aged) == 4
        assert all(isinstance(entry.data["age_ms"], int) for entry in aged)
        assert_clean(forum)


async def test_an_output_that_was_redacted_is_not_reused(tmp_path: Path, done: list[tuple[str, str]]) -> None:
    async with open_forum(tmp_path, done) as forum:
        first = await forum.submit("all", plan=PLAN, wait_s=60)
        shown = forum.ledger.show(run_id=first.run_id, limit=1000).entries
        output = next(e for e in shown if e.kind == "task.finished" and e.data["task"] == "c").bodies["output"]
        redact_commit(forum.ledger, str(output["commit"]), "asked", yes=True)
        done.clear()
        assert (await forum.fork(first.run_id, wait_s=60)).state == "succeeded"
        assert done == [("one", "c")]


async def test_nothing_is_looked_up_where_nothing_may_be_reused(stage: Stage) -> None:
    stage.cast.plan = lambda _: DIAMOND
    async with stage.forum() as forum:
        await forum.submit("build it", wait_s=60)
        assert not stage.entries(forum, "task.recalled")


async def test_a_fork_of_a_fork_cites_the_fork_which_cites_where_the_work_was_done(
    tmp_path: Path, done: list[tuple[str, str]]
) -> None:
    async with open_forum(tmp_path, done) as forum:
        first = await forum.submit("all", plan=PLAN, wait_s=60)
        second = await forum.fork(first.run_id, workers={"frontend": "two"}, wait_s=60)
        done.clear()
        third = await forum.fork(second.run_id, wait_s=60)
        assert (third.state, third.answer, done) == ("succeeded", second.answer, [])

        def reuses(run: str) -> dict[str, EntryView]:
            shown = forum.ledger.show(run_id=run, kind="task.reused", limit=100).entries
            return {str(entry.data["task"]): entry for entry in shown}

        later, earlier = reuses(third.run_id), reuses(second.run_id)
        assert sorted(later) == ["a", "b", "c", "d"]
        assert [later[name].data["found"] for name in ("a", "c")] == [earlier[name].seq for name in ("a", "c")]
        shown = forum.ledger.show(run_id=first.run_id, kind="task.judged", limit=100).entries
        assert {earlier["a"].data["found"], earlier["c"].data["found"]} < {entry.seq for entry in shown}
        for name in ("a", "c"):
            work_done = next(entry.at for entry in shown if entry.data["task"] == name)
            age_ms = later[name].data["age_ms"]
            assert isinstance(age_ms, int)
            assert age_ms >= (later[name].at - work_done) // 1_000 - 1, "the age is of the work"
        traced = {line.seq for line in forum.ledger.trace(later["a"].seq).lines}
        assert {earlier["a"].seq, first.entries[0]} <= traced, "its trace reaches the first request"
        assert_clean(forum)


async def test_a_fork_of_a_run_that_was_cut_short_finds_what_that_one_could_have_found(
    tmp_path: Path, done: list[tuple[str, str]]
) -> None:
    async with open_forum(tmp_path, done) as forum:
        first = await forum.submit("all", plan=PLAN, wait_s=60)
        shown = forum.ledger.show(run_id=first.run_id, kind="task.judged", limit=100).entries
        early = min(entry.seq for entry in shown)
        waiting = await forum.fork(first.run_id, approve="run", wait_s=60)
        await forum.cancel(waiting.run_id)
        done.clear()
        second = await forum.fork(waiting.run_id, wait_s=60)
        second = await forum.resolve(second.gates[0], approved=True, wait_s=60)
        assert (second.state, done) == ("succeeded", []), "the cancelled fork had done nothing itself"
        before = await forum.fork(first.run_id, seq=early, approve="run", wait_s=60)
        third = await forum.fork(before.run_id, wait_s=60)
        third = await forum.resolve(third.gates[0], approved=True, wait_s=60)
        assert (third.state, sorted(done)) == ("succeeded", [("one", "b"), ("one", "c"), ("one", "d")])
        assert_clean(forum)


async def test_a_fork_keeps_the_workers_of_its_origin_until_all_are_replaced(
    tmp_path: Path, done: list[tuple[str, str]]
) -> None:
    async with open_forum(tmp_path, done) as forum:
        first = await forum.submit("all", plan=PLAN, wait_s=60)
        second = await forum.fork(first.run_id, workers={"frontend": "two"}, wait_s=60)
        done.clear()
        third = await forum.fork(second.run_id, workers={"database": "two"}, wait_s=60)
        assert sorted(done) == [("two", "c"), ("two", "d")]
        done.clear()
        fourth = await forum.fork(third.run_id, workers={"*": "one"}, wait_s=60)
        assert (fourth.state, done) == ("succeeded", []), "as in the very first run"
        assert_clean(forum)


@pytest.mark.parametrize("kept", [b"", b":", b"9" * 5_000, b"x:" + b"9" * 5_000, b"\xff\xfe:1", b"f:1", b"f:99999"])
async def test_a_damaged_note_of_where_a_task_was_done_means_that_it_is_done(
    tmp_path: Path, done: list[tuple[str, str]], kept: bytes
) -> None:
    one = {"tasks": [{"id": "a", "lane": "backend", "instruction": "do a"}]}
    async with open_forum(tmp_path, done) as forum:
        first = await forum.submit("all", plan=one, reuse=True, wait_s=60)
        [recalled] = forum.ledger.show(run_id=first.run_id, kind="task.recalled").entries
        forum.ledger.store.transact(lambda tx: tx.set_account(f"task:{recalled.data['key']}", kept))
        view = await forum.submit("all, again", plan=one, reuse=True, wait_s=60)
        assert (view.state, len(done)) == ("succeeded", 2)
        assert_clean(forum)
