"""Processes that cannot outlive us, hang us or fill our memory: our side of ``minder/launcher.py``.

A ``Launcher`` belongs to one executor. Its helper process starts with the first command and ends with
``aclose``, or with us: the sockets it watches are held by this process alone. Nothing here blocks the event
loop for longer than one read of a pipe, and every wait may be cancelled.
"""

import contextlib
import errno
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio

from forum_mcp.executors.child import GRACE_S, Child, LaunchFailed
from forum_mcp.executors.minder.order import Confinement
from forum_mcp.executors.minder.removal import remove_tree

__all__ = ["Ended", "Launcher", "Limits", "private_directory", "unconfined"]


# Found beside this file and at the end of the path: it needs the standard library and nothing else of ours.
_MINDER = "import sys; sys.path.append(sys.argv[1]); from minder.launcher import main; main()"
_HELPER_ENV = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one command may take.

    Attributes:
        timeout_s: seconds until it is ended.
        stdout_bytes: most bytes of stdout kept; one more ends the command.
        stderr_bytes: how many of the last bytes of stderr are kept; any number is read.
    """

    timeout_s: float
    stdout_bytes: int = 1_048_576
    stderr_bytes: int = 8_192


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        cut: why we ended it, or None when it ended by itself.
        exit_code: its exit code, None when a signal ended it or when nothing is known.
        signal: number of the signal that ended it.
        exceeded: the limit that all it started together exceeded, for which it was killed.
        stdout: what it said, at most ``Limits.stdout_bytes``.
        stderr: the tail of what it said there, at most ``Limits.stderr_bytes``.
    """

    cut: Literal["timeout", "output-limit"] | None
    exit_code: int | None
    signal: int | None
    exceeded: Literal["processes", "memory"] | None
    stdout: bytes
    stderr: bytes


