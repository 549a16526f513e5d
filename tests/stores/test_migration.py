"""Ledgers of every table version verify for ever, are read as they are, and are brought up to date when written to."""

import hashlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.errors import EntryRefused, LedgerUnreadable
from forum_mcp.stores.schema import USER_VERSION
from tests.stores.released import file_of

VERSIONS = range(1, USER_VERSION + 1)
OLD = range(1, USER_VERSION)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copyfile(file_of(1), tmp_path / "ledger.db"))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ledger_of_every_version_verifies_and_is_not_touched_by_it(version: int, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(file_of(version), tmp_path / "ledger.db"))
    assert version_of(path) == version
    kept = file_of(version).with_suffix(".checkpoint")
    before = digest(path)
    view = verify_path(path, 3, kept.read_text(encoding="utf-8") if kept.exists() else None)
    assert view.findings == []
    assert view.counts["bodies"] > 10
    assert any(line.startswith("tail: the first") for line in view.holds) == kept.exists()
    with Ledger.open(path, read_only=True) as ledger:
        assert ledger.store.read_only
        assert ledger.size == view.size
        assert ledger.entry(1).kind == "run.started"
        assert ledger.verify().clean
        assert [row.first_seq for row in ledger.store.runs(1000)]
        assert list(ledger.export())
    assert digest(path) == before


@pytest.mark.parametrize("version", OLD)
def test_an_old_ledger_opened_for_writing_is_brought_up_to_date_and_says_so_once(version: int, tmp_path: Path) -> None:
    path = Path(shutil.copyfile(file_of(version), tmp_path / "ledger.db"))
    with Ledger.open(path, read_only=True) as ledger:
        size, root = ledger.size, ledger.root()
        raws, bodies = list(ledger.store.raw_entries()), list(ledger.store.raw_bodies())
        runs = ledger.store.runs(1000)
    for _ in range(2):
        with Ledger.open(path) as ledger:
            assert not ledger.store.read_only
            assert ledger.size == size + 1
    assert version_of(path) == USER_VERSION
    with Ledger.open(path) as ledger:
        entry = ledger.entry(size)
        assert (entry.kind, entry.data) == ("ledger.migrated", {"before": version, "tables": USER_VERSION})
        assert ledger.root(size) == root
        assert list(ledger.store.raw_entries(0, size)) == raws
        assert list(ledger.store.raw_bodies()) == bodies
        assert ledger.store.runs(1000) == runs
        assert list(ledger.store.index_faults()) == []
        known = ledger.append("x.noted", actor="test", bodies={"b": bodies[0][3] or b""})
        assert known.seq == size + 1
        assert [each for each in ledger.verify().findings if each.code != "vkey"] == []


def test_a_migration_that_fails_leaves_the_file_as_it_was(old: Path) -> None:
    with pytest.raises(EntryRefused):
        Ledger.open(old, now_us=lambda: -1)
    assert version_of(old) == 1
    assert verify_path(old).clean
    with Ledger.open(old) as ledger:
        assert ledger.entry(ledger.size - 1).kind == "ledger.migrated"


@pytest.mark.parametrize(
    ("statement", "code", "seq"),
    [
        ("UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND idx = 2", "tree-node", 5),
        ("DELETE FROM nodes WHERE level = 1 AND idx = 2", "tree-node", 5),
        ("UPDATE entries SET leaf = zeroblob(32) WHERE seq = 100", "tree-node", 100),
        ("UPDATE entries SET run = 'x' WHERE seq = 5", "tree-node", 5),
        ("UPDATE entries SET kind = 'run.started' WHERE seq = 5", "tree-node", None),
        ("UPDATE bodies SET salt = zeroblob(32) WHERE id = 1", "body-mismatch", 1),
        ("DELETE FROM entries WHERE seq = 7", "seq", 8),
    ],
    ids=range(7),
)
def test_what_is_wrong_with_an_old_ledger_is_found_before_and_after(
    old: Path, statement: str, code: str, seq: int | None
) -> None:
    connection = sqlite3.connect(old)
    assert connection.execute(statement).rowcount == 1
    connection.commit()
    connection.close()
    assert (code, seq) in {(finding.code, finding.seq) for finding in verify_path(old).findings}
    Ledger.open(old).close()
    assert version_of(old) == USER_VERSION
    assert (code, seq) in {(finding.code, finding.seq) for finding in verify_path(old).findings}


def test_an_old_file_with_another_schema_is_refused_and_left_alone(old: Path) -> None:
    connection = sqlite3.connect(old)
    connection.execute("CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END")
    connection.close()
    before = digest(old)
    for read_only in (True, False):
        with pytest.raises(LedgerUnreadable, match="'t'"):
            Ledger.open(old, read_only=read_only)
    assert [finding.code for finding in verify_path(old).findings] == ["unreadable"]
    assert digest(old) == before
