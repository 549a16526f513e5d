"""Proofs and receipts from the command line: handed out, and checked by somebody who has nothing else."""

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from forum_mcp.engine.ledger import Ledger
from forum_mcp.ledger import merkle, note
from forum_mcp.ledger.checkpoint import parse
from forum_mcp.ledger.proof import parse_growth, parse_inclusion
from tests.cli.commands import forum
from tests.standalone.pair import standalone_path

RUN = "5a" * 16


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as record:
        record.append("run.started", actor="person:test", data={"t_ms": 0}, bodies={"request": "do it"}, run=RUN)
        record.append("note.made", actor="person:test", bodies={"text": "private"})
        record.append("task.finished", actor="engine", data={"t_ms": 1}, bodies={"output": "done"}, run=RUN)
    return str(path)


def codes(raw: dict[str, object]) -> list[str]:
    return [finding["code"] for finding in cast("list[dict[str, str]]", raw["findings"])]


def standalone(*arguments: str | Path) -> int:
    command = [sys.executable, "-I", str(standalone_path()), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_a_receipt_is_checked_offline_by_the_command_and_by_the_standalone_file(tmp_path: Path, ledger: str) -> None:
    file = tmp_path / "receipt.jsonl"
    assert forum("ledger", "receipt", "3", "1", "--bodies", "--output", str(file), "--ledger", ledger).code == 0
    Path(ledger).unlink()
    done = forum("ledger", "verify", "--receipt", str(file), "--json")
    assert done.code == 0
    assert done.json()["counts"] == {"entries": 2, "bodies": 2, "left_out": 0, "proven": 2, "checkpoints": 1}
    assert standalone(file) == 0
    file.write_bytes(file.read_bytes().replace(b"task.finished", b"task.fumbled!"))
    found = forum("ledger", "verify", "--receipt", str(file), "--json")
    assert found.code == 1
    assert "checkpoint-root" in codes(found.json())
    assert standalone(file) == 1


def test_a_receipt_without_bodies_shows_no_words(ledger: str) -> None:
    done = forum("ledger", "receipt", "2", "--ledger", ledger)
    assert [json.loads(line)["t"] for line in done.raw.splitlines()] == ["head", "entry", "proof"]


def test_an_export_of_a_run_is_a_receipt_of_its_entries(tmp_path: Path, ledger: str) -> None:
    file = tmp_path / "run.jsonl"
    assert forum("ledger", "export", "--run", RUN, str(file), "--ledger", ledger).code == 0
    entries = [
        json.loads(json.loads(line)["bytes"]) for line in file.read_bytes().splitlines() if b'"t":"entry"' in line
    ]
    assert [entry["seq"] for entry in entries] == [1, 3]
    assert b"private" not in file.read_bytes()
    assert forum("ledger", "verify", "--receipt", str(file)).code == 0
    assert forum("ledger", "export", "--run", "0" * 32, "--ledger", ledger).code == 2


def test_a_key_from_its_owner_is_what_a_receipt_is_held_against(tmp_path: Path, ledger: str) -> None:
    file = tmp_path / "receipt.jsonl"
    forum("ledger", "receipt", "1", "--output", str(file), "--ledger", ledger)
    with Ledger.open(ledger, read_only=True) as record:
        own = record.vkey
    assert forum("ledger", "verify", "--receipt", str(file), "--vkey", own).code == 0
    other = note.Signer(own.partition("+")[0], bytes(32)).vkey
    assert forum("ledger", "verify", "--receipt", str(file), "--vkey", other).code == 1


def test_a_receipt_overwrites_nothing_and_leaves_no_half(tmp_path: Path, ledger: str) -> None:
    file = tmp_path / "receipt.jsonl"
    assert forum("ledger", "receipt", "99", "--output", str(file), "--ledger", ledger).code == 2
    assert not file.exists()
    file.write_text("mine", encoding="utf-8")
    assert forum("ledger", "receipt", "1", "--output", str(file), "--ledger", ledger).code == 2
    assert file.read_text(encoding="utf-8") == "mine"


def test_a_proof_of_an_entry_is_a_tlog_proof(ledger: str) -> None:
    proof = parse_inclusion(forum("ledger", "prove", "2", "--ledger", ledger).out)
    with Ledger.open(ledger, read_only=True) as record:
        leaf = bytes.fromhex(record.entry(2).leaf)
        head = parse(note.verify(proof.note, record.vkey).text)
    assert merkle.verify_inclusion(2, head.size, leaf, proof.hashes, head.root)


def test_growth_since_a_kept_checkpoint_is_proven_without_the_entries(tmp_path: Path, ledger: str) -> None:
    kept = forum("ledger", "checkpoint", "--ledger", ledger).out
    with Ledger.open(ledger) as record:
        for _ in range(5):
            record.append("note.made", actor="person:test")
        vkey = record.vkey
    growth = parse_growth(forum("ledger", "prove", "--since", kept, "--ledger", ledger).out)
    old, new = (parse(note.verify(text, vkey).text) for text in (kept, growth.note))
    assert growth.old_size == old.size < new.size
    assert merkle.verify_consistency(old.size, new.size, growth.hashes, old.root, new.root)
    other = tmp_path / "other.db"
    Ledger.open(other).close()
    assert forum("ledger", "prove", "--since", kept, "--ledger", str(other)).code == 2
    assert forum("ledger", "prove", "--ledger", ledger).code == 2
    assert forum("ledger", "prove", "1", "--since", kept, "--ledger", ledger).code == 2


def test_a_growth_proof_is_checked_offline_against_the_checkpoint_that_was_kept(tmp_path: Path, ledger: str) -> None:
    file, kept = tmp_path / "growth.txt", forum("ledger", "checkpoint", "--ledger", ledger).out
    with Ledger.open(ledger) as record:
        record.append("note.made", actor="person:test")
        vkey = record.vkey
    file.write_bytes(forum("ledger", "prove", "--since", kept, "--ledger", ledger).raw)
    Path(ledger).unlink()
    done = forum("ledger", "verify", "--growth", str(file), "--since", kept, "--vkey", vkey)
    assert done.code == 0
    assert done.out.startswith("clean: growth to ")
    assert "both are signed" in done.out
    changed = file.read_text(encoding="utf-8").replace("old ", "old 1", 1)
    file.write_text(changed, encoding="utf-8")
    found = forum("ledger", "verify", "--growth", str(file), "--since", kept, "--json")
    assert (found.code, codes(found.json())) == (1, ["size"])
    assert forum("ledger", "verify", "--growth", str(file)).code == 2
    assert forum("ledger", "verify", "--growth", str(file), "--receipt", str(file), "--since", kept).code == 2
    assert forum("ledger", "verify", "--growth", str(tmp_path / "nowhere"), "--since", kept).code == 3


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"t":"head"}\n', b"x" * 1000])
def test_what_is_no_receipt_is_a_finding_and_what_is_not_there_an_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "junk"
    file.write_bytes(content)
    assert forum("ledger", "verify", "--receipt", str(file)).code == 1
    assert forum("ledger", "verify", "--receipt", str(file), "--level", "4").code == 2
    assert forum("ledger", "verify", "--receipt", str(tmp_path / "nowhere")).code == 3
