"""A text is redacted while a process holds the run that rests on it: the run stops, says why, keeps what was done."""

import anyio
import msgspec
import pytest

from forum_mcp.engine.redaction import redact_commit
from forum_mcp.errors import AttemptClosed, LedgerUnreadable
from tests.engine.stage import HOST, Stage, plan_of

PLAN: dict[str, object] = msgspec.json.decode(plan_of(("a", []), ("b", []), ("c", ["a", "b"])))


async def test_a_held_run_whose_text_is_redacted_stops_and_says_why_and_keeps_what_was_done(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    settings = stage.settings(HOST)
    async with stage.forum(settings) as forum, stage.forum(settings) as other:
        run = (await forum.submit("three steps", plan=PLAN)).run_id
        first, second = (await forum.work_next(run, limit=2)).items
        await forum.work_complete(first.item, "what a made")
        [started] = other.ledger.show(run_id=run, kind="run.started").entries
        gone = str(started.bodies["request"]["commit"])
        await anyio.wait_all_tasks_blocked()  # the run's loop has seen all there is, and sees no redaction on its way
        redacted = redact_commit(other.ledger, gone, "asked", yes=True).entries[0]
        with pytest.raises(AttemptClosed):  # what is refused is undone, and the state is built anew from the record
            await forum.work_complete(first.item, "again")
        await forum.work_complete(second.item, "what b made")
        with anyio.fail_after(10):
            view = await forum.run(run, wait_s=60)
        after = [entry for entry in stage.entries(forum) if entry.seq > redacted and entry.run == run]
        assert sorted(entry.kind for entry in after) == ["call.finished", "run.interrupted", "work.returned"]
        assert [entry.data["reason"] for entry in after if entry.kind == "run.interrupted"] == ["text-gone"]
        assert f"run {run} cannot go on: a text that it goes on from was redacted" in caplog.text
        assert (view.state, view.error, view.tasks[0].state) == ("interrupted", "text-gone", "succeeded")
        assert view.next is not None
        assert view.next.arguments == {"run_id": run, "action": "cancel"}
        with pytest.raises(LedgerUnreadable, match="cannot go on: a text that it goes on from was redacted"):
            await forum.resume(run)
        done = await forum.cancel(run)
        assert (done.state, done.tasks[0].state, done.next) == ("cancelled", "succeeded", None)
        assert forum.ledger.verify(level=4).findings == []


async def test_an_item_whose_prompt_was_redacted_says_so_and_is_not_handed_out_empty(stage: Stage) -> None:
    async with stage.forum(stage.settings(HOST)) as forum:
        run = (await forum.submit("say hello", single=True)).run_id
        [call] = forum.ledger.show(run_id=run, kind="call.started").entries
        redact_commit(forum.ledger, str(call.bodies["prompt"]["commit"]), "asked", yes=True)
        [item] = (await forum.work_next(run)).items
        assert "was redacted" in item.prompt
        assert (await forum.work_fail(item.item, "nothing to work on")).runs == {run: "failed"}
