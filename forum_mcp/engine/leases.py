"""Leases: which process may decide for a run.

A lease is a row outside the chain; its fencing number is recorded in ``run.started`` and ``run.resumed``, and every
append of the holder checks it in the same transaction. A holder is named by boot and process namespace, process and
start time, so a process that was killed is known to be dead at once, without waiting for its lease to run out; of one
elsewhere, also in another container on this machine, only its lease can be told.
"""

import os
from pathlib import Path
from typing import Final

from forum_mcp.errors import Fenced, RunHeld
from forum_mcp.ledger.entry import RunId
from forum_mcp.stores.base import Lease, Transaction

__all__ = ["LEASE_US", "check_lease", "holder_id", "is_alive", "renew_lease", "take_lease"]

LEASE_US: Final = 15_000_000
"""How long a lease lasts without renewal, microseconds."""


def holder_id(nonce: str) -> str:
    """Return this process's id ``<boot>:<pid>:<start time>:<nonce>``; the nonce tells two engines of one apart."""
    pid = os.getpid()
    return f"{_boot()}:{pid}:{_start_time(pid)}:{nonce}"


def is_alive(holder: str) -> bool:
    """Tell whether the process of a holder may still live; one of another machine or container is taken to live."""
    boot, _, process = holder.partition(":")
    pid, _, process = process.partition(":")
    if boot != _boot() or not pid.isdecimal():
        return True
    return _start_time(int(pid)) == process.partition(":")[0]


def take_lease(tx: Transaction, run: RunId, holder: str, now_us: int) -> Lease:
    """Take the run's lease and return it with the next fencing number.

    Raises:
        RunHeld: another live process holds it.
    """
    old = tx.lease(run)
    if old is not None and old.expires_us > now_us and old.holder != holder and is_alive(old.holder):
        boot, pid, *_ = (*old.holder.split(":"), "")
        living = "which is alive" if boot == _boot() else "of another machine or container, whose lease has not run out"
        raise RunHeld(
            f"run {run} is held by process {pid[:20]}, {living}; wait for it, or end that process and resume again"
        )
    lease = Lease(run, holder, 1 if old is None else old.fence + 1, now_us + LEASE_US)
    tx.set_lease(lease)
    return lease


def check_lease(tx: Transaction, lease: Lease) -> None:
    """Refuse to go on when the lease has changed hands.

    Raises:
        Fenced: another process took the run.
    """
    now = tx.lease(lease.run)
    if now is None or now.fence != lease.fence or now.holder != lease.holder:
        raise Fenced(f"run {lease.run} was taken over by another process; read its state there")


def renew_lease(tx: Transaction, lease: Lease, now_us: int) -> None:
    """Extend the lease.

    Raises:
        Fenced: another process took the run.
    """
    check_lease(tx, lease)
    tx.set_lease(Lease(lease.run, lease.holder, lease.fence, now_us + LEASE_US))


def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return os.uname().nodename.replace(":", "-")


def _start_time(pid: int) -> str:
    """Return the process's start time (clock ticks since boot), or a mark that it is gone.

    Where there is no /proc the mark only tells living from dead: a reused pid passes for the old process.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return "gone"
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return "gone"
        except PermissionError:
            return "alive"
        return "alive"
    return "gone" if fields[0] in ("Z", "X") else fields[19]
