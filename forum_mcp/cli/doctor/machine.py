"""The interpreter, the packages and the clock."""

import platform
import sqlite3
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from forum_mcp import __version__
from forum_mcp.cli.doctor.lines import Line, Patient, fail, fine, warn
from forum_mcp.configs.paths import shown

__all__ = ["clock", "interpreter", "packages"]

_BUILT: Final = datetime(2026, 11, 1, tzinfo=UTC)
_AHEAD_S: Final = 5
_SQLITE: Final = (3, 40)
_NEEDED: Final = ("mcp", "anyio", "pydantic", "msgspec", "cryptography", "httpx2")


async def interpreter(patient: Patient) -> list[Line]:
    """Tell which Python runs this, and its SQLite."""
    del patient
    what = f"{platform.python_implementation()} {platform.python_version()} at {shown(Path(sys.executable))}"
    if sqlite3.sqlite_version_info < _SQLITE:
        return [
            fail(
                "interpreter",
                f"{what}, SQLite {sqlite3.sqlite_version}",
                "use a Python with SQLite 3.40 or newer: uv python install 3.13",
            )
        ]
    return [fine("interpreter", f"{what}, SQLite {sqlite3.sqlite_version}, {platform.system()} {platform.machine()}")]


async def packages(patient: Patient) -> list[Line]:
    """Tell the versions that matter, and whether a local model can be run."""
    del patient
    found, missing = [f"forum-mcp {__version__}"], list[str]()
    for name in _NEEDED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        again = "install it again: pip install --force-reinstall forum-mcp"
        return [fail("versions", f"missing: {', '.join(missing)}", again)]
    try:
        found.append(f"xllamacpp {version('xllamacpp')}")
    except PackageNotFoundError:
        found.append("no local models (extra forum-mcp[local])")
    return [fine("versions", ", ".join(found))]


async def clock(patient: Patient) -> list[Line]:
    """Compare the wall clock with the day of this version and the newest entry of the ledger."""
    from forum_mcp.cli.doctor.record import newest_at_us

    now = time.time()
    moment = datetime.fromtimestamp(now, UTC)
    if moment < _BUILT:
        return [fail("clock", f"it says {moment:%Y-%m-%d %H:%M} UTC, before this version was made", "set the clock")]
    newest = newest_at_us(patient)
    if newest is not None and newest / 1e6 > now + _AHEAD_S:
        ahead = datetime.fromtimestamp(newest / 1e6, UTC)
        return [
            warn(
                "clock",
                f"the newest entry of the ledger is of {ahead:%Y-%m-%d %H:%M:%S} UTC, later than now",
                "set the clock; the record's order does not depend on it",
            )
        ]
    return [fine("clock", f"{moment:%Y-%m-%d %H:%M:%S} UTC")]
