"""The daemon: a process of our own that holds runs, so that none ends because a window was closed.

It is told what to do over a unix socket (0600, in the user's runtime directory): one JSON object a line in, one out.

    {"do": "submit", "request": .., "plan": .., "idempotency_key": .., "by": .., "options": {..}}   -> {"run_id": ..}
    {"do": "fork", "run_id": .., "seq": .., "request": .., "plan": .., "by": .., "options": {..}}   -> {"run_id": ..}
    {"do": "resume", "run_id": ..}                                                                  -> {"run_id": ..}
    {"do": "status"}                                              -> {"pid": .., "ledger": .., "runs": [..], ..}
    {"do": "stop"}                                                                                  -> {"pid": ..}

It is nothing else than a forum on the same ledger: leases keep it and other processes apart, and a run whose daemon was
killed is interrupted and can be resumed like any other. It ends by itself once it has held no run for a while.
``python -m forum_mcp.engine.daemon SOCKET IDLE_S`` reads its settings, as JSON, from stdin.
"""

import fcntl
import logging
import os
import signal
import sys
from pathlib import Path
from typing import IO, Final

import anyio
import anyio.abc
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import ForumError, RequestRefused

__all__ = ["LINE_MAX", "Order", "main", "serve"]

LINE_MAX: Final = 64 * 1024 * 1024
"""Bytes one line of the socket may have."""

_LOOK_S: Final = 1.0
_TALK_S: Final = 30.0
_log = logging.getLogger(__name__)


class Order(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a client asks of the daemon."""

    do: str
    request: str | None = None
    plan: dict[str, object] | str | None = None
    idempotency_key: str | None = None
    by: str = "person:local"
    run_id: str = ""
    seq: int | None = None
    options: dict[str, object] = {}


async def serve(settings: Settings, socket: Path, idle_s: float, ready: "anyio.Event | None" = None) -> bool:
    """Hold runs until told to stop or ``idle_s`` seconds have passed without one.

    Return False at once when another daemon already serves this socket.

    Raises:
        ForumError: the settings or the ledger cannot be used.
    """
    handle = os.open(socket.with_suffix(".lock"), os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(handle, "w") as lock:
        if not _locked(lock):
            return False
        _forget(socket)  # of a daemon that was killed: nobody else holds the lock
        async with Orchestrator.open(settings) as forum:
            daemon = _Daemon(forum, idle_s)
            listener = await anyio.create_unix_listener(socket, mode=0o600)
            try:
                async with listener, anyio.create_task_group() as group:
                    group.start_soon(daemon.end, group.cancel_scope)
                    group.start_soon(daemon.end_on_signal)
                    _log.info("holding runs of %s", forum.ledger.store.path)
                    if ready is not None:
                        ready.set()
                    await listener.serve(daemon.talk)
            finally:
                _forget(socket)
    return True


def _forget(socket: Path) -> None:
    socket.unlink(missing_ok=True)


def _locked(file: "IO[str]") -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class _Daemon:
    """One forum, and those who talk to it."""

    def __init__(self, forum: Orchestrator, idle_s: float) -> None:
        self._forum = forum
        self._idle_s = idle_s
        self._talking = 0
        self._stop = anyio.Event()
        self._answered = anyio.Event()

    async def end(self, scope: anyio.CancelScope) -> None:
        """Cancel the scope when told to stop, or when nothing was held for long enough."""
        idle_since = anyio.current_time()
        while not self._stop.is_set():
            if self._forum.holds() or self._talking:
                idle_since = anyio.current_time()
            elif anyio.current_time() - idle_since >= self._idle_s:
                _log.info("nothing was held for %g s", self._idle_s)
                break
            with anyio.move_on_after(min(_LOOK_S, self._idle_s)):
                await self._stop.wait()
        with anyio.move_on_after(_LOOK_S):  # whoever said so hears of it
            while self._talking:
                await self._answered.wait()
        scope.cancel()

    async def end_on_signal(self) -> None:
        """Stop in order at SIGTERM and SIGINT."""
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                self._stop.set()

    async def talk(self, stream: anyio.abc.ByteStream) -> None:
        """Take one order and answer it."""
        self._talking += 1
        try:
            async with stream:
                with anyio.move_on_after(_TALK_S):
                    try:
                        line = await BufferedByteReceiveStream(stream).receive_until(b"\n", LINE_MAX)
                        answer = await self._obey(msgspec.json.decode(line, type=Order))
                    except ForumError as error:
                        answer = {"error": error.code, "message": str(error)}
                    except (msgspec.MsgspecError, anyio.DelimiterNotFound) as error:
                        answer = {"error": RequestRefused.code, "message": f"not an order of the daemon: {error}"}
                    await stream.send(msgspec.json.encode(answer) + b"\n")
        except (anyio.IncompleteRead, anyio.BrokenResourceError, anyio.EndOfStream):
            _log.info("somebody went away before the answer")
        finally:
            self._talking -= 1
            self._answered.set()
            self._answered = anyio.Event()

    async def _obey(self, order: Order) -> dict[str, object]:
        match order.do:
            case "submit":
                view = await self._forum.submit(
                    order.request,
                    plan=order.plan,
                    idempotency_key=order.idempotency_key,
                    by=order.by,
                    wait_s=0,
                    **order.options,  # type: ignore[arg-type]  # checked by the contract they become
                )
                return {"run_id": view.run_id}
            case "fork":
                if isinstance(order.plan, str):
                    raise RequestRefused("the plan of a fork is a plan, not the id of a run")
                view = await self._forum.fork(
                    order.run_id,
                    seq=order.seq,
                    request=order.request,
                    plan=order.plan,
                    by=order.by,
                    wait_s=0,
                    **order.options,  # type: ignore[arg-type]  # checked by the contract they become
                )
                return {"run_id": view.run_id}
            case "resume":
                return {"run_id": (await self._forum.resume(order.run_id, wait_s=0)).run_id}
            case "stop":
                self._stop.set()
            case "status":
                pass
            case _:
                raise RequestRefused(
                    f"the daemon does not know {order.do[:40]!r}; it submits, forks, resumes, tells and stops"
                )
        return {
            "pid": os.getpid(),
            "ledger": str(self._forum.ledger.store.path),
            "runs": self._forum.holds(),
            "idle_s": self._idle_s,
        }


def main() -> None:
    """Serve the settings on stdin; say ``ready``, ``busy`` or what is wrong in one line on stdout."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s")
    settings = Settings.model_validate_json(sys.stdin.buffer.read())

    async def run() -> None:
        ready = anyio.Event()

        async def tell() -> None:
            await ready.wait()
            _say("ready")

        async with anyio.create_task_group() as group:
            group.start_soon(tell)
            if not await serve(settings, Path(sys.argv[1]), float(sys.argv[2]), ready):
                _say("busy")
            group.cancel_scope.cancel()

    try:
        anyio.run(run)
    except BaseExceptionGroup as errors:
        refusals = errors.subgroup(ForumError)
        if refusals is None:
            raise
        _log.error("ended: %s", refusals.exceptions[0])
        _say(str(refusals.exceptions[0]))


def _say(word: str) -> None:
    """Write one line to whoever started the daemon, and let stdout go."""
    sys.stdout.write(word.replace("\n", " ") + "\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
