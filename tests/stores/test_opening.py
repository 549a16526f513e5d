"""Opening a ledger: what is made, what is refused, and what is left alone."""

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from forum_mcp.engine.ledger import Ledger, verify_path
from forum_mcp.errors import LedgerMissing, LedgerReadOnly, LedgerUnreadable
from forum_mcp.stores.files import network_file_system


def listing(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def made(path: Path) -> Path:
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test", bodies={"b": "text"})
    return path


def test_a_missing_ledger_is_an_error_and_nothing_is_created(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "ledger.db"
    with pytest.raises(LedgerMissing):
        Ledger.open(path, create=False)
    with pytest.raises(LedgerMissing):
        Ledger.open(path, read_only=True)
    for level in (1, 4):
        with pytest.raises(LedgerMissing):
            verify_path(path, level)
    assert listing(tmp_path) == []


def test_a_new_ledger_is_private_and_its_key_too(tmp_path: Path) -> None:
    path = made(tmp_path / "state" / "forum" / "ledger.db")
    for directory in (path.parent, path.parent.parent, path.parent / "keys"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    with Ledger.open(path) as ledger:
        ledger.append("x.noted", actor="test")
        files = [file for file in path.parent.rglob("*") if file.is_file()]
        assert len(files) == 4, "ledger, WAL, shared memory, key"
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_an_open_mask_does_not_open_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = made(tmp_path / "state" / "ledger.db")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.rglob("*") if file.is_file()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    made(tmp_path / "ledger.db")
    assert [name for name in listing(tmp_path) if not name.startswith("keys")] == ["ledger.db"]


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00", b"\x00" * 200])
def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(LedgerUnreadable, match="not a ledger"):
            Ledger.open(path, read_only=read_only)
    view = verify_path(path)
    assert [finding.code for finding in view.findings][:1] == ["unreadable"]
    assert path.read_bytes() == content
    assert listing(tmp_path) == ["notes.txt"]


def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, raw BLOB)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerUnreadable, match="application id"):
        Ledger.open(path)
    assert not verify_path(path).clean
    assert path.read_bytes() == before


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnreadable):
        Ledger.open(tmp_path)
    with pytest.raises(LedgerUnreadable):
        verify_path(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LedgerUnreadable, match="not a file"):
        Ledger.open(tmp_path / "pipe")


def test_nothing_is_appended_to_a_file_that_lost_its_name(tmp_path: Path) -> None:
    path, other = made(tmp_path / "a" / "ledger.db"), made(tmp_path / "b" / "ledger.db")
    with Ledger.open(path) as ledger:
        other.replace(path)
        with pytest.raises(LedgerReadOnly, match="another put in its place"):
            ledger.append("x.noted", actor="test")
        path.unlink()
        with pytest.raises(LedgerReadOnly, match="removed"):
            ledger.append("x.noted", actor="test")


def test_the_state_directory_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORUM_STATE_DIR", str(tmp_path / "state"))
    with Ledger.open() as ledger:
        assert ledger.store.path == tmp_path / "state" / "ledger.db"
    assert (tmp_path / "state" / "keys" / f"{ledger.ledger_id}.key").exists()


def test_a_ledger_that_cannot_be_made_leaves_the_key_of_another_alone(tmp_path: Path) -> None:
    def always(count: int) -> bytes:
        return b"1" * count

    with Ledger.open(tmp_path / "one.db", entropy=always) as one:
        with pytest.raises(LedgerUnreadable, match="key"):
            Ledger.open(tmp_path / "two.db", entropy=always)
        assert one.checkpoint()
    kept = ["keys", f"keys/{'31' * 16}.key", f"keys/{'31' * 16}.signed", "one.db"]
    assert sorted(listing(tmp_path)) == kept


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerUnreadable):
        Ledger.open(tmp_path / "file" / "ledger.db")


def test_a_view_where_a_table_belongs_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "ledger.db")
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE leases RENAME TO hidden")
    connection.execute("CREATE VIEW leases AS SELECT run, holder, fence, expires_us FROM hidden")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerUnreadable, match="leases"):
        Ledger.open(path)
    assert [finding.code for finding in verify_path(path).findings] == ["unreadable"]


def test_a_newer_version_is_read_and_not_written(tmp_path: Path) -> None:
    path = made(tmp_path / "ledger.db")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 3")
    connection.close()
    with Ledger.open(path) as ledger:
        assert ledger.store.read_only
        assert ledger.size == 2
        with pytest.raises(LedgerReadOnly):
            ledger.append("x.noted", actor="test")


def test_read_only_reads_while_another_appends(tmp_path: Path) -> None:
    path = made(tmp_path / "ledger.db")
    with Ledger.open(path) as writer, Ledger.open(path, read_only=True) as reader:
        token = reader.store.change_token()
        for size in range(3, 10):
            writer.append("x.noted", actor="test")
            assert reader.size == size
        assert reader.store.change_token() != token
        assert reader.verify().clean
        with pytest.raises(LedgerReadOnly):
            reader.append("x.noted", actor="test")


