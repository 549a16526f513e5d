"""All checks at once, within a limit whatever hangs."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from forum_mcp.cli.doctor.configuration import clients, configuration
from forum_mcp.cli.doctor.lines import Check, Line, Patient, fail
from forum_mcp.cli.doctor.machine import clock, interpreter, packages
from forum_mcp.cli.doctor.record import ledger
from forum_mcp.cli.doctor.server import wire
from forum_mcp.cli.doctor.team import executors
from forum_mcp.configs.flags import Flags
from forum_mcp.errors import ForumError

if TYPE_CHECKING:
    from forum_mcp.configs.settings import Settings

__all__ = ["CHECKS", "examined"]

CHECKS: Final[tuple[Check, ...]] = (
    interpreter,
    packages,
    configuration,
    executors,
    ledger,
    clock,
    wire,
    clients,
)
"""In the order of the report."""


async def examined(flags: Flags, *, live: bool = False, seconds: float = 8.0, cwd: Path | None = None) -> list[Line]:
    """Return every line, in the order of ``CHECKS``; one that does not come in time is a line of its own."""
    patient = Patient(flags, _settings(flags, cwd or Path.cwd()), cwd or Path.cwd(), live, seconds)
    found: dict[Check, list[Line]] = {}

    async def run(check: Check) -> None:
        area = check.__name__
        try:
            found[check] = await check(patient)
        except ForumError as error:
            what, _, fix = str(error).rpartition("; ")
            found[check] = [fail(area, what or fix, fix if what else "mend it")]
        except Exception as error:
            found[check] = [fail(area, f"the check itself failed: {type(error).__name__}: {error}", "report this")]

    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as tasks:
            for check in CHECKS:
                tasks.start_soon(run, check)
    late = "the machine is busy, or it hangs: give it longer with --seconds"
    for check in CHECKS:
        found.setdefault(check, [fail(check.__name__, "it took too long", late)])
    return [line for check in CHECKS for line in found[check]]


def _settings(flags: Flags, cwd: Path) -> "Settings | None":
    """Return the settings, or None when they are refused: the check ``configuration`` says why."""
    from forum_mcp.configs.load import load

    try:
        return load(flags, cwd=cwd)
    except ForumError:
        return None
