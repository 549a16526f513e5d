"""Whether a configuration would work, before anything is run: one refusal that says what to mend, or a short account.

Opens no ledger and starts nothing; the one thing it touches is a file it writes and deletes where the ledger would be.
"""

import os
import shutil
from pathlib import Path
from typing import Final

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.configs.origins import origins
from forum_mcp.configs.paths import MEMORY, shown
from forum_mcp.configs.settings import ExecutorSettings, Settings
from forum_mcp.engine.assembly import contract_of, executors_of, roster_of
from forum_mcp.engine.event_scrubbing import scrubber_of
from forum_mcp.engine.views import View
from forum_mcp.errors import ConfigRefused

__all__ = ["ReadyView", "checked", "refuse_place"]

_PROBE_BYTES: Final = 65_536


class ReadyView(View, frozen=True, kw_only=True):
    """A configuration that works."""

    executors: int
    lanes: int
    ledger: str
    roles: dict[str, list[str]]
    remarks: list[str]


def checked(flags: Flags, *, cwd: Path | None = None) -> ReadyView:
    """Return the account of a configuration that works.

    Raises:
        ConfigRefused, RosterRefused: it does not; the message says where and what to do.
    """
    here = cwd or Path.cwd()
    settings = load(flags, cwd=here)
    roster = roster_of(settings)
    for name, each in settings.executors.items():
        _refuse_executor(name, each)
    built = executors_of(settings, {})
    contract_of(settings, built, roster, scrubber_of(settings, os.environ))
    refuse_place(settings)
    return ReadyView(
        executors=len(settings.executors),
        lanes=len(roster.lanes),
        ledger=settings.ledger or MEMORY,
        roles={role: list(names) for role, names in settings.roles.model_dump().items()},
        remarks=[origin.left_out for origin in origins(flags, here) if origin.left_out],
    )


def _refuse_executor(name: str, settings: ExecutorSettings) -> None:
    """Refuse an executor whose program is not there."""
    program = settings.argv[0] if settings.argv else settings.profile
    if program is not None and shutil.which(program) is None:
        raise ConfigRefused(
            f"executor {name!r} runs {program!r}, which is no program on this PATH; "
            "write its absolute path: a server that a desktop program starts sees fewer directories"
        )


def refuse_place(settings: Settings) -> None:
    """Refuse a ledger that cannot be made or written where the settings put it; makes nothing.

    Raises:
        ConfigRefused: says why, and how to name another place.
    """
    if settings.ledger is None or settings.ledger == MEMORY:
        return
    ledger = Path(settings.ledger)
    if ledger.is_dir():
        raise ConfigRefused(f"the ledger {shown(ledger)} is a directory; name a file with --ledger PATH")
    directory = next(each for each in (ledger.parent, *ledger.parent.parents) if _exists(each))
    probe = directory / f".forum-probe-{os.getpid()}"
    try:
        if not directory.is_dir():
            raise NotADirectoryError(20, "not a directory")
        if not ledger.exists():
            with probe.open("xb") as file:
                file.write(bytes(_PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise ConfigRefused(
            f"no ledger can be made at {shown(ledger)}; {shown(directory)}: {(error.strerror or str(error)).lower()}; "
            "name another place with --ledger PATH, FORUM_LEDGER or FORUM_STATE_DIR"
        ) from error
    finally:
        _unlink(probe)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # it is there and closed to us; the probe says why


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return
