"""``forum-mcp doctor``: what works here, what does not, and what to do about it."""

import time
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from forum_mcp.cli import BEGAN
from forum_mcp.cli.options import AsJson, with_flags
from forum_mcp.cli.terminal import emit, emit_json, painted, safe
from forum_mcp.configs.flags import Flags

if TYPE_CHECKING:
    from forum_mcp.cli.doctor.lines import Line

__all__ = ["register"]

_COLOUR: Final[dict[str, Literal["green", "yellow", "red"]]] = {"ok": "green", "warn": "yellow", "fail": "red"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(with_flags(doctor))


def doctor(
    ctx: typer.Context,
    flags: Flags,
    live: Annotated[bool, typer.Option("--live", help="Make one small call to each executor; it may cost.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", min=1, help="Longest time, all in all.")] = 8.0,
    as_json: AsJson = False,
) -> None:
    """Look at everything this needs, in a few seconds; changes nothing. Exit 0 when all works, else 1.

    Example: forum-mcp doctor --live
    """
    import anyio

    del ctx
    left = max(1.0, seconds - (time.monotonic() - BEGAN))
    lines = anyio.run(_examined, flags, live, left)
    failed = [line for line in lines if line.status == "fail"]
    warned = [line for line in lines if line.status == "warn"]
    if as_json:
        rows = [{"area": line.area, "status": line.status, "what": line.what, "fix": line.fix} for line in lines]
        emit_json({"ok": not failed, "failed": len(failed), "warned": len(warned), "lines": rows})
        raise typer.Exit(1 if failed else 0)
    width = max(len(line.area) for line in lines)
    for line in lines:
        status = painted(line.status.ljust(4), _COLOUR[line.status])
        print(f"{status}  {safe(line.area.ljust(width))}  {safe(line.what)}")
        if line.fix:
            emit(f"{'':4}  {'':{width}}  -> {line.fix}")
    emit("everything works" if not failed and not warned else f"{len(failed)} failed, {len(warned)} to look at")
    raise typer.Exit(1 if failed else 0)


async def _examined(flags: Flags, live: bool, seconds: float) -> "list[Line]":
    from forum_mcp.cli.doctor.examination import examined

    return await examined(flags, live=live, seconds=seconds)
