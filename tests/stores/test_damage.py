"""A ledger changed behind our back: verify says what, where, and what it cannot know."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.stores.bodies import pack, unpack

RUN = "7e" * 16


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, str]:
    """A ledger of 40 entries, and a checkpoint of it that somebody kept."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        ledger.append("run.started", actor="person:test", bodies={"request": "do it"}, run=RUN)
        for n in range(37):
            ledger.append("x.noted", actor="test", data={"n": n}, bodies={"b": f"word {n} " * 60}, parents=[n], run=RUN)
        ledger.record_checkpoint()
        return path, ledger.checkpoint()


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        assert connection.execute(statement).rowcount > 0
    connection.commit()
    connection.close()


def codes(path: Path, level: int = 3, checkpoint: str | None = None) -> set[str]:
    return {finding.code for finding in verify_path(path, level, checkpoint).findings}


def test_a_dropped_tail_is_found_from_a_kept_checkpoint_and_said_unprotected_without(kept: tuple[Path, str]) -> None:
    path, checkpoint = kept
    change(path, "DELETE FROM entries WHERE seq >= 32", "DELETE FROM marks WHERE seq >= 32")
    change(path, "DELETE FROM bodies WHERE id >= 32")
    without = verify_path(path)
    assert without.clean
    assert any("tail: not protected" in line for line in without.not_protected)
    view = verify_path(path, 3, checkpoint)
    assert [finding.code for finding in view.findings] == ["checkpoint-beyond-tail"]
    assert "40 entries" in view.findings[0].expected
    assert view.findings[0].found == "32 entries"
    with Ledger.open(path) as ledger:
        assert not ledger.verify(3, checkpoint).clean


def test_an_older_copy_restored_is_found_from_a_kept_checkpoint_and_said_unprotected_without(tmp_path: Path) -> None:
    path, copy = tmp_path / "ledger.db", tmp_path / "copy.db"
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test", data={"n": 1})
    shutil.copy(path, copy)
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test", data={"n": 2})
        checkpoint = ledger.checkpoint()
    shutil.copy(copy, path)
    assert verify_path(path).clean
    assert codes(path, 3, checkpoint) == {"checkpoint-beyond-tail"}
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test", data={"n": 3})
        assert any("tail: not protected" in line for line in ledger.verify().not_protected)
        view = ledger.verify(3, checkpoint)
    assert {finding.code for finding in view.findings} == {"checkpoint-root"}


def test_a_changed_body_leaves_the_chain_clean_and_is_named_with_its_entry(kept: tuple[Path, str]) -> None:
    path, _ = kept
    change(
        path,
        "UPDATE bodies SET codec = 0, data = CAST(replace(hex(zeroblob(5)), '00', 'x') AS BLOB), size = 5 WHERE id = 8",
    )
    assert verify_path(path, 1).clean
    view = verify_path(path, 2)
    assert "body-mismatch" in {finding.code for finding in view.findings}
    named = next(finding for finding in view.findings if finding.code == "body-mismatch")
    assert named.seq == 8
    with Ledger.open(path) as ledger:
        assert named.body == ledger.entry(8).bodies["b"]["commit"]


@pytest.mark.parametrize(
    ("statement", "code", "seq"),
    [
        ("DELETE FROM entries WHERE seq = 7", "seq", 8),
        ("DELETE FROM bodies WHERE id = 5", "body-missing", 5),
        ('UPDATE bodies SET "key" = zeroblob(16) WHERE id = 5', "body-ref", None),
        (
            "UPDATE entries SET raw = CAST(replace(CAST(raw AS TEXT), '\"n\":3', '\"n\":4') AS BLOB) WHERE seq = 5",
            "prev",
            6,
        ),
        ("UPDATE entries SET raw = CAST(' ' || CAST(raw AS TEXT) AS BLOB) WHERE seq = 5", "not-canonical", 5),
        ("UPDATE entries SET raw = x'ff' WHERE seq = 5", "unreadable", 5),
        ("UPDATE entries SET raw = x'' WHERE seq = 5", "unreadable", 5),
        ("UPDATE entries SET run = NULL WHERE seq = 5", "tree-node", 5),
        ("INSERT INTO marks VALUES ('run.started', 5)", "tree-node", None),
        ("INSERT INTO marks VALUES ('run.started', 0)", "tree-node", 1),
        ("INSERT INTO marks VALUES ('x.noted', 5)", "tree-node", None),
        ("DELETE FROM marks WHERE kind = 'checkpoint.signed'", "tree-node", 39),
        ("UPDATE marks SET seq = 4 WHERE kind = 'run.started'", "tree-node", 1),
        ("UPDATE entries SET tree = zeroblob(64) WHERE seq = 5", "tree-node", 5),
        ("UPDATE entries SET tree = substr(tree, 1, 32) WHERE seq = 5", "tree-node", 5),
        ("UPDATE entries SET tree = CAST(tree || zeroblob(32) AS BLOB) WHERE seq = 5", "tree-node", 5),
        ("UPDATE bodies SET salt = zeroblob(32) WHERE id = 5", "body-mismatch", 5),
        ("UPDATE bodies SET type = 'text/html' WHERE id = 5", "body-mismatch", 5),
        ("UPDATE bodies SET size = size + 1 WHERE id = 5", "body-mismatch", 5),
        ("UPDATE bodies SET data = zeroblob(20) WHERE id = 5", "body-mismatch", 5),
        ("UPDATE meta SET value = zeroblob(32) WHERE name = 'index_key'", "body-ref", None),
        (
            "UPDATE meta SET value = CAST('00000000000000000000000000000000' AS BLOB) WHERE name = 'ledger'",
            "other-ledger",
            0,
        ),
    ],
    ids=range(22),
)
def test_each_change_is_found_at_its_place(kept: tuple[Path, str], statement: str, code: str, seq: int | None) -> None:
    path, _ = kept
    change(path, statement)
    found = verify_path(path).findings
    assert (code, seq) in {(finding.code, finding.seq) for finding in found}, found


