"""What principals share over HTTP, sessions and room for requests: one that takes all shuts nobody out."""

from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx2
from starlette.types import Message, Receive, Scope, Send

from forum_mcp.engine.principal import READ, Principal
from forum_mcp.server.auth import Authenticator, Identity
from forum_mcp.server.http_gate import Gate, Places
from tests.server.test_slow_readers import serving

MOST = 4
REVISION = "2025-11-25"
HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": REVISION}


class Names(Authenticator):
    """Takes each token for the name of a principal, after that of an OAuth client where it has one: ``client@name``."""

    async def identify(self, token: str) -> Identity | None:
        """Return that principal."""
        name = token.rpartition("@")[2]
        return Identity(token, subject=name, principal=Principal(name, frozenset({READ})))


class Sessions:
    """Clients that open sessions and come back to them."""

    def __init__(self, client: httpx2.AsyncClient, port: int) -> None:
        self._client = client
        self._url = f"http://127.0.0.1:{port}/mcp"

    async def open(self, who: str) -> str:
        """Begin a session; return its id."""
        client = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        answer = await self.send(who, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client})
        assert answer.status_code == 200, answer.text
        return str(answer.headers["mcp-session-id"])

    async def lives(self, who: str, session: str) -> bool:
        """Tell whether a session is there."""
        answer = await self.send(who, {"jsonrpc": "2.0", "id": 2, "method": "ping"}, {"mcp-session-id": session})
        assert answer.status_code in (200, 404)
        return answer.status_code == 200

    async def send(self, who: str, message: object, more: dict[str, str] | None = None) -> httpx2.Response:
        """Post a message."""
        headers = {**HEADERS, "authorization": f"Bearer {who}", **(more or {})}
        return await self._client.post(self._url, json=message, headers=headers)

    async def end(self, who: str, session: str) -> None:
        """End a session as its client does."""
        headers = {**HEADERS, "authorization": f"Bearer {who}", "mcp-session-id": session}
        assert (await self._client.delete(self._url, headers=headers)).status_code == 200


async def test_when_all_sessions_are_taken_whoever_has_the_most_gives_up_the_longest_unused(tmp_path: Path) -> None:
    async with serving(tmp_path, Names(), MOST) as (_, port), httpx2.AsyncClient() as client:
        sessions = Sessions(client, port)
        alices = [await sessions.open("alice") for _ in range(MOST)]
        assert await sessions.lives("alice", alices[0])
        bobs = [await sessions.open("bob"), await sessions.open("bob")]
        assert [await sessions.lives("alice", each) for each in alices] == [True, False, False, True]
        bobs.append(await sessions.open("bob"))
        assert [await sessions.lives("bob", each) for each in bobs] == [False, True, True], "one of bob's own"
        await sessions.end("alice", alices[0])
        carols = await sessions.open("carol")
        assert await sessions.lives("bob", bobs[1])
        assert await sessions.lives("carol", carols)
        assert not await sessions.lives("alice", carols), "a session is nobody else's"


async def test_a_session_counts_though_another_client_of_its_principal_may_not_use_it(tmp_path: Path) -> None:
    async with serving(tmp_path, Names(), MOST) as (_, port), httpx2.AsyncClient() as client:
        sessions = Sessions(client, port)
        for _ in range(MOST):
            assert not await sessions.lives("laptop@alice", await sessions.open("phone@alice"))
        assert await sessions.lives("bob", await sessions.open("bob"))


async def test_who_opens_many_sessions_at_once_keeps_no_room_from_another(tmp_path: Path) -> None:
    async with serving(tmp_path, Names(), MOST) as (_, port), httpx2.AsyncClient() as client:
        sessions = Sessions(client, port)
        for _ in range(MOST - 1):
            await sessions.open("alice")
        opened: list[str] = []

        async def one(who: str) -> None:
            opened.append(await sessions.open(who))

        async with anyio.create_task_group() as group:
            for who in ("alice", "alice", "bob", "carol"):
                group.start_soon(one, who)
        assert len(set(opened)) == 4


async def test_who_waits_on_all_of_its_sessions_does_not_keep_another_from_giving_one_up(tmp_path: Path) -> None:
    async with serving(tmp_path, Names(), MOST) as (_, port), httpx2.AsyncClient() as client, AsyncExitStack() as many:
        sessions = Sessions(client, port)
        for _ in range(2):
            headers = {**HEADERS, "authorization": "Bearer alice", "mcp-session-id": await sessions.open("alice")}
            await many.enter_async_context(client.stream("GET", f"http://127.0.0.1:{port}/mcp", headers=headers))
        bobs = [await sessions.open("bob"), await sessions.open("bob")]
        assert await sessions.lives("carol", await sessions.open("carol"))
        assert [await sessions.lives("bob", each) for each in bobs] == [False, True]


async def test_a_session_that_is_waited_on_is_not_given_up(tmp_path: Path) -> None:
    async with serving(tmp_path, Names(), 1) as (_, port), httpx2.AsyncClient() as client:
        sessions = Sessions(client, port)
        headers = {**HEADERS, "authorization": "Bearer alice", "mcp-session-id": await sessions.open("alice")}
        async with client.stream("GET", f"http://127.0.0.1:{port}/mcp", headers=headers) as news:
            assert news.status_code == 200
            first = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
            answer = await sessions.send("alice", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": first})
            assert answer.status_code == 503


async def test_a_principal_has_half_of_the_requests_and_is_told_what_to_do_when_they_are_taken() -> None:
    statuses: dict[str, list[int]] = {"alice": [], "bob": []}
    retry: list[bytes] = []

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep_forever()

    async def nothing() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    gate = Gate(waits, Places(frozenset({"here"}), frozenset()), Names(), None, share=2)

    async def ask(who: str) -> None:
        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses[who].append(message["status"])
                retry.extend(value for name, value in message["headers"] if name == b"retry-after")

        headers = [(b"host", b"here"), (b"authorization", f"Bearer {who}".encode())]
        await gate({"type": "http", "method": "GET", "path": "/mcp", "headers": headers}, nothing, answered)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for who in ("alice", "alice", "alice", "bob"):
                group.start_soon(ask, who)
                await anyio.wait_all_tasks_blocked()
            assert (statuses, retry) == ({"alice": [429], "bob": []}, [b"1"])
            group.cancel_scope.cancel()
    async with anyio.create_task_group() as group:
        group.start_soon(ask, "alice")
        await anyio.wait_all_tasks_blocked()
        assert statuses["alice"] == [429], "those that ended are not counted"
        group.cancel_scope.cancel()
