"""Handing runs to the daemon: finding the one of these settings, starting it, and talking to it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

import forum_mcp.errors as tree
from forum_mcp.configs.paths import MEMORY, default_ledger, private_dir, runtime_dir, state_dir
from forum_mcp.configs.settings import Settings
from forum_mcp.engine.views import DaemonsView, DaemonView
from forum_mcp.errors import ConfigRefused, ForumError, NotFound, RequestRefused

__all__ = ["IDLE_S", "ask_daemon", "ask_daemons", "start_daemon", "stop_daemons"]

IDLE_S: Final = 600.0
"""How long a daemon stays without a run, seconds."""

_TALK_S: Final = 30.0
_PATH_MAX: Final = 100
_LINE_MAX: Final = 1_000_000


def _place(settings: Settings) -> tuple[Path, str]:
    """Return the socket of the daemon of these settings, and the settings as it reads them."""
    if sys.platform == "win32":
        raise RequestRefused("runs cannot be detached here: that takes unix sockets; leave --detach off")
    if settings.ledger == MEMORY:
        raise RequestRefused("a run in a ledger in memory cannot be detached; name a ledger file, or leave detach off")
    ledger = str(Path(settings.ledger or default_ledger()).expanduser().absolute())
    text = settings.model_copy(update={"ledger": ledger}).model_dump_json(exclude_unset=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    socket = private_dir(runtime_dir(), "the runtime directory") / f"runs-{name}.sock"
    if len(os.fsencode(socket)) > _PATH_MAX:
        raise ConfigRefused(
            f"the path of the daemon's socket, {socket}, is too long; set XDG_RUNTIME_DIR to a short one"
        )
    return socket, text


async def start_daemon(settings: Settings, *, idle_s: float = IDLE_S) -> DaemonView:
    """Return the daemon of these settings, started if there was none.

    Raises:
        ConfigRefused: it cannot be started; says why.
    """
    socket, text = _place(settings)
    try:
        return _view(await _ask(socket, {"do": "status"}))
    except NotFound:
        log = private_dir(state_dir(), "the state directory") / f"{socket.stem}.log"
        said = await anyio.to_thread.run_sync(_start, socket, text, idle_s, log)
        if said not in ("ready", "busy"):
            raise ConfigRefused(f"the daemon did not start; {said or 'it said nothing'}; its log is {log}") from None
        with anyio.fail_after(_TALK_S):
            while True:
                try:
                    return _view(await _ask(socket, {"do": "status"}))
                except NotFound:
                    await anyio.sleep(0.05)  # another process starts it at this moment


def _start(socket: Path, text: str, idle_s: float, log: Path) -> str:
    """Start the process in a session of its own and return the first line it says."""
    argv = [sys.executable, "-P", "-m", "forum_mcp.engine.daemon", str(socket), str(idle_s)]
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=handle, start_new_session=True
        )
    finally:
        os.close(handle)
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        child.stdin.write(text.encode())
        child.stdin.close()
        said = child.stdout.readline().decode().strip()
    child.returncode = child.poll() or 0  # it outlives us: nobody is to wait for it
    return said


async def ask_daemon(settings: Settings, order: Mapping[str, object]) -> str:
    """Have the daemon of these settings, started if need be, take a run; return the run's id.

    Raises:
        ForumError: what the daemon's forum refused, as if it were refused here.
    """
    await start_daemon(settings)
    socket, _ = _place(settings)
    return str((await _ask(socket, order))["run_id"])


async def ask_daemons(do: str = "status") -> DaemonsView:
    """Tell every daemon of this user to tell (``status``) or ``stop``, and return what they said."""
    found: list[DaemonView] = []
    for socket in sorted(runtime_dir().glob("runs-*.sock")):
        try:
            found.append(_view(await _ask(socket, {"do": do})))
        except NotFound:
            continue
    return DaemonsView(daemons=found)


async def stop_daemons() -> DaemonsView:
    """Stop every daemon of this user and wait until each has let its runs go, in order."""
    stopped = await ask_daemons("stop")
    with anyio.move_on_after(_TALK_S):
        while True:
            if not (await ask_daemons()).daemons:
                break
            await anyio.sleep(0.05)
    return stopped


def _view(told: Mapping[str, object]) -> DaemonView:
    return msgspec.convert(told, DaemonView)


async def _ask(socket: Path, order: Mapping[str, object]) -> dict[str, object]:
    """Send one order and return the answer.

    Raises:
        NotFound: nobody listens there.
        ForumError: the daemon refused.
    """
    try:
        stream = await anyio.connect_unix(socket)
    except OSError:
        raise NotFound("no daemon of these settings is running; start it: forum-mcp serve --detach") from None
    try:
        async with stream:
            with anyio.fail_after(_TALK_S):
                await stream.send(msgspec.json.encode(order) + b"\n")
                line = await BufferedByteReceiveStream(stream).receive_until(b"\n", _LINE_MAX)
    except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead):
        raise NotFound("the daemon ended before it answered; its log is in the state directory") from None
    answer = msgspec.json.decode(line, type=dict[str, object])
    if "error" in answer:
        raise _error(str(answer["error"]), str(answer["message"]))
    return answer


def _error(code: str, message: str) -> ForumError:
    classes = [cast("type[ForumError]", getattr(tree, name)) for name in tree.__all__]
    return next((each for each in classes if each.code == code), RequestRefused)(message)
