"""A server over HTTP as a process, tokens of an authorization server of the tests, and raw requests."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from forum_mcp.engine.ledger import Ledger

END_S = 20.0
ISSUER = "https://issuer.example"
META: dict[str, object] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
ALL = "forum:read forum:submit forum:approve"


class Issuer:
    """Signs access tokens; its public key is in a file."""

    def __init__(self, directory: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.keys = directory / "keys.json"
        self.keys.write_text(json.dumps({"keys": [{**public, "kid": "k1", "alg": "ES256", "use": "sig"}]}))

    def token(self, audience: str, subject: str, scope: str = ALL, **claims: object) -> str:
        """Return a token that is good for an hour, with any claim changed."""
        given = {"iss": ISSUER, "aud": audience, "sub": subject, "scope": scope, "client_id": "tests"}
        payload = {**given, "exp": int(time.time()) + 3_600, **claims}
        return jwt.encode(payload, self._key, algorithm="ES256", headers={"kid": "k1", "typ": "at+jwt"})


@dataclass
class HttpProcess:
    """``forum-mcp serve --http`` on a free port; ``module`` is another that serves so, and its own arguments."""

    arguments: list[str]
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    module: tuple[str, ...] = ("forum_mcp.cli", "serve", "--http", "--port", "0")
    url: str = ""
    said: list[str] = field(default_factory=list[str])
    popen: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", *self.module, *self.arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
            cwd=Path(__file__).parents[2],
        )
        assert self.popen.stderr is not None
        first = self.popen.stderr.readline()
        found = re.search(r"serving (\S+)/mcp;", first)
        assert found, first + self.popen.stderr.read()
        self.url = found[1]
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Keep what it says: one that nobody listens to would stop when the pipe is full."""
        assert self.popen.stderr is not None
        self.said.extend(self.popen.stderr)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        code = self.popen.wait(END_S)
        self._listener.join(END_S)
        assert self.popen.stderr is not None
        self.popen.stderr.close()
        return code

    def post(self, token: str | None, method: str, headers: Mapping[str, str] | None = None, **params: object) -> Any:
        """Send one request of the modern era; return the response."""
        name = params.get("name") or params.get("taskId") or params.get("uri")
        sent = {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": method,
            **({} if name is None else {"mcp-name": str(name)}),
            **({} if token is None else {"authorization": f"Bearer {token}"}),
            **(headers or {}),
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
        return httpx2.post(f"{self.url}/mcp", json=body, headers=sent, timeout=60)

    def call(self, token: str, tool: str, **arguments: object) -> dict[str, Any]:
        """Call a tool that must succeed; return its structured content."""
        response = self.post(token, "tools/call", name=tool, arguments=arguments)
        result = response.json()["result"]
        assert not result["isError"], result
        return cast("dict[str, Any]", result["structuredContent"])

    def refused(self, token: str, tool: str, **arguments: object) -> str:
        """Call a tool that must refuse; return the text."""
        result = self.post(token, "tools/call", name=tool, arguments=arguments).json()["result"]
        assert result["isError"], result
        return str(result["content"][0]["text"])

    def raw(self, data: bytes, *, timeout_s: float = END_S) -> bytes:
        """Send bytes on a connection of their own; return what comes until the server closes it."""
        with closing(self.connect(timeout_s)) as connection:
            connection.sendall(data)
            return read_all(connection)

    def connect(self, timeout_s: float = END_S) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)


@dataclass
class Shared:
    """A server for several principals, its issuer, and where its ledger is."""

    server: HttpProcess
    issuer: Issuer
    ledger: Path

    @property
    def audience(self) -> str:
        """Whom tokens are for."""
        return f"{self.server.url}/mcp"

    def token(self, subject: str, **claims: Any) -> str:
        """Return a token for this server."""
        return self.issuer.token(str(claims.pop("aud", self.audience)), subject, **claims)

    @asynccontextmanager
    async def client(self, subject: str, mode: Any, scope: str = ALL, **options: Any) -> AsyncGenerator[Client]:
        """Connect the SDK's client with a token of a principal."""
        given = {"authorization": f"Bearer {self.token(subject, scope=scope)}"}
        async with (
            httpx2.AsyncClient(headers=given, timeout=60) as bearer,
            Client(streamable_http_client(self.audience, http_client=bearer), mode=mode, **options) as client,
        ):
            yield client


@contextmanager
def sharing(home: Path, *arguments: str) -> Generator[Shared]:
    """Serve whoever has a token of an issuer; the ledger is whole in the end."""
    issuer, ledger = Issuer(home), home / "ledger.db"
    Ledger.open(ledger).close()
    keys = ["--issuer", ISSUER, "--jwks", f"file:{issuer.keys}"]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "FORUM_STATE_DIR": str(home)}
    server = HttpProcess([*keys, "--ledger", str(ledger), *arguments], env)
    yield Shared(server, issuer, ledger)
    assert server.stop() == 0
    assert "Traceback" not in "".join(server.said)
    with Ledger.open(ledger, create=False) as opened:
        assert opened.verify(level=4).findings == []


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes or resets."""
    found = b""
    try:
        while chunk := connection.recv(65_536):
            found += chunk
    except ConnectionResetError:
        return found
    return found
