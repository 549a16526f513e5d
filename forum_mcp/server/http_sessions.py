"""Sessions of the handshake era, shared: there are so many, and nobody shuts the others out.

A client that goes away leaves its session behind. When there are as many as may be, room is made for one more: whoever
has the most gives up the longest unused, else it is one of the newcomer's own. Its client is told 404 and begins anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, authorization_context
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers

from forum_mcp.server.auth import IDENTITY, Identity

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SESSIONS_MAX", "SharedSessions"]

SESSIONS_MAX: Final = 1_000
"""Most sessions at the same moment."""

_SESSION: Final = "mcp-session-id"


@dataclass(eq=False, slots=True)
class _Session:
    name: str
    user: object
    under_way: int = 0


class SharedSessions:
    """An ASGI application before the SDK's; requests come with whom they are of (``IDENTITY``)."""

    def __init__(self, app: ASGIApp, most: int = SESSIONS_MAX) -> None:
        self._app = app
        self._most = most
        self._sessions: dict[str, _Session] = {}  # the longest unused first
        self._opening: dict[object, str] = {}  # requests that may open one, and whose they are

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, with room made for the session that it opens."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        session_id = headers.get(_SESSION)
        if session_id is None:
            version = headers.get("mcp-protocol-version")
            if scope["method"] != "POST" or not (version is None or version in HANDSHAKE_PROTOCOL_VERSIONS):
                return await self._app(scope, receive, send)
            opening = object()
            self._opening[opening] = _name(scope)
            try:
                await self._make_room(scope)
                return await self._app(scope, receive, self._noting(opening, scope, send))
            finally:
                self._opening.pop(opening, None)
        session = self._sessions.get(session_id)
        if session is None or _credential(session.user) != _credential(scope["user"]):
            # The SDK says that there is none, and it is there all the same.
            return await self._app(scope, receive, send)
        self._sessions[session_id] = self._sessions.pop(session_id)
        session.under_way += 1
        try:
            return await self._app(scope, receive, self._forgetting(session_id, scope, send))
        finally:
            session.under_way -= 1

    def _noting(self, opening: object, scope: Scope, send: Send) -> Send:
        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._opening.pop(opening, None)
                opened = Headers(raw=list(message["headers"])).get(_SESSION)
                if opened is not None and message["status"] < 400:
                    self._sessions[opened] = _Session(_name(scope), scope["user"])
            await send(message)

        return noting

    def _forgetting(self, session_id: str, scope: Scope, send: Send) -> Send:
        async def forgetting(message: Message) -> None:
            if message["type"] == "http.response.start":
                ended = scope["method"] == "DELETE" and message["status"] == 200
                if ended or message["status"] == 404:
                    self._sessions.pop(session_id, None)
            await send(message)

        return forgetting

    async def _make_room(self, scope: Scope) -> None:
        while len(self._sessions) + len(self._opening) > self._most:
            session_id = self._spare(_name(scope))
            if session_id is None:
                return
            session = self._sessions.pop(session_id)
            headers = [(_SESSION.encode(), session_id.encode())]
            ended: Scope = {**scope, "method": "DELETE", "headers": headers, "user": session.user}
            await self._app(ended, _nothing, _nowhere)

    def _spare(self, who: str) -> str | None:
        """Return the session that is given up for one of ``who``; None when all of them are in use."""
        held = Counter([*(session.name for session in self._sessions.values()), *self._opening.values()])
        held[who] -= 1  # the one that is to be opened
        idle: dict[str, str] = {}
        for session_id, session in self._sessions.items():
            if not session.under_way:
                idle.setdefault(session.name, session_id)
        fullest = max(idle, key=held.__getitem__, default=who)
        return idle.get(fullest if held[fullest] >= held[who] + 2 else who)


def _name(scope: Scope) -> str:
    identity = scope.get(IDENTITY)
    return identity.name if isinstance(identity, Identity) else ""


def _credential(user: object) -> object:
    """Return by what the SDK tells whose a session is."""
    return authorization_context(user) if isinstance(user, AuthenticatedUser) else None


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nowhere(message: Message) -> None:
    del message
