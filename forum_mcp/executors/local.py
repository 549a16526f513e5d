"""A GGUF file as an executor: llama.cpp's own server as a child of ours, and the chat executor against it.

The server starts with the first call, on 127.0.0.1 and a free port, behind a random key, and dies with us. When it
dies by itself the attempt that saw it ends with ``executor-crashed`` and the next one starts it again, twice at most;
after that every attempt fails the same way. A call that runs out of time while the model is still loading leaves it
loading for the next one. Several models share what ``machine.py`` gives them: an idle one may be unloaded for another.
"""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import anyio
import httpx2

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.executors.chat import ChatExecutor
from forum_mcp.executors.child import GRACE_S, Child, LaunchFailed
from forum_mcp.executors.llama_server import Order
from forum_mcp.executors.machine import Machine, TooLarge
from forum_mcp.executors.process import Launcher
from forum_mcp.executors.server import CutReplies

__all__ = ["CONTEXT_DEFAULT_TOKENS", "CONTEXT_MIN_TOKENS", "RESTARTS_MAX", "LocalExecutor", "build", "locate"]

CONTEXT_MIN_TOKENS: Final = 2_048
CONTEXT_DEFAULT_TOKENS: Final = 4_096
RESTARTS_MAX: Final = 2
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_STDERR_BYTES: Final = 8_192
_LOST: Final = frozenset({"connect", "connection-lost", "bad-response"})


@dataclass(frozen=True, slots=True)
class _Served:
    child: Child
    chat: ChatExecutor


class _NotServing(Exception):
    """The server is not there; the text says why."""


