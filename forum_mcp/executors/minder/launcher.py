"""The process that starts commands for us and outlives us just long enough to end them.

``main`` is the whole of a process whose stdin is a unix stream socket; one thread. For each request (one byte with
four descriptors: the command's stdin, stdout, stderr and a *call socket*) it forks a **minder**, which owns exactly
one command:

- the command gets its own session, default signals, the directory and the confinement it was ordered, and no
  descriptor but 0, 1, 2;
- the minder is the subreaper of all the command starts: daemons which left the group are still found;
- when the command ends, when ``K`` arrives, when the call socket closes (also because the process that held it was
  killed), or when all of it together exceeds its limits, whatever is left below the minder is killed, and a directory
  that was made for it is removed.

Call socket, towards the minder: a frame (4-byte big-endian length, then NUL-separated: a ``Confinement`` in JSON,
argument count, arguments, ``NAME=value`` ...; the first argument is the executable's path), then single bytes: ``T``
for SIGTERM to the command's group, ``K`` for killing everything now. From the minder, ASCII lines: ``P <pid>``
started, ``E <errno>`` could not be executed, ``C <errno>`` could not be confined, ``D <errno>`` no directory could be
made for it, ``F <errno>`` the minder itself failed, ``L <number>`` ended for a limit (1 processes, 2 memory),
``X <code>`` exited, ``S <number>`` ended by a signal; then the end of the stream, once everything below is gone.

Why a process of its own: ``preexec_fn`` runs Python between fork and exec of a process that may have threads and
forces a fork that grows with our memory (measured: 1.6 ms, 12.5 ms at 400 MB), and PR_SET_PDEATHSIG alone reaches no
grandchild and fires when the starting thread ends. A Python supervisor per command costs 11 ms each.
"""

import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import cast

from . import cgroup, watch
from .confinement import confine, group_of
from .order import Confinement, Limits
from .removal import remove_tree

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FAULT = 3
_WATCH_S = 0.05
_LIMITS = {"processes": 1, "memory": 2}
_LIBC = ctypes.CDLL(None)
_RESET = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)


def main() -> None:
    """Fork a minder for each request until the control socket closes."""
    control = socket.socket(fileno=os.dup(0))
    os.set_inheritable(control.fileno(), False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    # What a minder that was killed leaves behind becomes ours.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wake = _wake_on_child()
    minders: set[int] = set()
    while True:
        ready, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in ready:
            _drain(wake)
            _tidy(minders)
        if control.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 4)
            if not message:
                _tidy(minders)
                return
            # A refused fork closes the call socket: the other side sees the end without a status.
            with contextlib.suppress(OSError):
                minder = os.fork()
                if minder == 0:
                    control.close()
                    os.close(wake)
                    _mind(descriptors)
                minders.add(minder)
            for descriptor in descriptors:
                os.close(descriptor)


