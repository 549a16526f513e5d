"""A forum behind an MCP server: in memory for both protocol eras, and as a process of its own."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from mcp import Client

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.app import ForumServer, build_server

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "probe", "version": "1"},
}
SERVE = """
import sys
from forum_mcp.configs.settings import Settings
from forum_mcp.server.stdio import serve
sys.exit(serve(Settings.model_validate_json(sys.argv[1])))
"""


class Connection:
    """A client with the two things every test wants: a call's structured content, and a closing verification."""

    def __init__(self, client: Client, server: ForumServer) -> None:
        self.client = client
        self.server = server

    async def refused(self, tool: str, /, **arguments: object) -> str:
        """Call a tool that must refuse; return the text of the refusal."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result
        assert result.structured_content is None
        return self.text_of(result)

    async def call(self, tool: str, /, **arguments: object) -> dict[str, Any]:
        """Call a tool that must succeed; return its structured content."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result
        assert result.structured_content is not None
        return cast("dict[str, Any]", result.structured_content)

    async def text(self, tool: str, /, **arguments: object) -> str:
        """Call a tool that must succeed; return its text."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result
        return self.text_of(result)

    @staticmethod
    def text_of(result: Any) -> str:
        """Return the text of a result, which is its only content."""
        assert [item.type for item in result.content] == ["text"]
        text = result.content[0].text
        assert isinstance(text, str)
        return text


Connect = Callable[..., Any]


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    """The two protocol eras, as the SDK's client names them."""
    return str(request.param)


@pytest.fixture
def host_settings(tmp_path: Path) -> Settings:
    """No model: the calling assistant does the work."""
    return Settings(ledger=str(tmp_path / "ledger.db"))


@pytest.fixture
def scripted_settings(tmp_path: Path) -> Settings:
    """A team that answers from a script."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"replies": [], "default": {"reply": "the result, as written beforehand"}}))
    return Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"team": ExecutorSettings(type="scripted", script=str(script))},
        roles=RoleSettings(worker=["team"]),
    )


@pytest.fixture
def connect(era: str) -> Connect:
    """Return a context manager: connect(settings) -> Connection; it ends with a clean verification."""

    @asynccontextmanager
    async def connected(
        settings: Settings, *, tools: str = "all", read_only: bool = False
    ) -> AsyncGenerator[Connection]:
        server = build_server(lambda: Orchestrator.open(settings), tools=tools, read_only=read_only)
        async with Client(server, mode=era) as client:
            connection = Connection(client, server)
            yield connection
            if any(tool.name == "ledger_verify" for tool in (await client.list_tools()).tools):
                assert (await connection.call("ledger_verify", level=4))["findings"] == []

    return connected


class Process:
    """A server process spoken to line by line."""

    def __init__(self, settings: Settings) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", SERVE, settings.model_dump_json(exclude_unset=True)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.stdin = self.popen.stdin
        self.stdout = self.popen.stdout

    def send(self, line: bytes) -> None:
        """Write one line."""
        self.stdin.write(line + b"\n")
        self.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Read one line."""
        line = self.stdout.readline()
        assert line, "the server ended"
        return cast("dict[str, Any]", json.loads(line))

    def ask(self, number: int, method: str, **params: object) -> dict[str, Any]:
        """Send a request of the modern era and return its answer."""
        self.send(self.request(number, method, **params))
        answer = self.answer()
        assert answer["id"] == number
        return answer

    @staticmethod
    def request(number: int, method: str, **params: object) -> bytes:
        """Return the line of a request of the modern era."""
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": ENVELOPE}}
        return json.dumps(message).encode()

    def close(self) -> None:
        """End the process whatever state it is in."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None and not stream.closed:
                with suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def start() -> Iterator[Callable[[Settings], Process]]:
    """Start server processes that end with the test."""
    started: list[Process] = []

    def starting(settings: Settings) -> Process:
        process = Process(settings)
        started.append(process)
        return process

    yield starting
    for process in started:
        process.close()
