"""The record from the command line: exact bytes, causes, replay, export, checkpoints, and every damage found."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import cast

import pytest

from forum_mcp.cli.tampering import change_body, drop_tail
from tests.cli.commands import forum


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    path = str(tmp_path / "ledger.db")
    flags = ("--cmd", "echo done", "--roles", "rules", "--ledger", path)
    assert forum("submit", "1. write the readme docs 2. build the css for the page", *flags).code == 0
    return path


def kinds(ledger: str) -> dict[str, int]:
    """Return the first seq of each kind."""
    view = forum("ledger", "show", "--limit", "1000", "--json", "--ledger", ledger).json()
    found: dict[str, int] = {}
    for entry in cast("list[dict[str, object]]", view["entries"]):
        found.setdefault(str(entry["kind"]), int(str(entry["seq"])))
    return found


def test_get_writes_the_bytes_that_are_hashed(ledger: str) -> None:
    raw = forum("ledger", "get", "1", "--ledger", ledger).raw
    assert not raw.endswith(b"\n")
    following = json.loads(forum("ledger", "get", "2", "--ledger", ledger).raw)
    assert following["prev"] == hashlib.sha256(b"\x00" + raw).hexdigest()
    assert forum("ledger", "get", "999", "--ledger", ledger).code == 2


def test_trace_leads_from_a_verdict_to_its_request(ledger: str) -> None:
    seq = kinds(ledger)["task.judged"]
    view = forum("ledger", "trace", str(seq), "--json", "--ledger", ledger).json()
    assert view["reaches_request"] is True
    lines = cast("list[dict[str, object]]", view["lines"])
    assert {"run.started", "plan.accepted", "task.started", "call.finished", "task.judged"} <= {
        str(line["kind"]) for line in lines
    }
    assert "run.started" in forum("ledger", "trace", str(seq), "--ledger", ledger).out


def test_replay_rebuilds_the_state_at_an_entry_or_a_time(ledger: str) -> None:
    seq = kinds(ledger)["plan.accepted"]
    early = forum("ledger", "replay", "--until", str(seq), "--json", "--ledger", ledger).json()
    assert early["size"] == seq + 1
    (run,) = cast("list[dict[str, object]]", early["runs"])
    assert {task["state"] for task in cast("list[dict[str, object]]", run["tasks"])} == {"pending"}
    whole = forum("ledger", "replay", "--json", "--ledger", ledger).json()
    assert cast("list[dict[str, object]]", whole["runs"])[0]["state"] == "succeeded"
    before_all = forum("ledger", "replay", "--until", "2001-01-01T00:00:00+00:00", "--json", "--ledger", ledger).json()
    assert (before_all["size"], before_all["runs"]) == (0, [])
    assert forum("ledger", "replay", "--until", "yesterday", "--ledger", ledger).code == 2


def test_an_export_is_self_contained_and_overwrites_nothing(tmp_path: Path, ledger: str) -> None:
    target = tmp_path / "export.jsonl"
    assert forum("ledger", "export", str(target), "--ledger", ledger).code == 0
    lines = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert lines[0]["t"] == "head"
    assert [line["t"] for line in lines].count("entry") == lines[0]["size"]
    assert forum("ledger", "export", "--ledger", ledger).raw == target.read_bytes()
    again = forum("ledger", "export", str(target), "--ledger", ledger)
    assert again.code == 2
    assert "exists" in again.err


def test_a_kept_checkpoint_is_taken_as_a_file_as_text_and_on_stdin(tmp_path: Path, ledger: str) -> None:
    kept = forum("ledger", "checkpoint", "--ledger", ledger).out
    path = tmp_path / "kept.txt"
    path.write_text(kept)
    for since in (str(path), kept):
        assert forum("ledger", "verify", "--since", since, "--ledger", ledger).code == 0
    assert forum("ledger", "verify", "--since", "-", "--ledger", ledger, stdin=kept).code == 0
    assert forum("ledger", "verify", "--since", str(tmp_path / "nowhere"), "--ledger", ledger).code == 3


@pytest.mark.promise("checkpoint-kept")
def test_a_dropped_tail_is_found_from_a_kept_checkpoint_alone(tmp_path: Path, ledger: str) -> None:
    kept = forum("ledger", "checkpoint", "--ledger", ledger).out
    size = kinds(ledger)["run.finished"]
    copy = tmp_path / "elsewhere" / "copy.db"  # away from the signer, which remembers what it signed
    copy.parent.mkdir()
    shutil.copyfile(ledger, copy)
    drop_tail(copy, size)
    alone = forum("ledger", "verify", "--ledger", str(copy))
    assert alone.code == 0
    assert "tail: not protected" in alone.out
    found = forum("ledger", "verify", "--since", kept, "--json", "--ledger", str(copy))
    assert found.code == 1
    codes = [finding["code"] for finding in cast("list[dict[str, str]]", found.json()["findings"])]
    assert codes == ["checkpoint-beyond-tail"]


def test_a_changed_body_is_named_with_its_place(tmp_path: Path, ledger: str) -> None:
    view = forum("ledger", "show", "--kind", "call.finished", "--json", "--ledger", ledger).json()
    entry = cast("list[dict[str, dict[str, dict[str, str]]]]", view["entries"])[0]
    commit = entry["bodies"]["reply"]["commit"]
    change_body(Path(ledger), commit)
    assert forum("ledger", "verify", "--level", "1", "--ledger", ledger).code == 0
    done = forum("ledger", "verify", "--ledger", ledger)
    assert done.code == 1
    assert "body-mismatch" in done.out
    assert commit[:16] in done.out


def test_verify_says_what_holds_and_what_does_not(ledger: str) -> None:
    done = forum("ledger", "verify", "--ledger", ledger)
    assert done.out.startswith("clean: ")
    assert "holds: chain" in done.out
    assert "does not hold: " in done.out
    view = forum("ledger", "verify", "--json", "--ledger", ledger).json()
    assert view["clean"] is True
    assert view["findings"] == []


def test_show_filters_and_pages(ledger: str) -> None:
    view = forum("ledger", "show", "--limit", "3", "--json", "--ledger", ledger).json()
    seqs = [entry["seq"] for entry in cast("list[dict[str, int]]", view["entries"])]
    assert seqs == sorted(seqs)
    older = forum(
        "ledger", "show", "--limit", "3", "--before", str(view["before"]), "--json", "--ledger", ledger
    ).json()
    assert cast("list[dict[str, int]]", older["entries"])[-1]["seq"] == seqs[0] - 1
    out = forum("ledger", "show", "--kind", "task.judged", "--ledger", ledger).out
    assert out.count("task.judged") == 2


def test_get_writes_a_body_byte_for_byte_and_names_those_there_are(ledger: str) -> None:
    view = forum("ledger", "show", "--kind", "call.finished", "--limit", "1", "--json", "--ledger", ledger).json()
    seq = str(cast("list[dict[str, int]]", view["entries"])[0]["seq"])
    assert forum("ledger", "get", seq, "--body", "reply", "--ledger", ledger).raw.strip() != b""
    refused = forum("ledger", "get", seq, "--body", "patch", "--ledger", ledger)
    assert refused.code == 2
    assert "it has: reply" in refused.err
