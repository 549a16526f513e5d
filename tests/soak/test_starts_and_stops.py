"""Servers started and ended over and over, in every way a client can end them; none stays, nor does any child.

How long each took to end is printed (``-s``): the promise is two seconds, the bound here only tells a hang from that.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.ledger import Ledger
from tests.server.conftest import SERVE, Process

HANG_S: Final = 30.0
ROUNDS: Final = 25
WRAPPER: Final = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
print(child.pid, file=sys.stderr, flush=True)
child.wait()
"""


class Wrapped(Process):
    """A server under a wrapper that holds nothing back and passes nothing on."""

    def __init__(self, settings: Settings) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", WRAPPER, SERVE, settings.model_dump_json(exclude_unset=True)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self.stdin, self.stdout = self.popen.stdin, self.popen.stdout
        self.pid = int(self.popen.stderr.readline())


def end_of(server: Process) -> None:
    """Wait until the process that serves has ended."""
    server.popen.wait(HANG_S)
    if isinstance(server, Wrapped):
        wait_gone(server.pid)


def wait_gone(pid: int) -> None:
    deadline = time.monotonic() + HANG_S
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} stays"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def kill_wrapper(server: Process) -> None:
    server.popen.kill()


WAYS: Final[dict[str, Callable[[Process], object]]] = {
    "stdin ends": lambda server: server.stdin.close(),
    "SIGINT": lambda server: server.popen.send_signal(signal.SIGINT),
    "SIGTERM": lambda server: server.popen.send_signal(signal.SIGTERM),
    "stdout closed": lambda server: server.stdout.close(),
    "parent killed": kill_wrapper,
}


def settings_of(path: Path) -> Settings:
    """A team whose one task tells its pid and sleeps."""
    command = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    argv = [sys.executable, "-c", command, str(path / "pid")]
    return Settings(
        ledger=str(path / "ledger.db"),
        executors={"team": ExecutorSettings(type="command", argv=argv)},
        roles=RoleSettings(worker=["team"]),
    )


def child_of(path: Path) -> int:
    deadline = time.monotonic() + HANG_S
    while not ((path / "pid").exists() and (path / "pid").read_text()):
        assert time.monotonic() < deadline, "the child never ran"
        time.sleep(0.01)
    return int((path / "pid").read_text())


def test_no_server_and_no_child_outlives_its_client(tmp_path: Path, rounds: int | None) -> None:
    took: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(rounds or ROUNDS):
        way = list(WAYS)[number % len(WAYS)]
        busy = number // len(WAYS) % 2 == 1
        where = tmp_path / str(number)
        where.mkdir()
        settings = settings_of(where)
        server = Wrapped(settings) if way == "parent killed" else Process(settings)
        try:
            child: int | None = None
            if busy:
                arguments = {"request": "poem", "single": True, "wait_s": 0}
                server.ask(1, "tools/call", name="submit", arguments=arguments)
                child = child_of(where)
            else:
                server.ask(1, "tools/call", name="run", arguments={})
            began = time.monotonic()
            WAYS[way](server)
            end_of(server)
            took[way].append(time.monotonic() - began)
        finally:
            server.close()
        assert child is None or not is_alive(child)
        with Ledger.open(where / "ledger.db", create=False) as ledger:
            assert ledger.verify(level=4).findings == []
            kinds = [entry.kind for entry in ledger.show(limit=200).entries]
            assert ("run.interrupted" in kinds) == busy
    worst = {way: round(max(times), 2) for way, times in took.items()}
    print(json.dumps({"rounds": sum(map(len, took.values())), "slowest_s": worst, "load": os.getloadavg()[0]}))