def _tidy(minders: set[int]) -> None:
    """Reap the minders that ended, and end what a killed one left: a command may turn against its minder.

    One that was stopped minds nothing, so it is killed, which takes its command along.
    """
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG | os.WUNTRACED))[0]:
            if os.WIFSTOPPED(found[1]):
                os.kill(found[0], signal.SIGKILL)
            else:
                minders.discard(found[0])
    for orphan in set(watch.children(os.getpid())) - minders:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(orphan, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    """Set a process attribute on Linux; elsewhere orphans that left the group are not found."""
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


def _mind(descriptors: list[int]) -> None:
    """Own one command from start to the end of everything it left behind."""
    call = socket.socket(fileno=descriptors[3])
    made, group, failed = None, None, "F"
    try:
        os.setsid()
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        parts = _exactly(call, int.from_bytes(_exactly(call, 4), "big")).split(b"\0")
        order, count = cast("Confinement", json.loads(parts[0])), int(parts[1])
        if order["made"]:
            failed = "D"
            Path(order["directory"]).mkdir(mode=0o700)
            made, failed = order["directory"], "F"
        wake = _wake_on_child()
        failed = "C"
        group = group_of(order["limits"])
        failed = "E"
        command = _start(parts[2 : 2 + count], parts[2 + count :], order, group, descriptors[:3])
        failed = "F"
        for descriptor in descriptors[:3]:
            os.close(descriptor)
        _tell(call, f"P {command}")
        _watch(call, wake, command, order["limits"], group)
    except _NotConfinedError as fault:
        _tell(call, f"C {fault.errno}")
    except OSError as fault:
        _tell(call, f"{failed} {fault.errno}")
    except EOFError:
        pass
    finally:
        if group is not None:
            cgroup.remove(group)
        if made is not None:
            remove_tree(made)
        os._exit(0)


def _exactly(call: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        part = call.recv(count - len(received))
        if not part:
            raise EOFError
        received += part
    return bytes(received)


def _tell(call: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):
        call.sendall(line.encode() + b"\n")


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable whenever a child ends."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, _ignore)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _drain(wake: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while os.read(wake, 4096):
            pass


def _ignore(_number: int, _frame: object) -> None:
    """Handle SIGCHLD: being caught is what writes to the wake-up descriptor."""


class _NotConfinedError(OSError):
    """The command was not begun, because it could not be put into its confinement."""


def _start(argv: list[bytes], env: list[bytes], order: Confinement, group: Path | None, stdio: list[int]) -> int:
    """Fork, confine and exec the command; return its process id, which is also its group and session.

    Raises:
        _NotConfinedError: its confinement cannot be had; the child is reaped.
        OSError: it could not be executed; the child is reaped.
    """
    minder = os.getpid()
    fault_r, fault_w = os.pipe()
    command = os.fork()
    if command == 0:
        stage = b"E"
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in _RESET:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.chdir(order["directory"])
            fault_w = _place(stdio, fault_w)
            stage = b"C"
            confine(order, group)
            stage = b"E"
            # A minder that is killed takes the command with it; a setuid command clears this, as does a change of
            # credentials: hence only now.
            _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
            if os.getppid() != minder:
                os._exit(127)
            variables = (pair.partition(b"=") for pair in env)
            os.execve(argv[0], argv, {name: value for name, _, value in variables})  # noqa: S606
        except Exception as fault:
            # execve refuses some arguments before the kernel does, with a ValueError.
            code = fault.errno if isinstance(fault, OSError) else errno.EINVAL
            os.write(fault_w, stage + str(code).encode())
        finally:
            os._exit(127)
    os.close(fault_w)
    reason = os.read(fault_r, 16)
    os.close(fault_r)
    if reason:
        os.waitpid(command, 0)
        kind = _NotConfinedError if reason[:1] == b"C" else OSError
        raise kind(int(reason[1:]), "could not be started")
    return command


def _place(stdio: list[int], fault: int) -> int:
    """Make ``stdio`` 0, 1, 2 and ``fault`` 3 (closed by exec), close everything else; return 3."""
    # Copies above the targets first, so that no dup2 overwrites a source that is still needed.
    for target, source in enumerate([_above(descriptor) for descriptor in (*stdio, fault)]):
        os.dup2(source, target, inheritable=target < _FAULT)
    os.closerange(_FAULT + 1, os.sysconf("SC_OPEN_MAX"))
    return _FAULT


def _above(descriptor: int) -> int:
    copies = [descriptor]
    while copies[-1] <= _FAULT:
        copies.append(os.dup(copies[-1]))
    return copies[-1]


def _watch(call: socket.socket, wake: int, command: int, limits: Limits | None, group: Path | None) -> None:
    """Obey the call socket and the limits until the command ends; then leave nothing behind."""
    ended = None
    while ended is None:
        ready, _, _ = select.select([call.fileno(), wake], [], [], None if limits is None else _WATCH_S)
        if limits is not None and (what := watch.exceeded(os.getpid(), limits["processes"], limits["memory_bytes"])):
            _tell(call, f"L {_LIMITS[what]}")
            watch.kill_below(os.getpid())
            limits = None
        if call.fileno() in ready:
            try:
                order = call.recv(1)
            except OSError:
                order = b""
            if order == b"T":
                _signal_group(command, signal.SIGTERM)
            else:
                _signal_group(command, signal.SIGKILL)
                os.waitid(os.P_PID, command, os.WEXITED | os.WNOWAIT)
        _drain(wake)
        _reap_adopted(command)
        ended = os.waitid(os.P_PID, command, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            # The group goes while its leader is still a zombie: only until then is the number surely ours.
            _signal_group(command, signal.SIGKILL)
            os.waitpid(command, 0)
            exited = ended.si_code == os.CLD_EXITED
            # A fork bomb whose first process falls over the refusal is gone before it is looked at.
            if limits is not None and group is not None and ended.si_status != 0 and cgroup.refused(group):
                _tell(call, f"L {_LIMITS['processes']}")
            _tell(call, f"{'X' if exited else 'S'} {ended.si_status}")
    _end_adopted()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _reap_adopted(command: int) -> None:
    """Reap orphans that ended while the command runs; the command itself stays for its status."""
    with contextlib.suppress(ChildProcessError):
        while True:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None or ended.si_pid == command:
                return
            os.waitpid(ended.si_pid, 0)


def _end_adopted() -> None:
    """Kill children until none is left; the children of a killed child become ours and follow."""
    if sys.platform == "linux":
        watch.kill_below(os.getpid())
    with contextlib.suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
            for child in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def _children() -> list[int]:
    """Return the processes whose parent we are (Linux; elsewhere nothing is ever adopted)."""
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may hold anything, so count from its last ")": state, then parent.
            if int(status.read_bytes().rpartition(b")")[2].split()[1]) == os.getpid():
                found.append(int(status.parent.name))
    return found
