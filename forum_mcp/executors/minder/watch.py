"""What runs below a process, and how much memory it takes together (Linux, by ``/proc``).

The kernel's own limits are per process, or per user: a process that forks passes the one and shares the other with
everything else of its user. So the minder counts.
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import Final, Literal

__all__ = ["below", "children", "exceeded", "kill_below", "parent", "threads_of_user"]

_PROC: Final = Path("/proc")


def below(root: int) -> list[int]:
    """Return the ids of all living processes below ``root``, parents before children."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        born = children(waiting.pop())
        found += born
        waiting += born
    return found


def exceeded(root: int, tasks: int | None, memory_bytes: int) -> Literal["processes", "memory"] | None:
    """Return which of the two limits all that is below ``root`` exceeds together, or None.

    A task is a thread, and so every process at least one.
    """
    family = below(root)
    if tasks is not None and sum(map(_tasks, family)) > tasks:
        return "processes"
    # Resident pages are counted once a process: cheap, and too much where they are shared. Only then the fair count.
    if sum(map(_resident_bytes, family)) > memory_bytes and sum(map(_fair_bytes, family)) > memory_bytes:
        return "memory"
    return None


def threads_of_user(user: int) -> int:
    """Return how many threads the processes of a user have: what the kernel counts against RLIMIT_NPROC."""
    total = 0
    for status in _PROC.glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(
                line.split(":", 1) for line in status.read_text("utf-8", "replace").splitlines() if ":" in line
            )
            if int(fields["Uid"].split()[0]) == user:
                total += int(fields["Threads"])
    return total


def _tasks(process: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{process}/task").iterdir())
    except OSError:
        return 1


def children(process: int) -> list[int]:
    """Return the ids of the processes a process is the parent of; none where the kernel does not tell."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (thread / "children").read_bytes().split()]
    except OSError:
        pass
    return found


def parent(process: int) -> int | None:
    """Return the id of a process's parent, or None where the kernel does not tell."""
    try:
        # The name in parentheses may hold anything, so count from its last ")": state, then parent.
        return int(Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def kill_below(process: int) -> None:
    """Kill all below a process, however fast it multiplies: what is stopped cannot fork while the rest is found."""
    stopped: set[int] = set()
    while fresh := set(below(process)) - stopped:
        for each in fresh:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGSTOP)
        stopped |= fresh
    for each in stopped:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)


def _resident_bytes(process: int) -> int:
    """Return the pages of a process in memory but those of files; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{process}/statm").read_bytes().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")


def _fair_bytes(process: int) -> int:
    """Return the memory of a process, each shared page divided by how many share it; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_bytes().splitlines()
    except OSError:
        return 0
    fair = next((line for line in lines if line.startswith(b"Pss_Anon:")), b"Pss_Anon: 0 kB")
    return int(fair.split()[1]) * 1024
