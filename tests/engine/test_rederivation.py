"""Level 4: a recorded decision that the record does not give again is found; what cannot be told is counted apart."""

import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from forum_mcp.engine.folding import fold_run
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.rederive import findings
from forum_mcp.errors import RequestRefused
from forum_mcp.ledger.entry import BodyRef, Draft, Entry, NewBody, RunId
from forum_mcp.rules.calls import TEXT
from forum_mcp.stores.base import Stored, Transaction
from tests.engine.stage import DIAMOND, Stage, assert_clean


async def finished(stage: Stage) -> RunId:
    stage.cast.plan = lambda _: DIAMOND
    async with stage.forum() as forum:
        view = await forum.submit("build the database schema and the auth endpoint")
        assert_clean(forum)
    return RunId(view.run_id)


def append(draft: Draft, entry: Entry, tx: Transaction) -> Stored:
    return tx.append(draft, run=entry.run, at_us=entry.at)


def rewrite(source: Path, target: Path, change: dict[int, Draft], drop: set[int] | None = None) -> None:
    """Write the run into a new ledger with some entries changed: an owner who forges a clean chain."""
    with Ledger.open(source, create=False) as old, Ledger.open(target) as new:
        seqs: dict[int, int] = {0: 0}
        for seq in range(1, old.size):
            entry = old.store.entry(seq).entry
            bodies: dict[str, NewBody | BodyRef] = {}
            for name, ref in entry.bodies.items():
                body = old.store.body(ref.commit)
                assert body is not None
                bodies[name] = NewBody(body.type, body.data)
            draft = Draft(entry.kind, entry.actor, entry.data, bodies, tuple(entry.parents))
            if seq in (drop or set()):
                continue
            draft = change.get(seq, draft)
            parents = tuple(sorted(seqs[parent] for parent in draft.parents if parent in seqs))
            data = dict(draft.data)
            call = data.get("call")
            if isinstance(call, int):
                data["call"] = seqs[call]
            moved = Draft(draft.kind, draft.actor, data, draft.bodies, parents)
            seqs[seq] = new.store.transact(partial(append, moved, entry)).entry.seq


def seq_of(ledger: Path, kind: str) -> int:
    with Ledger.open(ledger, create=False) as opened:
        return next(e.seq for e in opened.show(limit=1000).entries if e.kind == kind)


async def test_a_copy_with_nothing_changed_derives_again(stage: Stage, tmp_path: Path) -> None:
    await finished(stage)
    rewrite(stage.ledger, tmp_path / "copy.db", {})
    with Ledger.open(tmp_path / "copy.db", create=False) as copy:
        assert findings(copy.store)[0] == []


@pytest.mark.promise("verify-decisions")
async def test_a_forged_verdict_in_a_clean_chain_is_found(stage: Stage, tmp_path: Path) -> None:
    await finished(stage)
    seq = seq_of(stage.ledger, "task.judged")
    with Ledger.open(stage.ledger, create=False) as opened:
        entry = opened.store.entry(seq).entry
    forged = Draft(entry.kind, entry.actor, {**entry.data, "verdict": "failed", "ok": False}, {}, tuple(entry.parents))
    rewrite(stage.ledger, tmp_path / "forged.db", {seq: forged})
    with Ledger.open(tmp_path / "forged.db", create=False) as copy:
        report = copy.verify(level=4)
        assert ("decision", seq) in [(finding.code, finding.seq) for finding in report.findings]
        assert copy.verify(level=2).findings == []


async def test_a_forged_prompt_in_a_clean_chain_is_found(stage: Stage, tmp_path: Path) -> None:
    await finished(stage)
    seq = seq_of(stage.ledger, "call.started")
    with Ledger.open(stage.ledger, create=False) as opened:
        entry = opened.store.entry(seq).entry
    bodies: dict[str, NewBody | BodyRef] = {name: NewBody(TEXT, b"another prompt") for name in entry.bodies}
    forged = Draft(entry.kind, entry.actor, entry.data, bodies, tuple(entry.parents))
    rewrite(stage.ledger, tmp_path / "forged.db", {seq: forged})
    with Ledger.open(tmp_path / "forged.db", create=False) as copy:
        assert [each.seq for each in findings(copy.store)[0]] == [seq]


async def test_a_dropped_call_in_a_clean_chain_is_found(stage: Stage, tmp_path: Path) -> None:
    await finished(stage)
    seq = seq_of(stage.ledger, "task.started")
    rewrite(stage.ledger, tmp_path / "forged.db", {}, {seq})
    with Ledger.open(tmp_path / "forged.db", create=False) as copy:
        assert findings(copy.store)[0]


async def test_decisions_of_rules_we_do_not_ship_are_counted_and_are_no_finding(stage: Stage, tmp_path: Path) -> None:
    await finished(stage)
    with Ledger.open(stage.ledger, create=False) as opened:
        entry = opened.store.entry(1).entry
        bodies: dict[str, NewBody | BodyRef] = {}
        for name, ref in entry.bodies.items():
            body = opened.store.body(ref.commit)
            assert body is not None
            bodies[name] = NewBody(body.type, body.data)
    older = Draft(entry.kind, entry.actor, {**entry.data, "rules": {"next": 0}}, bodies, ())
    rewrite(stage.ledger, tmp_path / "older.db", {1: older})
    with Ledger.open(tmp_path / "older.db", create=False) as copy:
        found, counts = findings(copy.store)
        assert found == []
        assert (counts["decisions"], counts["rules-not-available"] > 20) == (0, True)


async def test_decisions_behind_a_body_that_is_gone_are_counted_and_are_no_finding(stage: Stage) -> None:
    await finished(stage)
    with Ledger.open(stage.ledger, create=False) as opened:
        commit = opened.store.entry(1).entry.bodies["request"].commit
    with sqlite3.connect(stage.ledger) as raw:
        assert raw.execute('DELETE FROM bodies WHERE "commit" = ?', (bytes.fromhex(commit),)).rowcount == 1
    raw.close()
    with Ledger.open(stage.ledger, create=False) as opened:
        found, counts = findings(opened.store)
        assert found == []
        assert counts["not-rederivable"] > 20


async def test_replay_shows_the_state_at_any_entry_and_appends_nothing(stage: Stage) -> None:
    run = await finished(stage)
    async with stage.forum() as forum:
        size = forum.ledger.size
        judged = [entry.seq for entry in stage.entries(forum, "task.judged")]
        for done, seq in enumerate(judged, start=1):
            (view,) = forum.replay(seq).runs
            assert sum(task.state == "succeeded" for task in view.tasks) == done
        assert forum.replay(0).runs == []
        at = stage.entries(forum)[judged[0]].at
        assert forum.replay(_iso(at)).size > judged[0]
        assert forum.ledger.size == size
        assert fold_run(forum.ledger.store, run).end == "succeeded"


def _iso(at_us: int) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=at_us)).isoformat()


@pytest.mark.parametrize("until", ["yesterday", "99999999999999999999", ""])
async def test_replay_refuses_what_is_neither_a_seq_nor_a_time(stage: Stage, until: str) -> None:
    async with stage.forum() as forum:
        with pytest.raises(RequestRefused, match="neither"):
            forum.replay(until)