class _Output:
    """What is kept of a command's output; bounded however much comes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.over = False

    def take_stdout(self, part: bytes) -> None:
        self.stdout += part
        if len(self.stdout) > self._limits.stdout_bytes:
            self.over = True
            del self.stdout[self._limits.stdout_bytes :]

    def take_stderr(self, part: bytes) -> None:
        self.stderr += part
        del self.stderr[: -self._limits.stderr_bytes]

    async def follow_stdout(self, child: Child, scope: anyio.CancelScope) -> None:
        while not self.over and (part := await child.read(child.stdout)):
            self.take_stdout(part)
        if self.over:
            scope.cancel()

    async def follow_stderr(self, child: Child) -> None:
        while part := await child.read(child.stderr):
            self.take_stderr(part)


class Launcher:
    """Starts commands through one helper process, started when first needed and again when it died."""

    def __init__(self) -> None:
        self._helper: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._children: set[Child] = set()

    async def run(
        self,
        argv: Sequence[bytes],
        *,
        env: Mapping[str, str],
        stdin: bytes | None,
        limits: Limits,
        confinement: Confinement | None = None,
    ) -> Ended:
        """Run a command to its end. ``argv[0]`` is a path; ``stdin`` None is an empty stdin.

        Without a ``confinement`` it runs in an empty private directory.

        When this returns or raises, the command and everything it started were killed (bounded wait; see
        ``Child.kill``).

        Raises:
            LaunchFailed: it could not be started.
        """
        order = confinement or unconfined(private_directory())
        child = self._begin(with_stdin=stdin is not None)
        output = _Output(limits)
        cut: Literal["timeout", "output-limit"] | None = None
        try:
            with anyio.move_on_after(limits.timeout_s) as deadline:
                await child.launch(_frame(argv, env, order))
                async with anyio.create_task_group() as group:
                    group.start_soon(child.feed, stdin or b"")
                    group.start_soon(output.follow_stdout, child, group.cancel_scope)
                    group.start_soon(output.follow_stderr, child)
                    await child.wait_ended()
                    # What it left behind may hold its pipes: wait for that to be killed, not for the pipes.
                    await child.wait_gone(GRACE_S)
                    group.cancel_scope.cancel()
            if deadline.cancelled_caught and not child.has_ended():
                cut = "timeout"
                await child.terminate()
            elif output.over:
                await child.kill()
            output.take_stdout(child.read_left(child.stdout))
            output.take_stderr(child.read_left(child.stderr))
        except anyio.get_cancelled_exc_class():
            await child.terminate()
            raise
        finally:
            self._release(child)
            if order["made"] and child.pid is not None and child.exit_code is None and child.signal is None:
                # Its minder was killed and could not do this itself.
                remove_tree(order["directory"])
        if output.over and cut is None:
            cut = "output-limit"
        return Ended(cut, child.exit_code, child.signal, child.exceeded, bytes(output.stdout), bytes(output.stderr))

    async def start(self, argv: Sequence[bytes], *, env: Mapping[str, str]) -> Child:
        """Start a long-lived command with an open stdin; end it with ``stop``.

        Raises:
            LaunchFailed: it could not be started.
        """
        child = self._begin(with_stdin=True)
        try:
            await child.launch(_frame(argv, env, unconfined(private_directory())))
        except BaseException:
            self._release(child)
            raise
        return child

    async def stop(self, child: Child) -> None:
        """End a long-lived command and everything below it; stopping twice is harmless."""
        if child in self._children:
            await child.terminate()
            self._release(child)

    async def aclose(self) -> None:
        """Kill what still runs and end the helper; closing twice is harmless."""
        for child in self._children:
            child.order_kill()
        control, helper = self._control, self._helper
        self._control = self._helper = None
        if control is None or helper is None:
            return
        with anyio.CancelScope(shield=True):
            control.shutdown(socket.SHUT_WR)
            with anyio.move_on_after(GRACE_S) as patience:
                await anyio.wait_readable(control)
            if patience.cancelled_caught:
                helper.kill()
            control.close()
            # It closed its socket by exiting or was killed: this takes microseconds.
            helper.wait()

    def _begin(self, *, with_stdin: bool) -> Child:
        """Make pipes and a call socket, and hand their far ends to a new minder."""
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            call, far = socket.socketpair()
            ours.callback(call.close)
            theirs.callback(far.close)
            call.setblocking(False)
            far_stdin = os.open(os.devnull, os.O_RDONLY)
            theirs.callback(os.close, far_stdin)
            stdin = None
            if with_stdin:
                far_stdin, stdin = _pipe(theirs, ours)
            stdout, far_stdout = _pipe(ours, theirs)
            stderr, far_stderr = _pipe(ours, theirs)
            for descriptor in (stdin, stdout, stderr):
                if descriptor is not None:
                    os.set_blocking(descriptor, False)
            self._hand_over([far_stdin, far_stdout, far_stderr, far.fileno()])
            ours.pop_all()
            child = Child(call, stdin, stdout, stderr)
        self._children.add(child)
        return child

    def _release(self, child: Child) -> None:
        child.close()
        self._children.discard(child)

    def _hand_over(self, descriptors: list[int]) -> None:
        try:
            control = self._helper_socket()
            if self._helper is not None:
                self._helper.send_signal(signal.SIGCONT)  # a command may have stopped it
            socket.send_fds(control, [b"\0"], descriptors)
        except (BrokenPipeError, ConnectionError):
            # It was killed (it never ends by itself): one new one for this command.
            socket.send_fds(self._helper_socket(renew=True), [b"\0"], descriptors)

    def _helper_socket(self, *, renew: bool = False) -> socket.socket:
        if renew and self._control is not None and self._helper is not None:
            self._control.close()
            self._helper.kill()
            self._helper.wait()
            self._control = None
        if self._control is None:
            control, far = socket.socketpair()
            with contextlib.ExitStack() as unstarted, far:
                unstarted.callback(control.close)
                self._helper = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-X", "utf8", "-c", _MINDER, str(Path(__file__).parent)],
                    stdin=far.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env={name: os.environ[name] for name in _HELPER_ENV if name in os.environ},
                    start_new_session=True,
                )
                unstarted.pop_all()
            self._control = control
        return self._control


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """Return a pipe's ends, each closed by the stack of the side that uses it."""
    ends = os.pipe()
    reader.callback(os.close, ends[0])
    writer.callback(os.close, ends[1])
    return ends


def private_directory() -> Path:
    """Return the path of a directory for one command, which its minder makes and removes."""
    return Path(tempfile.gettempdir()) / f"forum-{secrets.token_hex(8)}"


def unconfined(directory: Path) -> Confinement:
    """Return the confinement of a command that has nothing but a directory made for it."""
    return {"directory": str(directory), "made": True, "limits": None, "landlock": None, "network": True}


def _frame(argv: Sequence[bytes], env: Mapping[str, str], order: Confinement) -> bytes:
    """Return the request for the minder (format: minder/launcher.py).

    Raises:
        LaunchFailed: an argument or a variable holds a NUL byte, which no process can be given.
    """
    variables = [os.fsencode(f"{name}={value}") for name, value in env.items()]
    if any(b"\0" in part for part in (*argv, *variables)):
        raise LaunchFailed("an argument holds a NUL byte; pass the prompt on stdin", errno.EINVAL)
    body = b"\0".join([json.dumps(order).encode(), b"%d" % len(argv), *argv, *variables])
    return len(body).to_bytes(4, "big") + body
