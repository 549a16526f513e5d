"""Redaction: words that are gone for good, a record that says so, and what stays because others need it."""

import sqlite3
from pathlib import Path

import pytest

from forum_mcp.engine import redaction
from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.engine.redaction import RedactionView
from forum_mcp.errors import EntryRefused, LedgerReadOnly, NotFound, RequestRefused
from forum_mcp.ledger.entry import BodyRef
from forum_mcp.stores.sqlite import SqliteStore

ONE, TWO, OPEN = "1a" * 16, "2b" * 16, "3c" * 16
WHY = "a customer asked for it"
MARKS = {ONE: b"MARKER-ONE-7b1f", TWO: b"MARKER-TWO-91ce"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two finished runs that share a body, and one that goes on."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path, now_us=iter(range(1_000_000, 9_000_000, 1_000)).__next__) as ledger:
        for run in (ONE, TWO, OPEN):
            ledger.append("run.started", actor="person:test", bodies={"request": f"do {run}"}, run=run)
            ledger.append("x.shared", actor="engine", bodies={"b": "the same words in all runs " * 20}, run=run)
            mark = MARKS.get(run, b"MARKER-OPEN").decode()
            ledger.append("call.finished", actor="executor:model", bodies={"reply": f"{mark} " * 40}, run=run)
            if run != OPEN:
                ledger.append("run.finished", actor="engine", data={"state": "succeeded"}, run=run)
        ledger.record_checkpoint()
    return path


def commits(lines: list[redaction.BodyLine]) -> set[str]:
    return {line.commit for line in lines}


def states(ledger: Ledger, run: str) -> dict[str, object]:
    return {
        f"{entry.kind}:{name}": body["state"]
        for entry in ledger.show(run_id=run, bodies=True).entries
        for name, body in entry.bodies.items()
    }


def test_a_dry_run_says_what_would_go_and_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    with Ledger.open(path) as ledger:
        view = redaction.redact_run(ledger, ONE, WHY)
        assert (view.done, view.entries, view.erased) == (False, [], None)
        assert len(view.redacted) == 2
        assert [(line.kept, line.cited) for line in view.kept] == [("shared", [2, 6, 10])]
        assert view.bytes == sum(line.size for line in view.redacted)
    assert path.read_bytes() == before


def test_the_bodies_of_a_run_go_with_a_record_and_what_others_cite_stays(path: Path) -> None:
    with Ledger.open(path) as ledger:
        size, checkpoint = ledger.size, ledger.checkpoint()
        view = redaction.redact_run(ledger, ONE, WHY, yes=True)
        assert view.done
        assert view.erased
        assert view.entries == [size, size + 1]
        redacted = ledger.entry(size)
        assert (redacted.kind, redacted.bodies["reason"]["text"]) == ("body.redacted", WHY)
        assert redacted.data["commit"] in commits(view.redacted)
        assert redacted.parents
        assert states(ledger, ONE) == {
            "run.started:request": "redacted",
            "x.shared:b": "present",
            "call.finished:reply": "redacted",
        }
        assert set(states(ledger, TWO).values()) == {"present"}
        report = ledger.verify(3, checkpoint)
        assert report.clean, report.findings
        assert report.counts["redacted"] == 2
        with pytest.raises(NotFound, match=f"redacted by entry {size}"):
            ledger.body(str(redacted.data["commit"]))
        assert redaction.redact_run(ledger, ONE, WHY, yes=True).entries == [], "twice is once"


def test_not_a_byte_of_what_was_redacted_is_left_in_any_file_of_the_ledger(tmp_path: Path) -> None:
    """Bodies too short to be compressed stand in the file as they are."""
    path = tmp_path / "ledger.db"
    secret = b"SECRET-4f1c9b2e"
    with Ledger.open(path) as ledger:
        for n in range(30):
            ledger.append("x.noted", actor="test", bodies={"b": f"word {n} " * 20})
        commit = str(ledger.append("x.noted", actor="test", bodies={"b": secret}).bodies["b"]["commit"])
        body = ledger.body(commit)
        everything = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
        assert secret in everything
        assert body.salt in everything
        assert redaction.redact_commit(ledger, commit, WHY, yes=True).erased
        everything = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
        assert secret not in everything
        assert body.salt not in everything
        assert ledger.verify().clean


def test_a_reader_in_the_way_is_said_and_later_the_log_is_emptied(path: Path) -> None:
    with Ledger.open(path) as ledger, Ledger.open(path, read_only=True) as reader:
        with reader.store.snapshot():
            assert isinstance(redaction.redact_run(ledger, ONE, WHY, yes=True), RedactionView)
            assert isinstance(ledger.store, SqliteStore)
            assert not ledger.store.settle(0.0)
        assert ledger.store.settle(0.0)


def test_even_shared_takes_what_other_runs_cite(path: Path) -> None:
    with Ledger.open(path) as ledger:
        view = redaction.redact_run(ledger, ONE, WHY, yes=True, even_shared=True)
        assert view.kept == []
        assert len(view.redacted) == 3
        assert states(ledger, TWO)["x.shared:b"] == "redacted"
        assert ledger.verify().clean


def test_an_unfinished_run_keeps_its_bodies(path: Path) -> None:
    with Ledger.open(path) as ledger:
        with pytest.raises(RequestRefused, match="not finished"):
            redaction.redact_run(ledger, OPEN, WHY, yes=True)
        with pytest.raises(NotFound):
            redaction.redact_run(ledger, "9" * 32, WHY)
        view = redaction.redact_actor(ledger, "executor:model", WHY, yes=True)
        assert {line.kept for line in view.kept} == {"unfinished-run"}
        assert len(view.redacted) == 2
        assert states(ledger, OPEN)["call.finished:reply"] == "present"
        assert ledger.verify().clean


def test_pruning_takes_finished_runs_that_are_all_older(path: Path) -> None:
    with Ledger.open(path) as ledger:
        newest_of_one = ledger.show(run_id=ONE).entries[-1].at
        assert redaction.prune(ledger, newest_of_one, WHY).redacted == []
        view = redaction.prune(ledger, newest_of_one + 1, WHY, yes=True)
        assert len(view.redacted) == 2
        assert ledger.verify().clean
        redaction.prune(ledger, 2**60, "all of it", yes=True)
        report = ledger.verify()
        assert report.clean
        assert report.counts["redacted"] == 4
        assert set(states(ledger, OPEN).values()) == {"present"}


def test_a_single_body_goes_whoever_cites_it_but_no_checkpoint_does(path: Path) -> None:
    with Ledger.open(path) as ledger:
        shared = str(ledger.entry(2).bodies["b"]["commit"])
        view = redaction.redact_commit(ledger, shared, WHY, yes=True)
        assert view.redacted[0].cited == [2, 6, 10]
        assert ledger.entry(view.entries[0]).parents == [2, 6, 10]
        signed = ledger.show(kind="checkpoint.signed").entries[0]
        with pytest.raises(RequestRefused, match="checkpoint"):
            redaction.redact_commit(ledger, str(signed.bodies["note"]["commit"]), WHY, yes=True)
        with pytest.raises(NotFound):
            redaction.redact_commit(ledger, "0" * 64, WHY)
        with pytest.raises(NotFound, match="redacted by"):
            redaction.redact_commit(ledger, shared, WHY)
        with pytest.raises(RequestRefused, match="reason"):
            redaction.redact_commit(ledger, str(ledger.entry(1).bodies["request"]["commit"]), "")
        ledger.append("x.noted", actor="test", bodies={"b": "the same words in all runs " * 20})
        report = ledger.verify()
        assert report.clean, "the same words given again are another body: new salt, new commitment"


def test_a_redacted_body_cannot_be_cited_again(path: Path) -> None:
    with Ledger.open(path) as ledger:
        body = ledger.entry(1).bodies["request"]
        redaction.redact_commit(ledger, str(body["commit"]), WHY, yes=True)
        again = BodyRef(str(body["commit"]), int(str(body["size"])), str(body["type"]))
        with pytest.raises(EntryRefused, match="redacted"):
            ledger.append("x.noted", actor="test", bodies={"b": again})


def test_a_reason_that_said_too_much_can_be_redacted_itself(path: Path) -> None:
    with Ledger.open(path) as ledger:
        view = redaction.redact_run(ledger, ONE, "it named Jane", yes=True)
        reason = str(ledger.entry(view.entries[0]).bodies["reason"]["commit"])
        redaction.redact_commit(ledger, reason, "the reason named a person", yes=True)
        assert ledger.verify().clean


def test_a_body_deleted_without_a_record_is_missing_and_a_changed_one_a_mismatch(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM bodies WHERE id = 1")
    connection.execute("UPDATE bodies SET salt = zeroblob(32) WHERE id = 2")
    connection.commit()
    connection.close()
    with Ledger.open(path) as ledger:
        found = states(ledger, ONE)
        assert found["run.started:request"] == "missing"
        assert found["x.shared:b"] == "mismatch"
        with pytest.raises(NotFound, match="no entry says that it was redacted"):
            ledger.body(str(ledger.entry(1).bodies["request"]["commit"]))


def test_an_export_says_redacted_as_the_ledger_does_and_redacts_nothing(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    with Ledger.open(path) as ledger:
        redaction.redact_run(ledger, ONE, WHY, yes=True)
        file.write_bytes(b"".join(ledger.export()))
        expected = states(ledger, ONE)
    assert verify_path(file).clean
    with Ledger.open(file) as copy:
        assert states(copy, ONE) == expected
        with pytest.raises(LedgerReadOnly):
            redaction.redact_run(copy, TWO, WHY, yes=True)


def test_a_citation_that_comes_in_between_keeps_the_body(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(path) as ledger, Ledger.open(path) as other:
        request = ledger.entry(1).bodies["request"]
        ref = BodyRef(str(request["commit"]), int(str(request["size"])), str(request["type"]))
        transact = ledger.store.transact

        def late(work: object) -> object:
            other.append("x.cites", actor="test", bodies={"b": ref}, run=TWO)
            return transact(work)  # type: ignore[arg-type]

        monkeypatch.setattr(ledger.store, "transact", late)
        view = redaction.redact_run(ledger, ONE, WHY, yes=True)
        assert ref.commit in commits(view.kept)
        assert ledger.verify().clean