def test_a_snapshot_does_not_see_what_others_commit_meanwhile(tmp_path: Path) -> None:
    path = made(tmp_path / "ledger.db")
    with Ledger.open(path) as one, Ledger.open(path) as other:
        with one.store.snapshot():
            other.append("x.noted", actor="test")
            assert one.size == 2
        assert one.size == 3


def test_a_foreign_commit_changes_the_token_of_a_writer(tmp_path: Path) -> None:
    path = made(tmp_path / "ledger.db")
    with Ledger.open(path) as one, Ledger.open(path) as other:
        token = one.store.change_token()
        other.append("x.noted", actor="test")
        moved = one.store.change_token()
        assert moved != token
        other.append("x.noted", actor="test")
        one.append("x.noted", actor="test")
        assert one.store.change_token() != moved, "a foreign commit just before an own one is still told"


READER = """
import os, sys
from pathlib import Path
from forum_mcp.engine.ledger import Ledger, verify_path
path, other = Path(sys.argv[1]), Path(sys.argv[2])
with Ledger.open(other) as ledger:  # loads what is loaded late, while the library can be read for sure
    ledger.entry(1)
verify_path(other)
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
assert not os.access(path.parent, os.W_OK), "the test needs a directory it cannot write"
with Ledger.open(path) as ledger:
    assert ledger.store.read_only
    assert ledger.size == 2
    assert ledger.entry(1).bodies["b"]["text"] == "text"
assert verify_path(path).clean
print("read")
"""


def test_a_ledger_in_a_directory_without_write_permission_is_read() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = made(Path(directory) / "shelf" / "ledger.db")
        other = made(Path(directory) / "other" / "ledger.db")
        Path(directory).chmod(0o755)
        path.chmod(0o444)
        path.parent.chmod(0o555)
        try:
            done = subprocess.run(
                [sys.executable, "-c", READER, str(path), str(other)],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            path.parent.chmod(0o700)
        assert (done.stdout, done.stderr) == ("read\n", "")
        assert listing(path.parent)[-1] == "ledger.db"


@pytest.mark.parametrize("name", ["a b.db", "q?mode=memory.db", "h#x.db", "per%20cent.db", "ü漢.db", "-dash.db"])
def test_a_name_with_special_characters_is_that_file(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / name)
    assert name in listing(tmp_path)
    with Ledger.open(path, create=False) as ledger:
        assert ledger.size == 2


def test_a_link_to_a_ledger_shares_its_wal_and_its_key(tmp_path: Path) -> None:
    path = made(tmp_path / "real" / "ledger.db")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with Ledger.open(path) as one, Ledger.open(link) as other:
        other.append("x.noted", actor="test")
        assert one.size == other.size == 3
        assert one.checkpoint() == other.checkpoint()
    assert "link.db-wal" not in listing(tmp_path)


def test_a_head_that_disagrees_with_its_tree_is_refused_by_name(tmp_path: Path) -> None:
    for number, (statement, word) in enumerate(
        (
            ("UPDATE entries SET tree = substr(tree, 1, 32)", "1/0"),
            ("UPDATE entries SET tree = CAST(substr(tree, 1, 32) || zeroblob(32) AS BLOB) WHERE seq = 1", "1/0"),
            ("UPDATE entries SET tree = zeroblob(64) WHERE seq = 1", "entry 1"),
            ("UPDATE entries SET raw = 'x' || raw WHERE seq = 1", "entry 1"),
            ("UPDATE entries SET tree = zeroblob(32) WHERE seq = 0", "entry 0"),
            ("DELETE FROM entries", "no entry"),
            ("DELETE FROM meta WHERE name = 'ledger'", "'ledger'"),
            ("UPDATE entries SET tree = CAST(tree || zeroblob(32) AS BLOB) WHERE seq = 1", "as many"),
        )
    ):
        path = made(tmp_path / str(number) / "ledger.db")
        connection = sqlite3.connect(path)
        connection.execute(statement.replace("'x' || raw", "CAST('x' || raw AS BLOB)"))
        connection.commit()
        connection.close()
        with pytest.raises(LedgerUnreadable, match=word):
            Ledger.open(path)
        assert not verify_path(path).clean, statement


def test_a_network_file_system_is_known_by_the_deepest_mount() -> None:
    mounts = (
        "/dev/vda / ext4 rw 0 0\nserver:/x /net nfs4 rw 0 0\ntmpfs /net/local tmpfs rw 0 0\n"
        "a@b: /mnt/with\\040space fuse.sshfs rw 0 0\nold /over ext4 rw 0 0\nnew /over cifs rw 0 0\nbroken\n"
    )
    for path, kind in (
        ("/var/ledger.db", None),
        ("/net/me/ledger.db", "nfs4"),
        ("/net/local/ledger.db", None),
        ("/nets/ledger.db", None),
        ("/mnt/with space/ledger.db", "fuse.sshfs"),
        ("/over/ledger.db", "cifs"),
    ):
        assert network_file_system(Path(path), mounts) == kind
