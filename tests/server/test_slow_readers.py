"""Clients over HTTP that do not read: what waits for them is bounded, the others are served, and they are let go."""

import asyncio  # noqa: TID251  uvicorn's protocols are asyncio's
import json
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import anyio
import anyio.lowlevel
import httpx2
import pytest
import uvicorn
from mcp.shared.subscriptions import ResourceUpdated
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.server.auth import Authenticator
from forum_mcp.server.http import HttpServer, gate_of, listen
from forum_mcp.server.http_connections import PACE_BYTES, BoundedConnection
from forum_mcp.server.http_gate import Places
from forum_mcp.server.http_sessions import SESSIONS_MAX
from tests.server.http_peer import META

FOLLOWED = f"forum://runs/{'x' * 20_000}"
BUFFER = 4_096


class Quiet(uvicorn.Server):
    """A server that leaves signals to the tests."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


class Impatient(BoundedConnection):
    """A connection with little room in the system, which waits only a moment; notes what it kept and who was lost."""

    unread_s = 0.2
    most_kept: ClassVar[int]
    lost: ClassVar[anyio.Semaphore]

    def connection_made(self, transport: Any) -> None:
        """Take a connection in."""
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        super().connection_made(transport)

    def pause_writing(self) -> None:
        """Note what is kept."""
        Impatient.most_kept = max(self.most_kept, self.transport.get_write_buffer_size())
        super().pause_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it went."""
        super().connection_lost(exc)
        self.lost.release()


@asynccontextmanager
async def serving(
    home: Path, authenticator: Authenticator | None = None, sessions_max: int = SESSIONS_MAX
) -> AsyncGenerator[tuple[HttpServer, int]]:
    """Serve the forum as ``serve --http`` does; the server and its port."""
    Impatient.most_kept, Impatient.lost = 0, anyio.Semaphore(0)
    listener = listen("127.0.0.1", 0)
    port = listener.socket.getsockname()[1]
    forum = HttpServer(lambda: Orchestrator.open(Settings(ledger=str(home / "ledger.db"))))
    places = Places(frozenset({f"127.0.0.1:{port}"}), frozenset())
    gate = gate_of(forum, places, authenticator, None, sessions_max=sessions_max)
    server = Quiet(uvicorn.Config(gate, http=Impatient, ws="none", lifespan="on", log_config=None, access_log=False))
    with closing(listener.socket), anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(server.serve, [listener.socket])
            while not server.started:
                await anyio.lowlevel.checkpoint()
            yield forum, port
            server.should_exit = True


def request_of(port: int, method: str, **params: object) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a request of the modern era."""
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return headers, json.dumps(message).encode()


def deaf(port: int, method: str, **params: object) -> socket.socket:
    """Return the connection of a client that asks and does not read."""
    headers, body = request_of(port, method, **params)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    client.connect(("127.0.0.1", port))
    client.sendall("\r\n".join(["POST /mcp HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)
    return client


@pytest.mark.parametrize("method", ["tools/list", "subscriptions/listen"])
async def test_who_does_not_read_keeps_one_answer_and_is_let_go_while_others_are_served(
    method: str, tmp_path: Path
) -> None:
    async with serving(tmp_path) as (forum, port):
        wanted = {"notifications": {"resourceSubscriptions": [FOLLOWED]}} if method == "subscriptions/listen" else {}
        with closing(deaf(port, method, **wanted)):
            if wanted:
                await forum.bus.wanted()
                for _ in range(200):
                    await forum.bus.publish(ResourceUpdated(uri=FOLLOWED))
            async with httpx2.AsyncClient() as client:
                headers, body = request_of(port, "prompts/list")
                answer = await client.post(f"http://127.0.0.1:{port}/mcp", content=body, headers=headers)
                assert answer.status_code == 200
                await Impatient.lost.acquire()
        assert 0 < Impatient.most_kept < 2 * len(FOLLOWED)


class Pipe(asyncio.Transport):
    """A transport whose client takes so much each time it is looked at."""

    def __init__(self, *left: int, connection: socket.socket | None = None) -> None:
        super().__init__({"socket": connection or socket.socket()})
        self.left = list(left)
        self.aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        """Return what is left."""
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Note it."""
        self.get_extra_info("socket").close()
        self.aborted.set()


async def unasked(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that nobody asks."""


async def test_who_reads_slowly_keeps_its_connection_until_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "unread_s", 0.0)
    config = uvicorn.Config(unasked, log_config=None)
    config.load()
    connection = BoundedConnection(config, ServerState(), {})
    pace = PACE_BYTES
    pipe = Pipe(3 * pace, 2 * pace, 2 * pace, pace, pace, 1)
    connection.connection_made(pipe)
    connection.pause_writing()
    with anyio.fail_after(20):
        await pipe.aborted.wait()
    assert pipe.left == [1], "looked at twice each time, until it took less than it should"
    connection.connection_lost(ConnectionAbortedError())


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell what it holds")
async def test_what_a_slow_reader_takes_from_the_buffer_of_the_system_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "unread_s", 0.0)
    config = uvicorn.Config(unasked, log_config=None)
    config.load()
    connection = BoundedConnection(config, ServerState(), {})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    sent = 0
    with suppress(BlockingIOError):
        ours.setblocking(False)
        while True:
            sent += ours.send(bytes(1 << 20))
    with theirs:
        pipe = Pipe(1, 1, 1, 2, connection=ours)
        connection.connection_made(pipe)
        connection.pause_writing()
        while sent:
            sent -= len(theirs.recv(sent))
        with anyio.fail_after(20):
            await pipe.aborted.wait()
    assert pipe.left == [2], "kept when it had read, and let go when it took nothing more"
    connection.connection_lost(ConnectionAbortedError())