@pytest.mark.parametrize(
    ("index", "wrong", "right", "code"),
    [
        ("entries_run", "UPDATE entries SET run = zeroblob(16) WHERE seq = 5", "entries", "tree-node"),
        ("entries_run", "UPDATE entries SET run = NULL WHERE seq = 5", "entries", "tree-node"),
        ("bodies_commit", 'UPDATE bodies SET "commit" = zeroblob(32) WHERE id = 5', "bodies", "body-ref"),
        ("bodies_key", 'UPDATE bodies SET "key" = zeroblob(16) WHERE id = 5', "bodies", "body-ref"),
    ],
    ids=range(4),
)
def test_an_index_that_leads_elsewhere_than_its_table_is_found(
    kept: tuple[Path, str], index: str, wrong: str, right: str, code: str
) -> None:
    path, _ = kept
    connection = sqlite3.connect(path)
    row = connection.execute(f"SELECT * FROM {right} LIMIT -1 OFFSET 0").fetchall()
    columns = [each[1] for each in connection.execute(f"PRAGMA table_info({right})")]
    connection.execute(wrong)
    definition = connection.execute("SELECT * FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("DELETE FROM sqlite_schema WHERE name = ?", (index,))
    connection.commit()
    connection.close()
    connection = sqlite3.connect(path)
    names, places = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    connection.executemany(f"INSERT OR REPLACE INTO {right} ({names}) VALUES ({places})", row)
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", definition)
    connection.commit()
    connection.close()
    found = verify_path(path).findings
    assert code in {finding.code for finding in found}, found
    assert any(index in finding.found for finding in found), found


MANGLED: list[Callable[[bytes], bytes]] = [
    lambda data: data[: len(data) // 2],
    lambda data: data[:4096],
    lambda data: data[:100],
    lambda data: data[:10],
    lambda data: b"",
    lambda data: b"x" * 100 + data[100:],
    lambda data: data[:100] + b"\xff" * (len(data) - 100),
    lambda data: data[:8192] + bytes(len(data) - 8192),
    lambda data: data[:-1],
    lambda data: data + b"more",
]


@pytest.mark.parametrize("damage", MANGLED, ids=range(len(MANGLED)))
def test_a_mangled_file_is_a_list_of_findings_and_never_an_exception(
    kept: tuple[Path, str], damage: Callable[[bytes], bytes]
) -> None:
    path, checkpoint = kept
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    view = verify_path(path, 3, checkpoint)
    assert view.findings_total == len(view.findings) or view.findings_total > 200
    if len(damage(whole)) < len(whole):
        assert not view.clean


def test_a_body_that_claims_little_and_unpacks_to_much_is_stopped_at_its_claim() -> None:
    codec, bomb = pack(bytes(50_000_000))
    assert len(bomb) < 10_000
    assert unpack(codec, 1000, bomb) is None
    assert unpack(codec, 50_000_000, bomb) == bytes(50_000_000)
    assert unpack(codec, 2**40, bomb) is None
    assert unpack(codec, -1, bomb) is None
    assert unpack(codec, 50_000_000, bomb + b"x") is None
    assert unpack(codec, 50_000_000, bomb[:-1]) is None
    assert unpack(7, 5, b"plain") is None
    # A frame that declares 2^50 bytes: believing it would ask the system for them.
    assert unpack(codec, 1000, bytes.fromhex("28b52ffde0") + (2**50).to_bytes(8, "little") + bytes(8)) is None


def test_verifying_writes_nothing_into_the_ledger_file(kept: tuple[Path, str]) -> None:
    path, checkpoint = kept
    before = path.read_bytes()
    assert verify_path(path, 3, checkpoint).clean
    assert path.read_bytes() == before
