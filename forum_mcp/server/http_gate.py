"""What stands before the MCP endpoint: nothing of a request reaches the session before it has passed here.

In this order: the Host names us (a rebound DNS name does not), the Origin, where there is one, is in the list, the
bearer token is good, the body came whole, small enough and in time, it is a message (what is not is answered as over
stdio), and the token has the scope of what it asks. Answers hold no more than a stranger may know.

Spec: MCP Streamable HTTP and Authorization (2025-11-25, 2026-07-28), RFC 6750 section 3, RFC 9728.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from forum_mcp.engine.principal import READ, SCOPES, SUBMIT
from forum_mcp.server.auth import IDENTITY
from forum_mcp.server.http_connections import CONNECTIONS_MAX, HEAD_MAX
from forum_mcp.server.http_drain import Underway, unavailable
from forum_mcp.server.http_messages import asked_in_session, listens, needed_scope
from forum_mcp.server.wire import invalid, read_line

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from forum_mcp.server.auth import Authenticator, Identity

__all__ = ["BODY_MAX", "MCP_PATH", "SHARE", "Gate", "Places", "Resource"]

MCP_PATH: Final = "/mcp"

BODY_MAX: Final = 4 * 1024 * 1024
"""Most bytes of a request's body."""

SHARE: Final = CONNECTIONS_MAX // 2
"""Most requests of one principal that are answered at the same moment: others can always connect."""

