"""A project file says what runs only when the user vouched for its very bytes."""

import logging
import os
from pathlib import Path
from typing import Final

import pytest

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.configs.paths import state_dir
from forum_mcp.errors import ConfigRefused
from tests.cli.commands import forum

TEXT: Final = """ledger = ".forum/ledger.db"
max_parallel = 2
[executors.agent]
type = "command"
argv = ["./agent"]
[limits]
calls = 3
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project file of the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".forum" / "config.toml"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def test_an_untrusted_file_is_heard_only_on_what_can_do_no_harm(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        settings = load()
    assert (settings.executors, settings.roles.worker, settings.limits.calls) == ({}, ["host"], 200)
    assert (settings.max_parallel, settings.ledger) == (2, str(project.parent / "ledger.db"))
    assert caplog.messages == [
        ".forum/config.toml is not trusted, so its executors, limits do not count; read it, then: forum-mcp trust"
    ]


def test_a_trusted_file_counts_in_full_and_its_paths_are_of_the_project(project: Path) -> None:
    done = forum("trust")
    assert done.code == 0
    assert "executor agent (command): " in done.out
    settings = load()
    assert settings.executors["agent"].argv == [str(project.parent.parent / "agent")]
    assert settings.limits.calls == 3


def test_a_change_asks_again_and_an_older_trust_does_not_come_back(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forum("trust")
    project.write_text(TEXT + "seconds = 5\n")
    assert load().executors == {}
    assert "has changed since it was trusted" in caplog.text
    project.write_text(TEXT)
    assert set(load().executors) == {"agent"}, "the same bytes are the same file"
    assert forum("trust", "--forget").out == ".forum/config.toml is no longer trusted\n"
    assert load().executors == {}


def test_the_same_text_elsewhere_is_not_trusted(project: Path, tmp_path: Path) -> None:
    forum("trust")
    other = tmp_path / "other" / ".forum"
    other.mkdir(parents=True)
    (other / "config.toml").write_text(project.read_text())
    assert load(cwd=tmp_path / "other").executors == {}


def test_naming_the_file_vouches_for_it(project: Path) -> None:
    assert set(load(Flags(config=str(project))).executors) == {"agent"}


def test_a_broken_file_is_not_trusted_and_none_at_all_is_said(project: Path) -> None:
    project.write_text("[executors.a]\ntype = 3")
    assert forum("trust").code == 2
    assert not (state_dir() / "trusted.json").exists()
    project.unlink()
    done = forum("trust")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "init --project" in done.err


def test_the_list_is_private_and_refused_when_others_may_write_it(project: Path) -> None:
    forum("trust")
    pins = state_dir() / "trusted.json"
    assert pins.stat().st_mode & 0o777 == 0o600
    assert pins.parent.stat().st_mode & 0o777 == 0o700
    pins.chmod(0o666)
    with pytest.raises(ConfigRefused, match="chmod o-w"):
        load()
    pins.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(pins, 12345, -1)
        with pytest.raises(ConfigRefused, match="uid 12345"):
            load()
    pins.unlink()
    pins.write_text("{")
    with pytest.raises(ConfigRefused, match="delete it and trust again"):
        load()


def test_custody_of_an_untrusted_file_does_not_count(project: Path) -> None:
    ledger = str(project.parent / "l.db")
    assert forum("submit", "write docs", "--cmd", "echo done", "--roles", "rules", "--ledger", ledger).code == 0
    project.write_text("[custody]\nkeep_days = 1\n")
    assert forum("ledger", "prune", "--ledger", ledger).code == 2
    forum("trust")
    assert forum("ledger", "prune", "--ledger", ledger).code == 0
