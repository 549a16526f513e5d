"""``forum-mcp serve --detach``, ``--status``, ``--stop``: the daemon that holds runs when windows close."""

from forum_mcp.cli.terminal import emit, emit_json, note
from forum_mcp.configs.flags import Flags
from forum_mcp.engine.entry_summary import counted
from forum_mcp.engine.views import DaemonsView

__all__ = ["hold_runs"]


def hold_runs(flags: Flags, *, detach: bool, stop: bool, idle_min: float, as_json: bool) -> None:
    """Hold runs in a process of their own, show such processes, or stop them."""
    import anyio

    view = anyio.run(_start, flags, idle_min * 60) if detach else anyio.run(_stop if stop else _status)
    if as_json:
        emit_json(view.to_dict())
        return
    for each in view.daemons:
        emit(f"daemon {each.pid}  {counted(len(each.runs), 'run')}  {each.ledger}")
        for run in each.runs:
            emit(f"  {run}")
    if not view.daemons:
        note("no daemon is running")
    elif stop:
        note("stopped; go on with what they held: forum-mcp run resume --all")


async def _start(flags: Flags, idle_s: float) -> DaemonsView:
    from forum_mcp.configs.load import load
    from forum_mcp.engine.daemon_client import start_daemon

    return DaemonsView(daemons=[await start_daemon(load(flags), idle_s=idle_s)])


async def _status() -> DaemonsView:
    from forum_mcp.engine.daemon_client import ask_daemons

    return await ask_daemons()


async def _stop() -> DaemonsView:
    from forum_mcp.engine.daemon_client import stop_daemons

    return await stop_daemons()
