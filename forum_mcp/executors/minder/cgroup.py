"""A control group that bounds how many tasks a command may have: for root, whom RLIMIT_NPROC does not hold.

Counting from outside is too late for a fork bomb, which is thousands of processes between two looks. Version 1 of the
kernel's interface (a hierarchy for the ``pids`` controller) and version 2 (one for all) are used as they are found.
A group is made below or beside our own, so that whatever holds us holds the command as well.
"""

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

__all__ = ["enter", "make", "refused", "remove"]

_ROOT: Final = Path("/sys/fs/cgroup")


def make(most: int) -> Path:
    """Return a new group that holds at most so many tasks.

    Raises:
        OSError: there is no place where this process may make one.
    """
    place = _place()
    if place is None:
        raise OSError(errno.EOPNOTSUPP, "no control group for processes can be made")
    # A group that a killed minder left behind may have any process id in its name.
    group = place / f"forum-{os.getpid()}-{os.urandom(4).hex()}"
    group.mkdir()
    try:
        (group / "pids.max").write_text(str(most))
    except OSError:
        remove(group)
        raise
    return group


def enter(group: Path) -> None:
    """Put this process, and so all it will start, into the group.

    Raises:
        OSError: it may not.
    """
    (group / "cgroup.procs").write_text(str(os.getpid()))


def refused(group: Path) -> bool:
    """Tell whether the kernel refused the group a task because of its limit (older kernels do not tell)."""
    with contextlib.suppress(OSError):
        events = dict(line.split() for line in (group / "pids.events").read_text().splitlines())
        return int(events.get("max", "0")) > 0
    return False


def remove(group: Path) -> None:
    """Remove a group in which nothing runs any more."""
    with contextlib.suppress(OSError):
        group.rmdir()


def _place() -> Path | None:
    for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "pids":
            return _ROOT / "pids" / path.lstrip("/")
        if controllers == "":
            own = _ROOT / path.lstrip("/")
            # A group of version 2 has processes or children with controllers, not both; the root of all may.
            place = own if path == "/" else own.parent
            with contextlib.suppress(OSError):
                if "pids" in (place / "cgroup.subtree_control").read_text("utf-8").split():
                    return place
    return None
