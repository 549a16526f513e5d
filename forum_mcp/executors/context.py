"""Context providers: reading what the operator lets a run be given, behind the port of an executor.

A reading gets the request (a command on stdin, so that it may look for what the request is about) and answers with the
text. It costs nothing, is never repeated by itself, and ends with the run like any call.
"""

import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio.to_thread

from forum_mcp.configs.context import ContextSettings
from forum_mcp.configs.executor import ExecutorSettings
from forum_mcp.executors.base import Call, Egress, Executor, Outcome

__all__ = ["ContextReader", "build"]

_READ_BYTES: Final = 1_048_576
"""Most bytes of a reading that are kept; what a run is shown of them is less, by characters."""


class ContextReader:
    """One provider: ``read`` does one reading."""

    type = "context"
    model = None

    def __init__(
        self,
        read: Callable[[Call], Awaitable[Outcome]],
        *,
        identity: Mapping[str, object],
        egress: Egress,
        inner: Executor | None = None,
    ) -> None:
        self.egress: Egress = egress
        self._read = read
        self._identity = identity
        self._inner = inner

    def identity(self) -> Mapping[str, object]:
        """Return what is read, and how."""
        return self._identity

    async def perform(self, call: Call) -> Outcome:
        """Read once, within the call's time limit."""
        with anyio.move_on_after(call.timeout_ms / 1000):
            return replace(_bounded(await self._read(call)), tokens_in=0, tokens_out=0, cost_microusd=0)
        return Outcome(error="timeout", detail=f"ended after {call.timeout_ms} ms, the time limit of the reading")

    async def aclose(self) -> None:
        """End what reads, if it is a command."""
        if self._inner is not None:
            await self._inner.aclose()


def build(name: str, settings: ContextSettings) -> ContextReader:
    """Return the reader of a ``[context.NAME]`` table; it reads nothing yet.

    Raises:
        ConfigRefused: a command without sense, or no process control on this system.
    """
    if settings.type == "file":
        path = Path(settings.path or "").expanduser()
        return ContextReader(_file_reader(path), identity={"type": "file", "path": str(path)}, egress="none")
    if settings.type == "resource":
        from forum_mcp.executors.resource import read_resource  # brings the SDK's client, which few processes need

        return ContextReader(
            read_resource(settings),
            identity={"type": "resource", "uri": settings.uri, "argv": list(settings.argv), "url": settings.url},
            egress=settings.egress,
        )
    from forum_mcp.executors.command import build as build_command

    command = build_command(
        f"context.{name}",
        ExecutorSettings(
            type="command",
            argv=settings.argv,
            env=settings.env,
            pass_env=settings.pass_env,
            egress=settings.egress,
            timeout_s=settings.timeout_s,
            attempts=1,
        ),
    )
    return ContextReader(command.perform, identity=command.identity(), egress=settings.egress, inner=command)


def _file_reader(path: Path) -> Callable[[Call], Awaitable[Outcome]]:
    async def read(_: Call) -> Outcome:
        return await anyio.to_thread.run_sync(_read_file, path, abandon_on_cancel=True)

    return read


def _read_file(path: Path) -> Outcome:
    """Return what a regular file holds; anything else could block for ever or has no end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return Outcome(error="not-found", detail=f"{path.name} is no regular file; name one in its path")
            data = file.read(_READ_BYTES + 1)
    except OSError as error:
        why = (error.strerror or "unreadable").lower()
        return Outcome(error="not-found", detail=f"{path.name} cannot be read: {why}")
    return Outcome(reply=data)


def _bounded(outcome: Outcome) -> Outcome:
    if len(outcome.reply or b"") <= _READ_BYTES:
        return outcome
    return replace(outcome, reply=_whole_characters((outcome.reply or b"")[:_READ_BYTES]), truncated=True)


def _whole_characters(data: bytes) -> bytes:
    """Return the bytes without a character that the cut went through."""
    try:
        data.decode()
    except UnicodeDecodeError as fault:
        return data[: fault.start] if fault.reason == "unexpected end of data" else data
    return data
