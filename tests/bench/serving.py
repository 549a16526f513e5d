"""Our server beside a bare one of the SDK, as ratios: ``python -m tests.bench.serving``.

The bare server has one tool, ``route``, that answers a constant. Both are started in turns as processes and asked over
stdio: time from the start to the first answer, processor time of a ``route`` call, memory after the calls. Times are
the least of several rounds; processor time hardly depends on what else the machine does.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

__all__ = ["LIMITS", "main", "measure"]

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
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class _Server:
    """A server process and what it has cost so far."""

    def __init__(self, command: list[str], where: str) -> None:
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPYCACHEPREFIX": f"{where}/cache", "FORUM_LEDGER": f"{where}/ledger.db"},
        )

    def ask(self, method: str, **params: object) -> Any:
        """Send a request and return its result."""
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())["result"]

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


def _figures(command: list[str], where: str) -> dict[str, float]:
    server = _Server(command, where)
    try:
        server.ask("server/discover")
        figures = {"start to first answer": server.elapsed_s(), "start, processor": server.cpu_s()}
        server.ask("tools/call", name="route", arguments={"request": "write a database schema"})
        before, began = server.cpu_s(), time.perf_counter()
        for _ in range(CALLS):
            server.ask("tools/call", name="route", arguments={"request": "write a database schema"})
        figures["route over stdio"] = (time.perf_counter() - began) / CALLS
        figures["route, processor"] = (server.cpu_s() - before) / CALLS
        figures["memory"] = server.rss_mb()
    finally:
        server.end()
    return figures


def measure(rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Return (bare, ours) of each figure: seconds, or megabytes."""
    least: dict[str, dict[str, float]] = {"bare": {}, "ours": {}}
    with tempfile.TemporaryDirectory() as where:
        commands = {
            "bare": [sys.executable, "-c", BARE],
            "ours": [sys.executable, "-m", "forum_mcp.cli"],
        }
        for _ in range(rounds + 1):  # the first fills the cache of compiled modules
            for name, command in commands.items():
                for figure, value in _figures(command, where).items():
                    least[name][figure] = min(value, least[name].get(figure, value))
    return {figure: (least["bare"][figure], least["ours"][figure]) for figure in least["bare"]}


def main() -> None:
    """Print the table."""
    print(f"{'':24} {'bare SDK':>10} {'forum-mcp':>10} {'ratio':>7} {'asked for':>10}")
    for figure, (bare, ours) in measure().items():
        unit, scale = ("MB", 1.0) if figure == "memory" else ("ms", 1_000.0)
        asked = f"<= {LIMITS[figure]}" if figure in LIMITS else ""
        print(f"{figure:24} {bare * scale:8.1f}{unit} {ours * scale:8.1f}{unit} {ours / bare:7.2f} {asked:>10}")


if __name__ == "__main__":
    main()
