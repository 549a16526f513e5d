"""Where the demo plays: its request, its models with written replies, and the process that begins its run.

``python -m forum_mcp.cli.stage LEDGER`` runs the request and prints each entry as it is recorded. The demo kills that
process in the middle and goes on in its own: the ledger is all that the two share.
"""

import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import msgspec

from forum_mcp.cli.following import entry_line
from forum_mcp.cli.terminal import emit

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from forum_mcp.engine.orchestrator import Orchestrator
    from forum_mcp.engine.views import EntryView, RunView

__all__ = ["PARALLEL", "Play", "follow_entries", "main", "open_forum", "read_play"]

PARALLEL: Final = 2
_POLL_S: Final = 0.02
_RESTS: Final = frozenset({"succeeded", "failed", "cancelled", "waiting", "interrupted"})


class Play(msgspec.Struct, frozen=True):
    """What configs/demo.json holds: a request, its plan, and the replies of each executor."""

    request: str
    plan: dict[str, object]
    scripts: dict[str, msgspec.Raw]


def read_play() -> Play:
    """Return the play that ships with the package."""
    return msgspec.json.decode(files("forum_mcp.configs").joinpath("demo.json").read_bytes(), type=Play)


def open_forum(ledger: Path, play: Play) -> "AbstractAsyncContextManager[Orchestrator]":
    """Open a forum whose models only recite: a small worker, a strong one on the rung above, and a judge."""
    from forum_mcp.configs.settings import RoleSettings, Settings, StepSettings
    from forum_mcp.engine.orchestrator import Orchestrator
    from forum_mcp.executors.scripted import ScriptedExecutor, read_script

    settings = Settings(
        ledger=str(ledger),
        roles=RoleSettings(worker=["small", "strong"], validator=["judge"]),
        steps=StepSettings(escalate=True),
        max_parallel=PARALLEL,
    )
    executors = {
        name: ScriptedExecutor(read_script(bytes(script)), model=f"{name}-1", source="configs/demo.json")
        for name, script in play.scripts.items()
    }
    return Orchestrator.open(settings, executors=executors)


async def follow_entries(forum: "Orchestrator", view: "RunView", tell: "Callable[[EntryView], None]") -> "RunView":
    """Tell each entry of the run that is newer than the view's first, and return the run once it rests."""
    seen = view.entries[-1] if view.state == "interrupted" else -1
    while True:
        view = await forum.run(view.run_id, wait_s=_POLL_S)
        for entry in forum.ledger.show(run_id=view.run_id, limit=1000).entries:
            if entry.seq > seen:
                tell(entry)
                seen = entry.seq
        if view.state in _RESTS:
            return view


async def _begin(ledger: Path) -> None:
    play = read_play()

    def tell(entry: "EntryView") -> None:
        emit(entry_line(entry))
        sys.stdout.flush()

    async with open_forum(ledger, play) as forum:
        view = await forum.submit(play.request, plan=play.plan, wait_s=0)
        await follow_entries(forum, view, tell)


def main() -> None:
    """Begin the run in the ledger that the command line names."""
    anyio.run(_begin, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
