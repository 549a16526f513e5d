"""Sessions of the handshake era over HTTP: a client that opens them all shuts nobody out, itself included."""

from pathlib import Path

import httpx2

from forum_mcp.engine.principal import READ, Principal
from forum_mcp.server.auth import Authenticator, Identity
from tests.server.test_slow_readers import serving

MOST = 4
REVISION = "2025-11-25"
HEADERS = {"accept": "application/json, text/event-stream", "mcp-protocol-version": REVISION}


class Names(Authenticator):
    """Takes each token for the name of a principal."""

    async def identify(self, token: str) -> Identity | None:
        """Return that principal."""
        return Identity(token, subject=token, principal=Principal(token, frozenset({READ})))


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


async def test_a_session_that_is_waited_on_is_not_given_up(tmp_path: Path) -> None:
    async with serving(tmp_path, Names(), 1) as (_, port), httpx2.AsyncClient() as client:
        sessions = Sessions(client, port)
        headers = {**HEADERS, "authorization": "Bearer alice", "mcp-session-id": await sessions.open("alice")}
        async with client.stream("GET", f"http://127.0.0.1:{port}/mcp", headers=headers) as news:
            assert news.status_code == 200
            first = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
            answer = await sessions.send("alice", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": first})
            assert answer.status_code == 503