_METADATA: Final = "/.well-known/oauth-protected-resource"
_PREFLIGHT: Final = {
    "access-control-allow-methods": "GET, POST, DELETE",
    "access-control-allow-headers": (
        "authorization, content-type, accept, last-event-id, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name"
    ),
    "access-control-max-age": "600",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Exact values: ``hosts`` of the Host header (``127.0.0.1:8731``), ``origins`` of Origin (``https://a.example``)."""

    hosts: frozenset[str]
    origins: frozenset[str]


@dataclass(frozen=True, slots=True)
class Resource:
    """This server as an OAuth resource: its own URL, which is the audience of its tokens, and who issues them."""

    url: str
    issuer: str

    @property
    def metadata_url(self) -> str:
        """Where the RFC 9728 document stands."""
        root = self.url.removesuffix(MCP_PATH)
        return f"{root}{_METADATA}{MCP_PATH}"

    def metadata(self) -> dict[str, object]:
        """Return the RFC 9728 document."""
        return {
            "resource": self.url,
            "authorization_servers": [self.issuer],
            "scopes_supported": list(SCOPES),
            "bearer_methods_supported": ["header"],
            "resource_name": "forum-mcp",
        }


class Gate:
    """An ASGI application before another; ``authenticator`` is None where no token is asked for (loopback only)."""

    def __init__(
        self,
        app: ASGIApp,
        places: Places,
        authenticator: Authenticator | None,
        resource: Resource | None,
        *,
        body_s: float = 20.0,
        share: int = SHARE,
    ) -> None:
        self._app = app
        self._places = places
        self._authenticator = authenticator
        self._resource = resource
        self._body_s = body_s
        self._share = share
        self._served: Counter[str] = Counter()
        self._underway = Underway()
        self._asked: set[tuple[str, str]] = set()
        self.draining = False

    async def drain(self) -> None:
        """Take no new request, and end those that are being answered; the second call does not wait for them."""
        if self.draining:
            self._underway.hurry()
        else:
            self.draining = True
            await self._underway.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or hand it on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        answer = self._misplaced(headers)
        if answer is None:
            send = _exposing(send, headers.get("origin"))
            answer = await self._answer(headers, scope, receive, send)
        if answer is not None:
            await answer(scope, receive, send)
        return None

    async def _answer(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """Return what is answered at once; None when the request was handed on."""
        path, method = str(scope["path"]), str(scope.get("method"))
        answer = self._for_anybody(path, method, headers)
        if answer is not None:
            return answer
        identity = await self._identity(headers)
        if isinstance(identity, Response):
            return identity
        body, message = b"", None
        if method == "POST":
            taken = await self._body(headers, receive)
            if isinstance(taken, Response):
                return taken
            body = taken
            message, fault = read_line(body)
            if fault is not None:
                return _fault(fault)
        if identity is not None and (refusal := self._out_of_scope(identity, message)) is not None:
            return refusal
        name = None if identity is None or identity.principal is None else identity.name
        if name is not None and self._served[name] >= self._share:
            words = f"{self._share} requests of yours are being answered; wait for one, or end a stream of news"
            return _refuse(429, "too_many_requests", words, {"retry-after": "1"})
        key = asked_in_session(headers.get("mcp-session-id"), message)
        if key in self._asked:  # the SDK would answer only one of the two, 7 and "7" included
            return _fault(
                invalid("a request of this session with this id is not answered yet; use an id once", message)
            )
        inner: Scope = {**scope, IDENTITY: identity, "user": None if identity is None else _user(identity)}
        given = _replayed(body, receive) if method == "POST" else receive
        news = method == "GET"  # a stream of the handshake era; of the other's, Listening says the end
        until = identity.until if news and identity is not None and identity.until is not None else math.inf
        with self._asking(key), self._serving(name):
            await self._underway.hand_on(self._app, inner, given, send, endless=news or listens(message), until=until)
        return None

    def _for_anybody(self, path: str, method: str, headers: Headers) -> Response | None:
        """Return the answer to what needs no token; None for what does."""
        if path in ("/healthz", "/readyz") and method in ("GET", "HEAD"):
            return Response(status_code=503 if path == "/readyz" and self.draining else 204)
        if self._resource is not None and path in (_METADATA, _METADATA + MCP_PATH) and method == "GET":
            return JSONResponse(self._resource.metadata())
        if path != MCP_PATH:
            return _refuse(404, "not_found", f"there is nothing here; MCP is served at {MCP_PATH}")
        if self.draining:
            return unavailable()
        if method == "OPTIONS" and "origin" in headers:
            return Response(status_code=204, headers=_PREFLIGHT)
        return None

    @contextmanager
    def _asking(self, key: tuple[str, str] | None) -> Generator[None]:
        if key is None:
            yield
            return
        self._asked.add(key)
        try:
            yield
        finally:
            self._asked.discard(key)

    @contextmanager
    def _serving(self, name: str | None) -> Generator[None]:
        """Count a request of a principal; whoever has the operator's token may take all there is."""
        if name is None:
            yield
            return
        self._served[name] += 1
        try:
            yield
        finally:
            self._served[name] -= 1
            self._served += Counter()  # forgets those at zero

    def _misplaced(self, headers: Headers) -> Response | None:
        if sum(len(name) + len(value) for name, value in headers.raw) > HEAD_MAX:
            return _refuse(431, "too_large", f"the headers may have at most {HEAD_MAX} bytes")
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._places.hosts:
            return _refuse(421, "misdirected", "this server does not go by the name in the Host header")
        if len(origins) > 1 or (origins and origins[0] not in self._places.origins):
            return _refuse(403, "origin_refused", "pages of this origin may not call this server")
        return None

    async def _identity(self, headers: Headers) -> Identity | Response | None:
        if self._authenticator is None:
            return None
        given = headers.getlist("authorization")
        if not given:
            return self._challenge(401, None, "a bearer token is needed: Authorization: Bearer ...")
        kind, _, token = given[0].partition(" ")
        identity = None
        if len(given) == 1 and kind.lower() == "bearer":
            identity = await self._authenticator.identify(token.strip())
        if identity is None:
            return self._challenge(401, "invalid_token", "the token is wrong, expired or not for this server")
        return identity

    def _out_of_scope(self, identity: Identity, message: SessionMessage | None) -> Response | None:
        principal = identity.principal
        needed = needed_scope(message)
        if principal is None or principal.may(needed):
            return None
        return self._challenge(403, "insufficient_scope", f"this needs the scope {needed}", f"{READ} {needed}")

    def _challenge(self, status: int, error: str | None, words: str, scope: str = f"{READ} {SUBMIT}") -> Response:
        parts = [] if error is None else [f'error="{error}"', f'error_description="{words}"']
        if self._resource is not None:
            parts += [f'scope="{scope}"', f'resource_metadata="{self._resource.metadata_url}"']
        challenge = "Bearer " + ", ".join(parts or ['realm="forum-mcp"'])
        return _refuse(status, error or "unauthorized", words, {"www-authenticate": challenge})

    async def _body(self, headers: Headers, receive: Receive) -> bytes | Response:
        too_large = _refuse(413, "too_large", f"a body may have at most {BODY_MAX} bytes")
        declared = headers.get("content-length", "0")
        if "transfer-encoding" in headers and "content-length" in headers:  # proxies may have read another request
            return _refuse(400, "ambiguous", "the length of the body is given twice", {"connection": "close"})
        if not declared.isdigit() or int(declared) > BODY_MAX:
            return too_large
        body = bytearray()
        with anyio.move_on_after(self._body_s):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return Response(status_code=400)
                body += message.get("body", b"")
                if len(body) > BODY_MAX:
                    return too_large
                if not message.get("more_body", False):
                    return bytes(body)
        return _refuse(408, "too_slow", f"the body took over {self._body_s:g} s", {"connection": "close"})


def _user(identity: Identity) -> AuthenticatedUser:
    """Return the identity as the SDK knows it: it keeps a session to whom it was opened for."""
    claims = None if identity.issuer is None else {"iss": identity.issuer}
    principal = identity.principal
    scopes = sorted(SCOPES if principal is None else principal.scopes)
    token = AccessToken(token="", client_id=identity.client, scopes=scopes, subject=identity.subject, claims=claims)
    return AuthenticatedUser(token)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _exposing(send: Send, origin: str | None) -> Send:
    """Let a page of a permitted origin read the answer."""
    if origin is None:
        return send

    async def exposing(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = {"access-control-allow-origin": origin, "vary": "origin"}
            added["access-control-expose-headers"] = "mcp-session-id, www-authenticate"
            message = {
                **message,
                "headers": [*message["headers"], *((k.encode(), v.encode("latin-1")) for k, v in added.items())],
            }
        await send(message)

    return exposing


def _fault(fault: SessionMessage) -> Response:
    return JSONResponse(fault.message.model_dump(mode="json", by_alias=True, exclude_unset=True), 400)


def _refuse(status: int, code: str, words: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": code, "error_description": words}, status_code=status, headers=headers)
