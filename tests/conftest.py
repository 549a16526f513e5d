"""What every test stands on: a home of its own, no settings from outside, no network but this machine.

``--rounds N`` is how often a test repeats what depends on chance (CI runs few, a full run is reported), and has the
tests that sample bytes try all of them.
"""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

LOCAL = ("127.0.0.1", "::1", "localhost")


def pytest_configure() -> None:
    """Heed signals that a shell has its background jobs ignore: children would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32":
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=None, help="how often chance is tried; all bytes (default: a few)")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int | None:
    """The number asked for, or None: a few, or a sample."""
    value: int | None = request.config.getoption("--rounds")
    return value


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State and configuration of this test alone, for this process and every child of it."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("FORUM_") and not name.startswith("FORUM_TEST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return home


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves the machine, unless a test names the user's own model."""
    if "FORUM_TEST_CHAT_URL" in os.environ:
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and isinstance(address, tuple):
            assert address[0] in LOCAL, f"a test tried to reach {address[0]}"
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)
