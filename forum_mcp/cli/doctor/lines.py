"""One line of a doctor's report, and what a check may look at."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from forum_mcp.configs.flags import Flags

if TYPE_CHECKING:
    from forum_mcp.configs.settings import Settings

__all__ = ["Check", "Line", "Patient", "fail", "fine", "gui_path", "warn"]


@dataclass(frozen=True, slots=True)
class Line:
    """What is so. ``fix`` is empty when nothing needs mending; ``fail`` is what keeps something from working."""

    area: str
    status: Literal["ok", "warn", "fail"]
    what: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at: the settings these flags give (None when they are refused), from this directory.

    Attributes:
        live: one small call to each executor is allowed.
        seconds: how long all checks together may take.
    """

    flags: Flags
    settings: "Settings | None"
    cwd: Path
    live: bool
    seconds: float = 8.0


Check = Callable[[Patient], Awaitable[list[Line]]]


def fine(area: str, what: str) -> Line:
    """Return a line without a problem."""
    return Line(area, "ok", what)


def warn(area: str, what: str, fix: str) -> Line:
    """Return a line on something that may surprise."""
    return Line(area, "warn", what, fix)


def fail(area: str, what: str, fix: str) -> Line:
    """Return a line on something that does not work."""
    return Line(area, "fail", what, fix)


def gui_path() -> str:
    """Return the PATH of a program that a desktop starts: no shell has added to it."""
    return "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
