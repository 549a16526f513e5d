"""The owner's commands as a person types them."""

import json
import random
import sqlite3
from pathlib import Path

import pytest

from forum_mcp.configs.custody import CustodySettings, find_custody
from forum_mcp.engine.custody import growth
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.redaction import redact_commit
from forum_mcp.errors import ConfigRefused
from forum_mcp.ledger import note
from tests.cli.commands import forum
from tests.standalone.pair import agreed, lines_of

RUN = "4d" * 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        ledger.append("run.started", actor="person:test", bodies={"request": "do it"}, run=RUN)
        ledger.append("run.finished", actor="engine", data={"state": "succeeded"}, run=RUN)
    return path


def test_the_key_is_shown_and_rotated(path: Path) -> None:
    shown = forum("ledger", "key", "show", "--ledger", str(path))
    assert shown.code == 0
    rotated = forum("ledger", "key", "rotate", "--ledger", str(path), "--json").json()
    assert rotated["vkey"] != shown.out.strip()
    assert rotated["signs"] is True
    assert forum("ledger", "verify", "--ledger", str(path)).code == 0


def test_an_export_without_bodies_still_carries_what_vouches_for_a_rotated_key(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "bare.jsonl"
    for _ in range(2):
        assert forum("ledger", "key", "rotate", "--ledger", str(path)).code == 0
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test")
    assert forum("ledger", "export", "--without-bodies", str(file), "--ledger", str(path)).code == 0
    done = forum("ledger", "verify", "--ledger", str(file), "--json")
    assert (done.code, done.json()["findings"]) == (0, [])
    assert agreed(lines_of(file.read_bytes())) == set()
    assert b'"t":"body"' not in file.read_bytes()


def test_a_rollback_is_met_and_accepted_on_the_command_line(path: Path) -> None:
    older = path.read_bytes()
    assert forum("ledger", "checkpoint", "--record", "--ledger", str(path)).code == 0
    with Ledger.open(path) as ledger:
        assert ledger.show().entries[-1].kind == "checkpoint.signed"
        ledger.checkpoint()
    path.write_bytes(older)
    refused = forum("ledger", "checkpoint", "--ledger", str(path))
    assert refused.code == 3
    assert "accept-rollback" in refused.err
    found = forum("ledger", "verify", "--ledger", str(path))
    assert found.code == 1
    assert "checkpoint-beyond-tail" in found.out
    assert forum("ledger", "accept-rollback", "--reason", "a test", "--ledger", str(path)).code == 0
    assert forum("ledger", "verify", "--ledger", str(path)).code == 0
    assert forum("ledger", "accept-rollback", "--reason", "again", "--ledger", str(path)).code == 2


def test_redaction_is_a_dry_run_until_it_is_meant(path: Path) -> None:
    dry = forum("ledger", "redact", "--run", RUN, "--reason", "asked", "--ledger", str(path))
    assert "would redact 1 bodies of 5 bytes" in dry.out
    assert "--yes" in dry.err
    done = forum("ledger", "redact", "--run", RUN, "--reason", "asked", "--yes", "--ledger", str(path), "--json").json()
    assert done["done"] is True
    assert len(done["entries"]) == 1  # type: ignore[arg-type]
    assert forum("ledger", "verify", "--ledger", str(path)).code == 0
    assert forum("ledger", "redact", "--reason", "asked", "--ledger", str(path)).code == 2
    shown = json.loads(forum("ledger", "show", "--bodies", "--json", "--ledger", str(path)).raw)
    assert shown["entries"][1]["bodies"]["request"]["state"] == "redacted"


def test_pruning_takes_its_age_from_the_command_or_the_configuration(path: Path, tmp_path: Path) -> None:
    assert forum("ledger", "prune", "--ledger", str(path), cwd=tmp_path).code == 2
    for bad in ("soon", "90", "-3d", "9" * 40 + "d"):
        code = forum("ledger", "prune", "--older-than", bad, "--ledger", str(path)).code
        assert code == (0 if bad == "90" else 2)
    (tmp_path / "forum.toml").write_text("[custody]\nkeep_days = 30\n")
    kept = forum("--config", "forum.toml", "ledger", "prune", "--ledger", str(path), cwd=tmp_path)
    assert "would redact 0 bodies" in kept.out
    now = forum("ledger", "prune", "--older-than", "2999-01-01", "--ledger", str(path))
    assert "would redact 1 bodies" in now.out


def test_a_backup_is_restored_by_command(path: Path, tmp_path: Path) -> None:
    copy, again = tmp_path / "copy.db", tmp_path / "new" / "ledger.db"
    assert forum("ledger", "backup", str(copy), "--ledger", str(path)).code == 0
    assert forum("ledger", "backup", str(copy), "--ledger", str(path)).code == 2
    again.parent.mkdir()
    restored = forum("ledger", "restore", str(copy), "--to", str(again))
    assert "restored 3 entries" in restored.out
    assert forum("ledger", "verify", "--ledger", str(again)).code == 0


def test_a_checkpoint_is_anchored_by_command_and_nobody_has_cosigned(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    assert forum("ledger", "anchor", "--file", str(kept), "--ledger", str(path)).code == 0
    assert forum("ledger", "verify", "--since", str(kept), "--ledger", str(path)).code == 0
    assert forum("ledger", "anchor", "--ledger", str(path)).code == 2
    assert forum("ledger", "cosign", str(kept), "--ledger", str(path)).code == 2
    assert forum("ledger", "cosign", str(tmp_path / "none"), "--ledger", str(path)).code == 2
    assert forum("ledger", "witnesses", "--ledger", str(path)).err.startswith("no checkpoint")


def test_since_tells_a_dropped_tail_a_rewrite_another_ledger_and_another_key_apart(path: Path, tmp_path: Path) -> None:
    def found(kept: str) -> list[tuple[str, str, str]]:
        (tmp_path / "kept").write_text(kept)
        view = forum("ledger", "verify", "--since", str(tmp_path / "kept"), "--json", "--ledger", str(path)).json()
        return [(each["code"], each["expected"], each["found"]) for each in view["findings"]]  # type: ignore[attr-defined]

    older = path.read_bytes()
    with Ledger.open(path) as ledger, Ledger.open(tmp_path / "other.db") as other:
        text, foreign = ledger.checkpoint(), other.checkpoint()
        ledger.append("x.noted", actor="test")
        newer = ledger.checkpoint()
        forged = note.Signer(f"forum-mcp.local/{ledger.ledger_id}", b"f" * 32)
    assert found(text) == []
    assert found(foreign)[0][0] == "checkpoint-origin"
    assert found(note.sign(note.parse(text).text, forged))[0][0] == "checkpoint-signature"
    memory = next((tmp_path / "keys").glob(f"{text.split('/')[1][:32]}.signed"))
    memory.unlink()
    path.write_bytes(older)
    assert found(newer) == [("checkpoint-beyond-tail", "4 entries, as a kept checkpoint says", "3 entries")]
    memory.unlink()
    with Ledger.open(path) as ledger:
        ledger.append("x.other", actor="test")
    (code, expected, what) = found(newer)[0]
    assert code == "checkpoint-root"
    assert expected.startswith("root ")
    assert "first 4 entries" in expected
    assert what.startswith("root ")
    assert found("shopping list")[0][0] == "checkpoint-format"


def test_the_table_custody_is_read_by_itself(tmp_path: Path) -> None:
    assert find_custody(None, cwd=tmp_path) == CustodySettings()
    file = tmp_path / "forum.toml"
    file.write_text('[custody]\ncheckpoint_every = 10\nwitnesses = ["a+b+c"]\nwarn_mb = 1\n')
    assert find_custody(str(file), cwd=tmp_path) == CustodySettings(10, ["a+b+c"], None, 1)
    for bad in ("keep_days = -1", "keep_days = true", 'warn_mb = "1"', "witnesses = [1]", "keep = 1"):
        file.write_text(f"[custody]\n{bad}\n")
        with pytest.raises(ConfigRefused, match=r"custody\..* in .*forum.toml line 2 is "):
            find_custody(str(file), cwd=tmp_path)


def test_a_ledger_that_grew_past_the_limit_is_spoken_of(path: Path) -> None:
    with Ledger.open(path) as ledger:
        assert growth(ledger, 1) is None
        ledger.append("x.noted", actor="test", bodies={"b": random.Random(1).randbytes(2_000_000)})
        assert "grown to 2 MB" in str(growth(ledger, 1))
        assert growth(ledger, 0) is None
    with Ledger.open(":memory:") as ledger:
        assert growth(ledger, 1) is None


def test_the_four_states_of_a_body_are_told_apart_on_the_command_line(path: Path) -> None:
    with Ledger.open(path) as ledger:
        commits = [
            str(ledger.append("x.noted", actor="t", bodies={"b": f"word {n}"}).bodies["b"]["commit"]) for n in range(4)
        ]
        redact_commit(ledger, commits[1], "asked", yes=True)
    with sqlite3.connect(path) as connection:
        connection.execute('DELETE FROM bodies WHERE "commit" = ?', (bytes.fromhex(commits[2]),))
        connection.execute('UPDATE bodies SET data = ? WHERE "commit" = ?', (b"w0rd 3", bytes.fromhex(commits[3])))
    connection.close()
    shown = forum("ledger", "show", "--kind", "x.noted", "--bodies", "--ledger", str(path)).out.splitlines()[1::2]
    assert [line.partition("b: ")[2] for line in shown] == [
        "word 0",
        "(redacted by entry 7)",
        "(not here, and no entry says why)",
        "(not what its commitment promises) w0rd 3",
    ]
