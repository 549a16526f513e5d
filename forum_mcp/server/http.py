"""Streamable HTTP: one server for several clients, on the SDK's transport, in both protocol eras.

The forum is opened once and shared; whoever a request's token stands for uses it as a ``PrincipalForum``. Runs live as
long as the server: at its end they are recorded as interrupted, and whoever opens the ledger next can resume them.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request

from forum_mcp.engine.principal import READ
from forum_mcp.engine.principal_forum import PrincipalForum
from forum_mcp.errors import ConfigRefused, ForumError
from forum_mcp.server.app import ForumServer
from forum_mcp.server.auth import IDENTITY, Authenticator, Identity
from forum_mcp.server.http_connections import HEAD_MAX, BoundedConnection
from forum_mcp.server.http_gate import BODY_MAX, MCP_PATH, Gate, Places, Resource
from forum_mcp.server.http_sessions import SESSIONS_MAX, SharedSessions
from forum_mcp.server.subscriptions import Holder
from forum_mcp.stores.principal import Owners
from forum_mcp.tools import select

if TYPE_CHECKING:
    from mcp.server import ServerRequestContext

    from forum_mcp.engine.forum import Forum
    from forum_mcp.server.lifespan import OpenForum
    from forum_mcp.server.sdk import AnyContext

__all__ = ["END_S", "HOST", "PORT", "HttpServer", "Listener", "gate_of", "is_loopback", "listen", "serve_http"]

HOST: Final = "127.0.0.1"
PORT: Final = 8731

END_S: Final = 6.0
"""Seconds after which a shutdown that hangs is cut off: ``DRAIN_S``, ``lifespan.CLOSE_S``, and room for both."""

_CUT_OFF_S: Final = 3
"""After this uvicorn cuts off what the gate did not; whole seconds, more than ``DRAIN_S``."""

_IDLE_S: Final = 30
_SESSION_IDLE_S: Final = 1_800.0
_BACKLOG: Final = 128


class HttpServer(ForumServer):
    """The forum as an MCP server whose requests come from whoever their token says."""

    def __init__(self, open_forum: OpenForum, *, tools: str = "all", read_only: bool = False) -> None:
        super().__init__(open_forum, select(tools, read_only=read_only))
        self._owners = Owners()

    async def forum_for(self, context: AnyContext | None) -> Forum:
        """Return the forum as the principal of the request may use it; the operator's is the whole.

        Raises:
            AccessRefused: the principal may not even read.
        """
        forum = await self.whole_forum(context)
        identity = _identity(None if context is None else context.request_context.request)
        principal = None if identity is None else identity.principal
        if principal is None:
            return forum
        principal.need(READ)
        return PrincipalForum(forum, principal, self._owners)

    def holder_of(self, ctx: ServerRequestContext[Any, Any]) -> Holder:
        """Return whose token the request came with, and when that ends."""
        identity = _identity(ctx.request)
        return Holder() if identity is None else Holder(identity.name, identity.until)


def _identity(request: object) -> Identity | None:
    """Return who made a request; None where nobody is asked.

    Raises:
        ForumError: it is no request over HTTP.
    """
    if not isinstance(request, Request):
        raise ForumError("a request came without its HTTP request, which says who made it")
    identity = request.scope.get(IDENTITY)
    return identity if isinstance(identity, Identity) else None


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket, and where clients find it."""

    socket: socket.socket
    url: str


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def listen(host: str, port: int) -> Listener:
    """Bind a socket; port 0 is any free one.

    Raises:
        ConfigRefused: it cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        bound.close()
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigRefused(
            f"{host[:80]} port {port} cannot be listened on ({why.lower()}); give another --host or --port, 0 is any"
        ) from error
    bound.set_inheritable(False)
    name = f"[{host}]" if family == socket.AF_INET6 else host
    return Listener(bound, f"http://{name}:{bound.getsockname()[1]}")


def gate_of(
    server: ForumServer,
    places: Places,
    authenticator: Authenticator | None,
    resource: Resource | None,
    *,
    sessions_max: int = SESSIONS_MAX,
) -> Gate:
    """Return the ASGI application: the gate, and the SDK's transport behind it."""
    app = server.streamable_http_app(
        streamable_http_path=MCP_PATH,
        max_request_body_size=BODY_MAX,
        max_sessions=sessions_max,
        session_idle_timeout=_SESSION_IDLE_S,
        # The gate checks Host and Origin, before anything else and whatever their case.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return Gate(SharedSessions(app, sessions_max), places, authenticator, resource)


def serve_http(gate: Gate, listener: Listener, ready: Callable[[], None]) -> int:
    """Serve until SIGINT or SIGTERM, then drain; return the exit code.

    Draining: no new connection, no new request, streams of news end; what is under way has ``DRAIN_S`` seconds, then it
    is cut off, runs are recorded as interrupted and children ended.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        gate,
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_IDLE_S,
        timeout_graceful_shutdown=_CUT_OFF_S,
        h11_max_incomplete_event_size=HEAD_MAX,
    )
    return anyio.run(_serve, _Uvicorn(config), gate, listener, ready)


class _Uvicorn(uvicorn.Server):
    """Uvicorn that leaves signals to us."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none: uvicorn would raise them again after the drain, and die of them."""
        yield


async def _serve(server: _Uvicorn, gate: Gate, listener: Listener, ready: Callable[[], None]) -> int:
    async def watch_signals() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            ready()
            async for _ in signals:
                if not server.should_exit:
                    server.should_exit = True
                    cut_off = threading.Timer(END_S, os._exit, (1,))  # a thread that verifies outlives the loop
                    cut_off.daemon = True
                    cut_off.start()
                tasks.start_soon(gate.drain)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch_signals)
        await server.serve(sockets=[listener.socket])
        tasks.cancel_scope.cancel()
    return 0
