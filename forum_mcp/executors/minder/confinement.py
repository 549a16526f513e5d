"""What a command is put into between fork and exec.

Each part of a ``Confinement`` either holds when the command begins or the command does not begin: there is no weaker
way that is taken in silence.
"""

import ctypes
import errno
import os
import resource
from pathlib import Path
from typing import Final

from . import cgroup, landlock, watch
from .order import Confinement, Limits

__all__ = ["SLACK", "confine", "group_of"]

SLACK: Final = 16
"""How far beyond its limit the kernel lets a command go, so that the watch sees it and can tell."""

_PR_CAPBSET_DROP: Final = 24
_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def group_of(limits: Limits | None) -> Path | None:
    """Return the control group a command needs for its limit of processes, made; None where it needs none.

    Raises:
        OSError: it needs one that cannot be made.
    """
    if limits is None or limits["processes"] is None or os.getuid() != 0:
        return None
    return cgroup.make(limits["processes"] + SLACK)


def confine(given: Confinement, group: Path | None) -> None:
    """Put this process, which is about to become the command, into its confinement and its control group.

    Raises:
        OSError: a part of it cannot be had.
    """
    if not given["network"]:
        _leave_the_network()
    if given["limits"] is not None:
        _limit(given["limits"], group)
    if given["landlock"] is not None:
        if os.geteuid() == 0:
            _drop_capabilities()
        landlock.restrict(given["landlock"]["readable"], given["landlock"]["writable"])


def _limit(limits: Limits, group: Path | None) -> None:
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        raise OSError(errno.ENOSYS, "this kernel does not tell the children of a process")
    bounds = {
        # The second word is the kernel's: SIGKILL a little after the SIGXCPU that says why.
        resource.RLIMIT_CPU: (limits["cpu_s"], limits["cpu_s"] + 5),
        resource.RLIMIT_DATA: (limits["memory_bytes"], limits["memory_bytes"]),
        resource.RLIMIT_FSIZE: (limits["file_bytes"], limits["file_bytes"]),
        resource.RLIMIT_NOFILE: (limits["open_files"], limits["open_files"]),
        resource.RLIMIT_CORE: (0, 0),
    }
    if group is not None:
        cgroup.enter(group)
    elif limits["processes"] is not None:
        # It counts all threads of the user, whosoever started them.
        most = watch.threads_of_user(os.getuid()) + limits["processes"] + SLACK
        bounds[resource.RLIMIT_NPROC] = (most, most)
    for number, (soft, hard) in bounds.items():
        ceiling = resource.getrlimit(number)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(number, (soft, hard))


def _leave_the_network() -> None:
    """Enter a network namespace of our own: no interface but a loopback that is down."""
    user, group = os.geteuid(), os.getegid()
    if user == 0 and _LIBC.unshare(_CLONE_NEWNET) == 0:
        return
    if _LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace was refused")
    # Who we are stays as it was: the new namespace knows nobody until it is told.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _drop_capabilities() -> None:
    """Leave root nothing but its files from exec on: its capabilities reach around Landlock (``/proc/*/environ``)."""
    capability = 0
    while _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    if ctypes.get_errno() != errno.EINVAL:  # that of the first number the kernel has no capability for
        raise OSError(ctypes.get_errno(), "root keeps its capabilities")
