"""``forum-mcp route``: where a request goes and why, and what the record tells of lanes; records nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from forum_mcp.cli.given import heard
from forum_mcp.cli.options import AsJson, with_flags
from forum_mcp.cli.places import opened
from forum_mcp.cli.terminal import columns, emit, emit_json
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.paths import MEMORY
from forum_mcp.engine.views import RouteView
from forum_mcp.errors import RequestRefused

if TYPE_CHECKING:
    from forum_mcp.engine.learning import LearnedRow

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("route")(with_flags(route))


def route(
    ctx: typer.Context,
    flags: Flags,
    request: Annotated[
        str | None, typer.Argument(help="The request to route.", show_default=False, callback=heard)
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(
            "--batch", metavar="FILE", help="JSON Lines of strings, or of objects with 'text'.", show_default=False
        ),
    ] = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="Which models earned passing verdicts in which lanes, at what cost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the lane a request goes to, with score, margin and the words that spoke for it."""
    import anyio

    del ctx
    if (request is not None) + (batch is not None) + learn != 1:
        raise RequestRefused("route takes a request, --batch FILE or --learn; give exactly one of them")
    if learn:
        _learn(flags, as_json=as_json)
        return
    requests = [request] if request is not None else list(_read(cast("Path", batch)))
    for asked, view in zip(requests, anyio.run(_route, flags, requests), strict=True):
        if batch is not None:
            emit_json({"request": asked} | view.to_dict())
        elif as_json:
            emit_json(view.to_dict())
        else:
            _print(view)


def _learn(flags: Flags, *, as_json: bool) -> None:
    from forum_mcp.configs.load import load
    from forum_mcp.configs.paths import default_ledger
    from forum_mcp.engine.learning import learned

    with opened(load(flags).ledger or str(default_ledger())) as ledger:
        view = learned(ledger.store)
    if as_json:
        emit_json(view.to_dict())
        return
    emit(f"{view.runs} runs read; advice only, nothing is changed by it")
    shown = ((row.lane, row.model, f"{row.passed} passed", f"{row.failed} failed", _cost(row)) for row in view.rows)
    for line in columns(shown):
        print("  " + line)
    for line in view.advice:
        emit(line)


def _cost(row: "LearnedRow") -> str:
    return "cost unknown" if row.cost_usd is None else f"${row.cost_usd:.4f} a task"


async def _route(flags: Flags, requests: list[str]) -> list[RouteView]:
    from forum_mcp.configs.load import load
    from forum_mcp.engine.orchestrator import Orchestrator

    async with Orchestrator.open(load(Flags(ledger=MEMORY).over(flags))) as forum:
        return [forum.route(request) for request in requests]


def _read(path: Path) -> Iterator[str]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RequestRefused(f"--batch {path} cannot be read; {error.strerror}; give a file of JSON Lines") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: object = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RequestRefused(f"--batch {path} line {number} is not JSON; {error}; mend that line") from error
        table = cast("dict[str, object]", row) if isinstance(row, dict) else {"text": row}
        text = table.get("text", table.get("request"))
        if not isinstance(text, str):
            raise RequestRefused(
                f"--batch {path} line {number} holds no request; "
                "expected a string or an object with 'text'; mend that line"
            )
        yield text


def _print(view: RouteView) -> None:
    sure = f"confidence {view.confidence:.2f}, margin {view.margin:.2f}"
    if view.lane is None:
        emit(f"undecided, goes to {view.chosen}; {sure}")
    else:
        emit(f"{view.lane} ({view.category}, {view.tier} tier); {sure}")
    for line in columns((row.lane, f"{row.score:.2f}", ", ".join(row.terms)) for row in view.candidates):
        print("  " + line)
