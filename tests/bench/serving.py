"""Our server beside a bare one of the SDK, and beside the peer's: ``python -m tests.bench.serving``.

The bare server has one tool, ``route``, that answers a constant; the peer's, ``forum-engine``, is written without the
SDK and speaks the handshake era only, so ours does too beside it. All are started in turns as processes and asked over
stdio: time from the start to the first answer, time (the median of a round) and processor time of a ``route`` call,
memory after the calls. Each is the least of several rounds; processor time hardly depends on what else the machine
does.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.bench.peer import missing, peer_version

__all__ = ["LIMITS", "Subject", "beside_bare", "beside_peer", "main", "measure"]

ROUNDS: Final = 7
CALLS: Final = 300
LIMITS: Final = {"start to first answer": 1.15, "route over stdio": 1.3, "memory": 1.3}
"""What the issue asks for, as ratios to the bare server."""

BARE: Final = """
from mcp.server import MCPServer
server = MCPServer("bare", version="1", log_level="WARNING")
@server.tool()
def route(request: str) -> dict[str, str]:
    return {"lane": "general"}
server.run()
"""
META: Final[dict[str, Any]] = {
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
}
HANDSHAKE: Final[dict[str, Any]] = {
    "protocolVersion": "2024-11-05",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
REQUEST: Final = "write a database schema"


class Subject(NamedTuple):
    """A server that is measured.

    Attributes:
        words: its command; ``{where}`` is a directory of its own.
        modern: whether it is asked in the 2026-07-28 revision, else in the handshake era.
        argument: what its tool ``route`` calls the request.
    """

    words: tuple[str, ...]
    modern: bool = True
    argument: str = "request"


BARE_SERVER: Final = Subject((sys.executable, "-c", BARE))
OURS: Final = Subject((sys.executable, "-m", "forum_mcp.cli"))
PEER: Final = Subject((sys.executable, "-m", "forum", "mcp", "--ledger", "{where}/peer"), modern=False, argument="text")


class _Server:
    """A server process and what it has cost so far."""

    def __init__(self, subject: Subject, where: str) -> None:
        self._subject = subject
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            [word.replace("{where}", where) for word in subject.words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPYCACHEPREFIX": f"{where}/cache", "FORUM_LEDGER": f"{where}/ledger.db"},
        )

    def greet(self) -> None:
        """Ask the first question of the era, and wait for its answer."""
        if self._subject.modern:
            self._ask("server/discover")
            return
        self._ask("initialize", **HANDSHAKE)
        self._send({"method": "notifications/initialized"})

    def route(self) -> None:
        """Call the tool ``route``.

        Raises:
            RuntimeError: it was refused.
        """
        if self._ask("tools/call", name="route", arguments={self._subject.argument: REQUEST}).get("isError"):
            raise RuntimeError(f"route of {self._subject.words} was refused")

    def _ask(self, method: str, **params: object) -> Any:
        self._send({"id": 1, "method": method, "params": {**params, **(META if self._subject.modern else {})}})
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())["result"]

    def _send(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._process.stdin.flush()

    def elapsed_s(self) -> float:
        """Seconds since it was started."""
        return time.perf_counter() - self._began

    def cpu_s(self) -> float:
        """Processor seconds it has used, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self) -> float:
        """Megabytes of memory it holds."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _figures(subject: Subject, where: str) -> dict[str, float]:
    server = _Server(subject, where)
    try:
        server.greet()
        figures = {"start to first answer": server.elapsed_s(), "start, processor": server.cpu_s()}
        server.route()
        before = server.cpu_s()
        figures["route over stdio"] = statistics.median(_timed(server.route) for _ in range(CALLS))
        figures["route, processor"] = (server.cpu_s() - before) / CALLS
        figures["memory"] = server.rss_mb()
    finally:
        server.end()
    return figures


def _timed(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure(one: Subject, other: Subject, rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Return (one, other) of each figure: seconds, or megabytes; the servers run in turns."""
    least: tuple[dict[str, float], dict[str, float]] = ({}, {})
    with tempfile.TemporaryDirectory() as where:
        for _ in range(rounds + 1):  # the first fills the cache of compiled modules
            for kept, subject in zip(least, (one, other), strict=True):
                for figure, value in _figures(subject, where).items():
                    kept[figure] = min(value, kept.get(figure, value))
    return {figure: (least[0][figure], least[1][figure]) for figure in least[0]}


def beside_bare(rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Return (bare, ours), in the 2026-07-28 revision."""
    return measure(BARE_SERVER, OURS, rounds)


def beside_peer(rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Return (peer, ours), in the handshake era."""
    return measure(PEER, OURS._replace(modern=False), rounds)


def _print(name: str, found: dict[str, tuple[float, float]], limits: dict[str, float]) -> None:
    print(f"| | {name} | forum-mcp | ratio | asked for |\n|---|---:|---:|---:|---:|")
    for figure, (other, ours) in found.items():
        unit, scale = ("MB", 1.0) if figure == "memory" else ("ms", 1_000.0)
        asked = f"<= {limits[figure]}" if figure in limits else ""
        print(f"| {figure} | {other * scale:.1f} {unit} | {ours * scale:.1f} {unit} | {ours / other:.2f} | {asked} |")
    print()


def main() -> None:
    """Print the tables."""
    _print("bare SDK", beside_bare(), LIMITS)
    if missing():
        print("forum-engine is not installed: uv sync --group peer")
    else:
        _print(f"forum-engine {peer_version()}", beside_peer(), {})


if __name__ == "__main__":
    main()
