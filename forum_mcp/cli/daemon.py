"""``forum-mcp serve``: the daemon that holds runs, so that closing a window interrupts none of them."""

from typing import Annotated

import typer

from forum_mcp.cli.options import AsJson, with_flags
from forum_mcp.cli.terminal import emit, emit_json, note
from forum_mcp.configs.flags import Flags
from forum_mcp.engine.views import DaemonsView
from forum_mcp.errors import RequestRefused

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(with_flags(serve))


def serve(
    ctx: typer.Context,
    flags: Flags,
    detach: Annotated[bool, typer.Option("--detach", help="Start the daemon of these settings.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show your daemons and the runs they hold.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop your daemons; their runs can be resumed.")] = False,
    idle: Annotated[
        float, typer.Option("--idle", metavar="MIN", min=0.01, help="It ends after so long without a run, minutes.")
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Hold runs in a process of their own (submit --detach starts it too), show such processes, or stop them."""
    del ctx
    if detach + status + stop != 1:
        raise RequestRefused("say what to do with the daemon: serve --detach, serve --status or serve --stop")
    import anyio

    view = anyio.run(_start, flags, idle * 60) if detach else anyio.run(_stop if stop else _status)
    if as_json:
        emit_json(view.to_dict())
        return
    for each in view.daemons:
        emit(f"daemon {each.pid}  {len(each.runs)} runs  {each.ledger}")
        for run in each.runs:
            emit(f"  {run}")
    if not view.daemons:
        note("no daemon is running")
    elif stop:
        note("stopped; go on with what they held: forum-mcp run resume --all")


async def _start(flags: Flags, idle_s: float) -> DaemonsView:
    from forum_mcp.configs.load import load
    from forum_mcp.engine.detaching import start_daemon

    return DaemonsView(daemons=[await start_daemon(load(flags), idle_s=idle_s)])


async def _status() -> DaemonsView:
    from forum_mcp.engine.detaching import daemons

    return await daemons()


async def _stop() -> DaemonsView:
    from forum_mcp.engine.detaching import stop_daemons

    return await stop_daemons()
