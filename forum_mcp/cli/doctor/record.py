"""The ledger: whether it opens, verifies, may be written, is private, and has room to grow."""

import os
import shutil
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Final

from forum_mcp.cli.doctor.lines import Line, Patient, fail, fine, warn
from forum_mcp.configs.paths import MEMORY, shown
from forum_mcp.engine.entry_summary import counted
from forum_mcp.errors import ForumError

__all__ = ["ledger", "newest_at_us"]

_WHOLE_BYTES: Final = 5_000_000
"""A larger ledger is checked at its head only; ``ledger verify`` does the rest."""

_TIGHT_BYTES: Final = 1_000_000_000
_FULL_BYTES: Final = 50_000_000
_LOCK_S: Final = 2.0


async def ledger(patient: Patient) -> list[Line]:
    """Look at the ledger of the settings; makes none."""
    import anyio

    if patient.settings is None or patient.settings.ledger is None:
        return []
    if patient.settings.ledger == MEMORY:
        return [warn("ledger", "it is in memory: nothing is kept", "name a file with --ledger PATH or FORUM_LEDGER")]
    path = Path(patient.settings.ledger)
    return await anyio.to_thread.run_sync(_looked_at, path, abandon_on_cancel=True)


def _looked_at(path: Path) -> list[Line]:
    from forum_mcp.configs.settings import Settings
    from forum_mcp.engine.readiness import refuse_place

    try:
        refuse_place(Settings(ledger=str(path)))
    except ForumError as error:
        return [fail("ledger", *_halves(error))]
    lines = [_room(path)]
    if not path.exists():
        return [fine("ledger", f"none yet at {shown(path)}; the first run makes it"), *lines]
    return [_verified(path), *_private(path), *_lock(path), *lines]


def _halves(error: Exception) -> tuple[str, str]:
    """Return what an error says, and its last part, which is what to do."""
    what, _, fix = str(error).rpartition("; ")
    return (what, fix) if what else (fix, "see the message")


def _verified(path: Path) -> Line:
    from forum_mcp.engine.ledger import Ledger

    try:
        with Ledger.open(path, create=False, read_only=True) as record:
            size = record.size
            if path.stat().st_size > _WHOLE_BYTES:
                return fine("ledger", f"{shown(path)}: {size} entries, a sound head; the rest: forum-mcp ledger verify")
            view = record.verify(3)
    except ForumError as error:
        what, fix = _halves(error)
        return fail("ledger", f"{shown(path)}: {what}", fix)
    if view.clean:
        return fine("ledger", f"{shown(path)}: {size} entries, verified")
    first = view.findings[0].code if view.findings else "unknown"
    return fail(
        "ledger",
        f"{shown(path)}: {view.findings_total} findings, the first is {first}",
        f"see them: forum-mcp ledger verify --ledger {shown(path)}; restore a backup: forum-mcp ledger restore",
    )


def _private(path: Path) -> list[Line]:
    if sys.platform == "win32":
        return []
    lines: list[Line] = []
    keys = sorted((path.resolve().parent / "keys").glob("*.key"))
    for file, what in ((path, "the ledger"), *((key, "a signing key") for key in keys)):
        found = file.stat()
        if stat.S_IMODE(found.st_mode) & 0o077:
            lines.append(warn("permissions", f"{what} {shown(file)} is open to others", f"chmod 600 {shown(file)}"))
        if found.st_uid != os.geteuid():
            lines.append(
                warn(
                    "permissions",
                    f"{what} {shown(file)} belongs to uid {found.st_uid}",
                    "run as that user, or chown it",
                )
            )
    return lines or [fine("permissions", f"the ledger and {counted(len(keys), 'signing key')} are private")]


def _lock(path: Path) -> list[Line]:
    from forum_mcp.stores.recognition import is_export

    if is_export(path):
        return [fine("lock", "an export is read, never written")]
    if not os.access(path, os.W_OK):
        return [warn("lock", f"{shown(path)} cannot be written; it can be read", f"chmod u+w {shown(path)}")]
    connection = sqlite3.connect(path, timeout=_LOCK_S, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        return [fail("lock", f"no lock for writing: {error}", "end the process that holds it; lsof names it")]
    finally:
        connection.close()
    return [fine("lock", "the ledger can be written")]


def _room(path: Path) -> Line:
    directory = next((each for each in path.parents if each.is_dir()), Path("/"))
    free = shutil.disk_usage(directory).free
    told = f"{free / 1e9:.1f} GB free at {shown(directory)}"
    if free < _FULL_BYTES:
        return fail("disk", told, "make room, or move the ledger: forum-mcp ledger backup, then --ledger PATH")
    if free < _TIGHT_BYTES:
        return warn("disk", told, "make room; old bodies can go: forum-mcp ledger prune --older-than 90d")
    return fine("disk", told)


def newest_at_us(patient: Patient) -> int | None:
    """Return when the newest entry of the ledger was written, microseconds since the epoch, or None."""
    from forum_mcp.engine.ledger import Ledger

    if patient.settings is None or patient.settings.ledger in (None, MEMORY):
        return None
    path = Path(str(patient.settings.ledger))
    try:
        with Ledger.open(path, create=False, read_only=True) as record:
            entries = record.show(limit=1).entries
    except ForumError:
        return None
    return entries[-1].at if entries else None