class LocalExecutor:
    """One model file, served by one child process to ``slots`` calls at once."""

    type = "local"
    egress: Egress = "none"

    def __init__(
        self,
        file: Path,
        *,
        model: str | None = None,
        slots: int = 4,
        context_tokens: int = CONTEXT_DEFAULT_TOKENS,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        cut_replies: CutReplies = "keep",
        memory_mb: int | None = None,
        machine: Machine | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.model = model or file.stem
        self._file = file
        self._size_bytes = file.stat().st_size
        self._slots = slots
        self._context_tokens = max(context_tokens, CONTEXT_MIN_TOKENS)
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._seed = seed
        self._cut_replies: CutReplies = cut_replies
        self.memory_mb = memory_mb or _estimated_mb(self._size_bytes, self._context_tokens * slots)
        self._machine = machine or Machine()
        self._env = dict(environ or {})
        self._launcher = Launcher()
        self._lock = anyio.Lock()
        self._starts = 0
        self._child: Child | None = None
        self._said = bytearray()
        self._api_key = secrets.token_hex(16)
        self._served: _Served | None = None
        self._stderr = bytearray()

    @property
    def pid(self) -> int | None:
        """Process id of the server, None while there is none."""
        return None if self._child is None else self._child.pid

    def identity(self) -> Mapping[str, object]:
        """Return file name and size, model and parameters; the temperature as text: the record holds no floats."""
        return {
            "type": self.type,
            "file": self._file.name,
            "size_bytes": self._size_bytes,
            "model": self.model,
            "context_tokens": self._context_tokens,
            "max_tokens": self._max_tokens,
            "temperature": None if self._temperature is None else repr(self._temperature),
            "seed": self._seed,
            "cut_replies": self._cut_replies,
        }

    async def perform(self, call: Call) -> Outcome:
        """Wait for a place, start the server when there is none, wait for the model, and make one request."""
        began = anyio.current_time()
        async with AsyncExitStack() as held:
            seated = False
            try:
                with anyio.move_on_after(call.timeout_ms / 1000):
                    await held.enter_async_context(self._machine.seat(self))
                    seated = True
            except TooLarge as fault:
                return Outcome(error="resource-limit", sent_model=self.model, detail=str(fault))
            if not seated:
                detail = f"other local models held the memory or the places for {call.timeout_ms} ms"
                return Outcome(error="timeout", sent_model=self.model, detail=detail)
            return await self._perform(call, began)

    async def unload(self) -> None:
        """End the server and give its memory back; it did not die, so this is none of its restarts."""
        async with self._lock:
            if self._child is not None:
                await self._discard()
                self._starts -= 1

    async def _perform(self, call: Call, began: float) -> Outcome:
        served, restart = None, None
        left_s = call.timeout_ms / 1000 - (anyio.current_time() - began)
        try:
            with anyio.move_on_after(left_s):
                async with self._lock:
                    starts = self._starts
                    served = await self._serve()
                    if self._starts > max(starts, 1):
                        restart = f"the local server had died; restart {self._starts - 1} of {RESTARTS_MAX}"
        except _NotServing as fault:
            return self._crashed(str(fault))
        except Exception as fault:
            return self._crashed(f"{type(fault).__name__} while starting the local server")
        left_ms = call.timeout_ms - round((anyio.current_time() - began) * 1000)
        if served is None or left_ms <= 0:
            detail = f"the model was not loaded within {call.timeout_ms} ms"
            return Outcome(error="timeout", sent_model=self.model, detail=detail)
        outcome = await served.chat.perform(replace(call, timeout_ms=left_ms))
        if outcome.error in _LOST and await self._has_died(served.child):
            return self._crashed(f"the local server died during the call ({_end_of(served.child)})")
        return replace(outcome, detail=outcome.detail or restart)

    async def aclose(self) -> None:
        """End the server."""
        with anyio.CancelScope(shield=True):
            await self._discard()
            await self._launcher.aclose()

    async def _serve(self) -> _Served:
        """Return the serving child, started and awaited when needed. Every step may be cancelled and gone on with.

        Raises:
            _NotServing: it cannot be started, or died too often.
        """
        if self._child is not None and self._child.has_ended():
            await self._discard()
        if self._child is None:
            await self._start()
        child = self._child
        assert child is not None
        self._collect_stderr(child)
        if self._served is None:
            url = await self._announced(child)
            await _check_health(url)
            chat = ChatExecutor(
                url,
                model=self.model,
                api_key=self._api_key,
                egress="none",
                max_tokens=self._max_tokens,
                temperature=self._temperature,
                seed=self._seed,
                cut_replies=self._cut_replies,
            )
            self._served = _Served(child, chat)
        return self._served

    async def _start(self) -> None:
        if self._starts > RESTARTS_MAX:
            raise _NotServing("the local server died too often and is not started again")
        package = find_spec("xllamacpp")
        assert package is not None
        assert package.origin is not None
        order: Order = {
            "path": [str(Path(package.origin).parent.parent)],
            "file": str(self._file),
            "alias": self.model,
            "slots": self._slots,
            "context_tokens": self._context_tokens,
            "threads": 1,
            "api_key": self._api_key,
        }
        script = Path(__file__).with_name("llama_server.py")
        argv = [os.fsencode(part) for part in (sys.executable, "-I", str(script))]
        self._said.clear()
        try:
            child = await self._launcher.start(argv, env=self._env)
        except LaunchFailed as fault:
            self._starts += 1
            raise _NotServing(f"the local server could not be started: {fault}") from None
        self._starts += 1
        self._child = child
        # A child that got half an order would wait for the rest; it fits into the pipe, so this never waits.
        with anyio.CancelScope(shield=True):
            await child.feed(json.dumps(order).encode())

    async def _announced(self, child: Child) -> str:
        """Return the base URL the child announces once the model is loaded."""
        while b"\n" not in self._said:
            part = await child.read(child.stdout)
            if not part:
                await child.wait_ended()
                reason = f"the local server ended while it loaded the model ({_end_of(child)})"
                await self._discard()
                raise _NotServing(reason)
            self._said += part
        return self._said.partition(b"\n")[0].decode()

    async def _has_died(self, child: Child) -> bool:
        """Return whether the child is dead, giving a dying one the time to be found."""
        with anyio.move_on_after(GRACE_S):
            async with self._lock:
                await child.wait_ended()
        if child is self._child:
            self._collect_stderr(child)
        # The next call finds it dead as well and replaces it.
        return child.has_ended()

    async def _discard(self) -> None:
        """End the child, if any, and forget it."""
        served, self._served = self._served, None
        child, self._child = self._child, None
        if served is not None:
            await served.chat.aclose()
        if child is not None:
            self._collect_stderr(child)
            await self._launcher.stop(child)

    def _collect_stderr(self, child: Child) -> None:
        self._stderr += child.read_left(child.stderr)
        del self._stderr[:-_STDERR_BYTES]

    def _crashed(self, what: str) -> Outcome:
        restarts = max(self._starts - 1, 0)
        return Outcome(
            error="executor-crashed",
            sent_model=self.model,
            detail=f"{what}; restarts so far: {restarts} of {RESTARTS_MAX}",
            stderr=self._stderr.decode("utf-8", "replace").encode() or None,
        )


async def _check_health(url: str) -> None:
    """Ask the server whether it serves: it announces itself only after the model is loaded.

    Raises:
        _NotServing: it says no.
    """
    async with httpx2.AsyncClient(trust_env=False) as client:
        status = (await client.get(f"{url}/health")).status_code
    if status != 200:
        raise _NotServing(f"the local server answers its health check with HTTP {status}")


def _estimated_mb(size_bytes: int, context_tokens: int) -> int:
    """Return what a model may take when it is loaded: its weights, a cache of 64 kB a token, and the server."""
    return round((size_bytes * 1.1 + context_tokens * 64_000) / 1_000_000) + 100


def _end_of(child: Child) -> str:
    if child.exit_code is not None:
        return f"exit code {child.exit_code}"
    return "killed" if child.signal is None else f"signal {child.signal}"


def locate(file: str) -> Path:
    """Return the weights named by a path, or by ``package:NAME``: the .gguf inside that installed package.

    Raises:
        ConfigRefused: no such package or file, several files, or not a GGUF file.
    """
    kind, _, package = file.partition(":")
    if kind == "package":
        # Found, not imported: such a package may need more than its weights. A dotted name would import parents.
        spec = find_spec(package) if package.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise ConfigRefused(f"{file!r} names a package that is not installed; install it or give a .gguf file")
        found = sorted(path for place in spec.submodule_search_locations for path in Path(place).glob("*.gguf"))
        if len(found) != 1:
            raise ConfigRefused(f"{file!r} must hold one .gguf file and holds {len(found)}; give the file's path")
        path = found[0]
    else:
        path = Path(file).expanduser().absolute()
    try:
        with path.open("rb") as weights:
            magic = weights.read(4)
    except OSError as fault:
        reason = (fault.strerror or "unreadable").lower()
        raise ConfigRefused(f"the model file {file!r} cannot be read: {reason}") from None
    if magic != b"GGUF":
        raise ConfigRefused(f"the model file {file!r} is not a GGUF file")
    return path


def build(name: str, settings: ExecutorSettings, machine: Machine | None = None) -> LocalExecutor:
    """Return the executor of a ``local`` section; ``machine`` is what it shares with others.

    Raises:
        ConfigRefused: the extra is not installed, or the file is missing or wrong.
    """
    if sys.platform == "win32":
        raise ConfigRefused(f"executor {name!r} of type 'local' needs a POSIX system; use 'chat' or 'host' instead")
    assert settings.file is not None
    if find_spec("xllamacpp") is None:
        raise ConfigRefused(
            f"executor {name!r} of type 'local' needs the package xllamacpp, which is not installed; "
            "run pip install 'forum-mcp[local]', or start with uvx --from 'forum-mcp[local]' forum-mcp"
        )
    try:
        file = locate(settings.file)
    except ConfigRefused as fault:
        raise ConfigRefused(f"executor {name!r}: {fault}") from None
    return LocalExecutor(
        file,
        model=settings.model,
        slots=settings.max_parallel,
        context_tokens=settings.context_tokens or CONTEXT_DEFAULT_TOKENS,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        seed=settings.seed,
        cut_replies=settings.cut_replies or "keep",
        memory_mb=settings.memory_mb,
        machine=machine,
        environ={variable: os.environ[variable] for variable in _ENVIRONMENT if variable in os.environ},
    )
