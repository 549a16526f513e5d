"""``forum-mcp init``: find models, propose a ladder, write the configuration, and if asked make one call."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forum_mcp.cli.options import AsJson
from forum_mcp.cli.terminal import emit, emit_json, note
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.paths import PROJECT_FILE, private_dir, shown, user_file, write_private
from forum_mcp.errors import ConfigRefused

if TYPE_CHECKING:
    from forum_mcp.cli.doctor.lines import Line
    from forum_mcp.engine.proposing import Proposal

__all__ = ["register"]

_INSTEAD = "put what --print says into a file of your own and name it with --config"
_HOST = (
    "no model was found, so your assistant itself does the work (executor host): it is handed the tasks over MCP, and "
    "rules judge the results; to use others, install an agent program or a model server and run this again"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    project: Annotated[bool, typer.Option("--project", help="Write .forum/config.toml here, and trust it.")] = False,
    print_only: Annotated[bool, typer.Option("--print", help="Print what would be written; change nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a configuration; a copy is kept beside it.")] = False,
    online: Annotated[bool, typer.Option("--online", help="Also ask the providers whose keys are set.")] = False,
    call: Annotated[
        bool | None,
        typer.Option("--call/--no-call", help="Make one small call to each; asked at a terminal.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find models on this machine, write a configuration that uses them, and say what to do next.

    Looks for model servers that listen here, weights in packages, agent programs on PATH and keys by their names.

    Example: forum-mcp init --no-call
    """
    import anyio

    proposal = anyio.run(_proposed, online)
    if print_only:
        emit(proposal.text.rstrip("\n"))
        return
    path = _path(project=project)
    copy = _write(path, proposal.text, force=force)
    if project:
        from forum_mcp.configs.trust import pin

        pin(path, path.read_bytes())
    lines = anyio.run(_called, str(path)) if proposal.executors and _allowed(call, as_json=as_json) else []
    if as_json:
        emit_json(
            {
                "file": str(path),
                "executors": list(proposal.executors),
                "left": proposal.left,
                "calls": [{"what": line.what, "status": line.status, "fix": line.fix} for line in lines],
            }
        )
        return
    _tell(path, proposal, lines, copy)


async def _proposed(online: bool) -> "Proposal":
    from forum_mcp.engine.detecting import detect
    from forum_mcp.engine.proposing import propose

    return propose(await detect(os.environ, online=online), os.environ)


def _path(*, project: bool) -> Path:
    if project:
        return Path.cwd() / PROJECT_FILE
    path = user_file()
    if path is None:
        raise ConfigRefused("no home directory is known; set HOME, or write a project's file with --project")
    return path


def _write(path: Path, text: str, *, force: bool) -> Path | None:
    """Write the file, 0600; return where the copy of the one before it is."""
    before = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
    if before == text:
        return None
    if before is not None and not force:
        raise ConfigRefused(
            f"{shown(path)} exists and was left as it is; see what would be written with --print, "
            "or replace it with --force, which keeps a copy"
        )
    private_dir(path.parent, "the directory of the configuration", _INSTEAD)
    copy = path.with_name(path.name + ".before")
    try:
        if before is not None:
            write_private(copy, before)
        write_private(path, text)
    except OSError as error:
        raise ConfigRefused(
            f"{shown(path)} cannot be written; {(error.strerror or str(error)).lower()}; {_INSTEAD}"
        ) from error
    return copy if before is not None else None


def _allowed(call: bool | None, *, as_json: bool) -> bool:
    """Return whether a call may be made: what the flag says, else what a person at a terminal says."""
    if call is not None:
        return call
    if as_json or sys.stdin is None or not sys.stdin.isatty():
        return False
    return typer.confirm("Make one small call to each now? It may cost a little", default=False)


async def _called(config: str) -> "list[Line]":
    from forum_mcp.cli.doctor.lines import Patient
    from forum_mcp.cli.doctor.team import executors
    from forum_mcp.configs.load import load

    flags = Flags(config=config)
    return await executors(Patient(flags, load(flags), Path.cwd(), live=True))


def _tell(path: Path, proposal: "Proposal", lines: "list[Line]", copy: Path | None) -> None:
    emit(f"wrote {shown(path)}")
    if copy is not None:
        note(f"the file as it was before: {shown(copy)}")
    if proposal.executors:
        emit(f"ladder: {' -> '.join(proposal.executors)}")
    else:
        emit(_HOST)
    for line in lines:
        emit(f"{line.area}: {line.what}" + (f"; {line.fix}" if line.fix else ""))
    for left in proposal.left:
        note(f"not used: {left}")
    note("next: forum-mcp install CLIENT (forum-mcp install lists them), then forum-mcp doctor")
