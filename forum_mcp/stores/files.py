"""The ledger's place on disk: private modes, atomic creation, and file systems that cannot carry WAL.

A ledger file appears complete or not at all: it is built under a private name in the same directory, closed,
synced, and then linked to its name. The link fails when another process was first, and that process's ledger
is used.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from forum_mcp.errors import LedgerUnreadable

__all__ = [
    "link_new",
    "network_file_system",
    "private_directory",
    "refuse_network",
    "replace_file",
    "sync_directory",
    "write_new",
]

_NETWORK: Final = frozenset(
    (
        *("9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "ocfs2", "smb2", "smb3", "smbfs"),
        *("fuse.davfs2", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    )
)
_MOUNTS: Final = Path("/proc/mounts")


def private_directory(path: Path) -> None:
    """Make a directory and its missing parents, each 0700; one that exists keeps its mode."""
    missing: list[Path] = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(directory.parent)


def sync_directory(path: Path) -> None:
    """Make names in a directory durable, where the system can do that."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # Windows cannot open a directory; names are durable there without it
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def link_new(source: Path, target: Path) -> bool:
    """Give ``source`` the name ``target`` unless that name is taken, and drop its old name.

    Returns:
        False when the name was taken; ``source`` is gone either way.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:  # no hard links here: rename would replace, so look first
        if target.exists():
            return False
        source.rename(target)
    finally:
        source.unlink(missing_ok=True)
    sync_directory(target.parent)
    return True


def write_new(target: Path, data: bytes, entropy: Callable[[int], bytes]) -> bool:
    """Write a new private file (0600) atomically and durably.

    Returns:
        False when a file of that name exists; it is not touched.
    """
    temporary = target.with_name(f".{target.name}.{entropy(8).hex()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return link_new(temporary, target)


def replace_file(target: Path, data: bytes) -> None:
    """Put ``data`` in the place of a file, durably and in one step: a reader sees the old or the new, whole.

    Raises:
        OSError: it cannot be written; the old file stands.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(target.parent)


def network_file_system(path: Path, mounts: str) -> str | None:
    """Return the type of the network file system that holds ``path``, or None.

    ``mounts`` is text as in Linux's /proc/mounts: device, mount point, type ... per line, octal escapes.
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        # The last mount on a point hides the ones before it.
        if path.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), fields[2]
    return kind if kind in _NETWORK else None


def refuse_network(path: Path) -> None:
    """Refuse a path on a network file system, where WAL's shared memory and locks do not hold.

    Raises:
        LedgerUnreadable: it is one; on a system without /proc/mounts nothing is refused.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    kind = network_file_system(path, mounts)
    if kind is not None:
        raise LedgerUnreadable(
            f"the ledger '{path.name}' lies on a network file system ({kind}), where several processes "
            "would damage it; expected a local disk: name another path with --ledger"
        )
