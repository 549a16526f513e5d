"""Which levels of isolation this machine has; a test that needs one says so by a mark."""

import os

import pytest

from forum_mcp.executors.isolation import find_bwrap
from forum_mcp.executors.minder import cgroup, landlock

__all__ = ["HIDING", "needs_a_counting_kernel", "needs_bwrap", "needs_landlock", "needs_limits"]


def _has_landlock() -> bool:
    try:
        return landlock.version() > 0
    except OSError:
        return False


def _has_limits() -> bool:
    if os.getuid() != 0:
        return True
    try:
        cgroup.remove(cgroup.make(10))
    except OSError:
        return False
    return True


def _counts_refusals() -> bool:
    if os.getuid() != 0 or not _has_limits():
        return False
    group = cgroup.make(10)
    try:
        return (group / "pids.events").exists()
    finally:
        cgroup.remove(group)


needs_a_counting_kernel = pytest.mark.skipif(
    not _counts_refusals(), reason="only root's control group tells that a process was refused, on a newer kernel"
)
needs_limits = pytest.mark.skipif(not _has_limits(), reason="root may make no control group on this machine")
needs_landlock = pytest.mark.skipif(not _has_landlock(), reason="this kernel has no Landlock")
needs_bwrap = pytest.mark.skipif(find_bwrap() is None, reason="bubblewrap is not installed: apt install bubblewrap")
HIDING = [
    pytest.param("landlock", marks=[needs_landlock, needs_limits]),
    pytest.param("bwrap", marks=[needs_bwrap, needs_limits]),
]
