"""The stdio transport: newline-delimited JSON-RPC in front of the SDK's session.

Ours, because the SDK's transport answers nothing to lines it cannot parse, does not notice a closed stdout, dies on
SIGTERM without cleaning up and does not end on SIGINT. Here every line is answered, memory is bounded, and the end of
stdin, a closed stdout, SIGINT, SIGTERM and a dead parent each end the process within two seconds, runs recorded as
interrupted and children ended.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCResponse

from forum_mcp.server.admission import Admission
from forum_mcp.server.app import ForumServer, build_server
from forum_mcp.server.descriptors import Wire, diverted, hung_up, read_some, write_all
from forum_mcp.server.lifespan import OpenForum
from forum_mcp.server.sdk import serve_streams
from forum_mcp.server.wire import LINE_MAX, busy, oversized, read_line

if TYPE_CHECKING:
    from forum_mcp.configs.settings import Settings
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["DRAIN_S", "END_S", "LAST_WORDS_S", "serve", "serve_forum", "serve_stdio"]

DRAIN_S: Final = 0.5
"""Seconds that calls in flight may still take when stdin ends: ``printf ... | forum-mcp`` gets its answers."""

LAST_WORDS_S: Final = 0.2
"""Seconds that a client which does not read may hold up the end."""

END_S: Final = 1.4
"""Seconds after which a shutdown that hangs is cut off: ``LAST_WORDS_S``, ``lifespan.CLOSE_S`` and a little."""

_TICK_S: Final = 0.4


class _Transport:
    """One connection over a wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._admission = Admission()
        self._write_lock = anyio.Lock()
        self._writing: anyio.CancelScope | None = None
        self._writing_since: float | None = None
        self._mute = False
        self.exit_code = 0
        self.ended = anyio.Event()

    def end(self, exit_code: int = 0) -> None:
        """Begin the shutdown; the first caller decides the exit code."""
        if not self.ended.is_set():
            self.exit_code = exit_code
            self.ended.set()
            # Also for what outlives the loop: a thread that verifies a large ledger would hold the process up.
            cut_off = threading.Timer(END_S, os._exit, (exit_code,))
            cut_off.daemon = True
            cut_off.start()

    async def read(self) -> None:
        """Take messages in until stdin ends; answer what the session must not see."""
        async for line in _lines(self._wire.stdin):
            message, answer = (None, oversized()) if line is None else read_line(line)
            if message is not None and not await self._admission.take(message, len(line or b"")):
                answer = busy(message)
            if answer is not None:
                await self._send(answer)
        with anyio.move_on_after(DRAIN_S):
            while not self._admission.idle:
                await self._admission.moved()
        self.end()

    async def feed(self, to_session: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        """Give the session each message in its turn."""
        while True:
            await to_session.send(await self._admission.next())

    async def write(self, from_session: MemoryObjectReceiveStream[SessionMessage]) -> None:
        """Write what the session says until it ends."""
        async for message in from_session:
            await self._send(message)
            if isinstance(message.message, JSONRPCResponse | JSONRPCError):
                self._admission.settle(message.message.id)

    async def _send(self, message: SessionMessage) -> None:
        data = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        try:
            async with self._write_lock:
                with anyio.CancelScope() as self._writing:
                    if not self._mute:
                        self._writing_since = anyio.current_time()
                        await write_all(self._wire.stdout, data)
                        self._writing_since = None
        except OSError:
            self._mute = True
            self.end()

    async def mute(self) -> None:
        """Stop writing a moment after the end began: a client that does not read cannot hold it up."""
        await self.ended.wait()
        await anyio.sleep(LAST_WORDS_S)
        self._mute = True
        if self._writing is not None:
            self._writing.cancel()

    async def watch_signals(self) -> None:
        """End on SIGINT and SIGTERM."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                self.end(128 + number)

    async def watch_peers(self) -> None:
        """End when nobody reads stdout any more, or the process that started us is gone.

        Who does not read is not read either, so that the end of its stdin is only seen from outside.
        """
        parent = os.getppid()
        while True:
            await anyio.sleep(_TICK_S)
            since = self._writing_since
            stuck = since is not None and anyio.current_time() - since > DRAIN_S
            if hung_up(self._wire.stdout) or os.getppid() != parent or (stuck and hung_up(self._wire.stdin)):
                return self.end()


async def _lines(fd: int) -> AsyncIterator[bytes | None]:
    """Yield lines without their newline; None for one that is too long, whose bytes are dropped as they come."""
    buffer = bytearray()
    dropping = False
    while chunk := await read_some(fd):
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if dropping or len(buffer) + len(line) > LINE_MAX:
                yield None
            else:
                yield bytes(buffer + line)
            buffer.clear()
            dropping = False
        if not dropping:
            buffer += rest
            if len(buffer) > LINE_MAX:
                buffer.clear()
                dropping = True
    if dropping:
        yield None
    elif buffer:
        yield bytes(buffer)


async def serve_stdio(server: ForumServer, wire: Wire) -> int:
    """Serve one client over a wire until it goes away or a signal comes; return the exit code.

    The process has to end with it: what is left of it ``END_S`` seconds after the end began is cut off.
    """
    transport = _Transport(wire)
    to_session, session_in = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    session_out, from_session = anyio.create_memory_object_stream[SessionMessage](0)

    async def session() -> None:
        await serve_streams(server, session_in, session_out)
        transport.end()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.watch_signals)
        tasks.start_soon(transport.watch_peers)
        tasks.start_soon(transport.mute)
        async with anyio.create_task_group() as connection:
            connection.start_soon(transport.write, from_session)
            connection.start_soon(session)
            async with anyio.create_task_group() as reading:
                reading.start_soon(transport.read)
                reading.start_soon(transport.feed, to_session)
                await transport.ended.wait()
                reading.cancel_scope.cancel()
            # The session sees its input end: it cancels the calls in flight, answers them, and closes the forum.
            await to_session.aclose()
        tasks.cancel_scope.cancel()
    return transport.exit_code


def serve(settings: Settings, *, tools: str = "all", read_only: bool = False) -> int:
    """Serve the forum of ``settings`` on stdin and stdout; see ``serve_forum``."""

    def open_forum() -> AbstractAsyncContextManager[Orchestrator]:
        from forum_mcp.engine.orchestrator import Orchestrator

        return Orchestrator.open(settings)

    return serve_forum(open_forum, tools=tools, read_only=read_only)


def serve_forum(open_forum: OpenForum, *, tools: str = "all", read_only: bool = False) -> int:
    """Serve a forum on stdin and stdout; return the exit code.

    Args:
        open_forum: opens the forum when a call first needs it; a call is told why it is refused, the next tries again.
        tools: toolset, see ``forum_mcp.tools.select``.
        read_only: serve no tool that changes the record.

    Raises:
        ConfigRefused: the toolset names something that does not exist.
    """
    server = build_server(open_forum, tools=tools, read_only=read_only)
    with diverted() as wire:
        return anyio.run(serve_stdio, server, wire)
