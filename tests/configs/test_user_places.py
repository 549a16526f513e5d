"""The user's own directories: our short cut for Linux says what ``platformdirs`` says."""

from pathlib import Path

import platformdirs
import pytest

from forum_mcp.configs.paths import state_dir, user_file

HOMES = [
    {"HOME": "/home/me"},
    {"HOME": "/home/me/", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""},
    {"HOME": "/home/me", "XDG_CONFIG_HOME": "/etc/me", "XDG_STATE_HOME": "/var/me"},
    {"HOME": "/home/me", "XDG_CONFIG_HOME": "relative", "XDG_STATE_HOME": "~/state"},
    {"XDG_CONFIG_HOME": "/etc/me/", "XDG_STATE_HOME": "/var/me/../you"},
    {},
]


@pytest.mark.parametrize("environ", HOMES, ids=str)
def test_the_users_directories_are_those_of_platformdirs(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "FORUM_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert user_file() == Path(platformdirs.user_config_path("forum-mcp", appauthor=False), "config.toml")
    assert state_dir() == platformdirs.user_state_path("forum-mcp", appauthor=False)
