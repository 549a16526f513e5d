"""What a message says before anybody acts on it: the scope it takes, whether it listens, which answer it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcp_types import JSONRPCRequest

from forum_mcp.engine.principal import READ, SUBMIT

if TYPE_CHECKING:
    from mcp.shared.message import SessionMessage

__all__ = ["asked_in_session", "listens", "needed_scope"]

_WRITING_TOOLS: Final = frozenset({"plan", "submit", "run_control", "work"})
_WRITING_METHODS: Final = frozenset({"tasks/cancel", "tasks/update"})


def needed_scope(message: SessionMessage | None) -> str:
    """Return the scope that a message takes; the forum itself asks again for what a message does not tell here."""
    request = _request(message)
    if request is None:
        return READ
    if request.method in _WRITING_METHODS:
        return SUBMIT
    name: object = (request.params or {}).get("name")
    writes = request.method == "tools/call" and isinstance(name, str) and name in _WRITING_TOOLS
    return SUBMIT if writes else READ


def listens(message: SessionMessage | None) -> bool:
    """Tell whether the answer to a message is a stream of news, which does not end by itself."""
    request = _request(message)
    return request is not None and request.method == "subscriptions/listen"


def asked_in_session(session: str | None, message: SessionMessage | None) -> tuple[str, str] | None:
    """Return (session, id) of a request of the handshake era; the other era has no sessions."""
    request = _request(message)
    return None if session is None or request is None else (session, str(request.id))


def _request(message: SessionMessage | None) -> JSONRPCRequest | None:
    request = None if message is None else message.message
    return request if isinstance(request, JSONRPCRequest) else None
