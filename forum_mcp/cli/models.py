"""``forum-mcp models``: what on this machine could do the work."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from forum_mcp.cli.lazy_group import Group
from forum_mcp.cli.options import AsJson
from forum_mcp.cli.terminal import columns, emit_json, note

if TYPE_CHECKING:
    from forum_mcp.engine.detecting import DetectionView

__all__ = ["register"]

_app = typer.Typer(
    cls=Group, help="Find what on this machine could do the work.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(_app, name="models")


@_app.callback()
def models() -> None:
    """Find what on this machine could do the work."""


@_app.command()
def detect(
    online: Annotated[
        bool, typer.Option("--online", help="Also ask the providers whose keys are set which models they have.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look for agent programs, model servers, weights and keys; no request leaves this machine."""
    import anyio

    from forum_mcp.engine.detecting import detect as look

    found = anyio.run(lambda: look(os.environ, online=online))
    if as_json:
        emit_json(found.to_dict())
        return
    rows = list(_rows(found))
    for line in columns(rows):
        print(line)
    if not rows:
        note(
            "no model was found on this machine; install an agent program or a model server, or name a program with "
            "--cmd; over MCP the calling assistant does the work"
        )


def _rows(found: "DetectionView") -> Iterator[tuple[str, str, str, str]]:
    for program in found.programs:
        yield "program", program.profile, program.version or "", program.flags
    for server in found.servers:
        window = "" if server.context_tokens is None else f", {server.context_tokens} tokens a call"
        yield "server", server.name, f"{len(server.models)} models{window}", server.flags
    for weights in found.weights:
        yield "weights", weights.file, "" if weights.runs else "needs forum-mcp[local]", weights.flags
    for key in found.keys:
        told = key.error or ("" if key.models is None else f"{len(key.models)} models")
        yield "key", key.variable, told, key.flags
