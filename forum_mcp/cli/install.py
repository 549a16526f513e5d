"""``forum-mcp install`` and ``uninstall``: tell a client about this server, and take it back."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forum_mcp.cli.options import AsJson, root_flags
from forum_mcp.cli.terminal import columns, emit, emit_json, note
from forum_mcp.configs.paths import shown
from forum_mcp.errors import ConfigRefused

if TYPE_CHECKING:
    from forum_mcp.cli.clients.files import Change
    from forum_mcp.cli.clients.table import Client, Launch

__all__ = ["register"]

_SAID = {
    "unchanged": "installed already, unchanged",
    "absent": "was not installed",
    "removed": "uninstalled; the rest of its file stays",
    "restored": "uninstalled; its file is as it was before",
    "deleted": "uninstalled; its file had nothing else and is deleted",
}
"""What was done -> how a person is told, where one word would not do."""

_Client = Annotated[
    str | None, typer.Argument(metavar="CLIENT", help="Which one; none lists them.", show_default=False)
]
_Project = Annotated[bool, typer.Option("--project", help="In the project of this directory, not for the user.")]
_Name = Annotated[str, typer.Option("--name", metavar="NAME", help="What the client calls the server.")]
_File = Annotated[
    str | None, typer.Option("--file", metavar="FILE", help="This file, not the usual one.", show_default=False)
]
_DEFAULT_NAME: Final = "forum"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("install")(install)
    app.command("uninstall")(uninstall)


def install(
    ctx: typer.Context,
    client: _Client = None,
    print_only: Annotated[bool, typer.Option("--print", help="Print what would be written; change nothing.")] = False,
    link: Annotated[bool, typer.Option("--link", help="Print a link for the client to open.")] = False,
    project: _Project = False,
    name: _Name = _DEFAULT_NAME,
    command: Annotated[
        str | None,
        typer.Option(
            "--command",
            metavar="WORDS",
            help="Start it with these words, not by its absolute path.",
            show_default=False,
        ),
    ] = None,
    tools: Annotated[
        str | None, typer.Option("--tools", metavar="SET", help="Serve these tools only.", show_default=False)
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Serve no tool that changes the record.")] = False,
    file: _File = None,
    as_json: AsJson = False,
) -> None:
    """Tell a client about this server. Other servers and comments in its file stay; a copy is kept.

    --config and --ledger given before the command become part of what the client starts.

    Example: forum-mcp install claude-code
    """
    from forum_mcp.cli.clients import files, links
    from forum_mcp.cli.clients.table import client_named

    if client is None:
        _list(name, as_json=as_json)
        return
    chosen = client_named(client)
    launch = _launch(ctx, command, tools, read_only=read_only)
    if link:
        found = links.deep_link(chosen, name, launch)
        if found is None:
            raise ConfigRefused(f"{chosen.title} has no link to install a server; leave --link out")
        emit(found)
        return
    if print_only:
        emit(files.snippet(chosen, name, launch).rstrip("\n"))
        return
    change = files.install(chosen, _path(chosen, project=project, file=file), name, launch)
    _tell(change, chosen.title, as_json=as_json)
    if not as_json and change.did in ("installed", "updated"):
        note(f"next: {chosen.afterwards}; to check that it works: forum-mcp doctor")


def uninstall(
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="Which one.", show_default=False)],
    project: _Project = False,
    name: _Name = _DEFAULT_NAME,
    file: _File = None,
    as_json: AsJson = False,
) -> None:
    """Take this server out of a client's configuration; everything else in it stays."""
    from forum_mcp.cli.clients import files
    from forum_mcp.cli.clients.table import client_named

    chosen = client_named(client)
    _tell(files.uninstall(chosen, _path(chosen, project=project, file=file), name), chosen.title, as_json=as_json)


def _launch(ctx: typer.Context, command: str | None, tools: str | None, *, read_only: bool) -> "Launch":
    from forum_mcp.cli.clients.launching import own_command
    from forum_mcp.cli.clients.table import Launch

    try:
        words = own_command() if command is None else shlex.split(command)
    except ValueError as error:
        raise ConfigRefused(f"--command cannot be split into words; {error}; quote it as for a shell") from error
    if not words:
        raise ConfigRefused("--command is empty; give the words that start the server, such as 'uvx forum-mcp'")
    before = root_flags(ctx)
    words.append("mcp")
    for flag, value in (("--config", before.config), ("--ledger", before.ledger)):
        if value is not None:
            words += [flag, value if value == ":memory:" else str(Path(value).expanduser().absolute())]
    if tools is not None:
        from forum_mcp.tools import select

        select(tools)
        words += ["--tools", tools]
    if read_only:
        words.append("--read-only")
    return Launch(words[0], words[1:])


def _path(client: "Client", *, project: bool, file: str | None) -> Path:
    if file is not None:
        return Path(file).expanduser().absolute()
    if not project:
        return client.user()
    if client.project is None:
        raise ConfigRefused(f"{client.title} keeps no servers in a project; leave --project out")
    return Path.cwd() / client.project


def _tell(change: "Change", title: str, *, as_json: bool) -> None:
    if as_json:
        backup = None if change.backup is None else str(change.backup)
        emit_json({"did": change.did, "file": str(change.path), "backup": backup})
        return
    emit(f"{title}: {_SAID.get(change.did, change.did)} ({shown(change.path)})")
    if change.backup is not None:
        note(f"the file as it was before: {shown(change.backup)}")


def _list(name: str, *, as_json: bool) -> None:
    from forum_mcp.cli.clients.files import registered
    from forum_mcp.cli.clients.table import CLIENTS

    states = [(client, registered(client, client.user(), name).state) for client in CLIENTS]
    if as_json:
        emit_json({client.name: {"state": state, "file": str(client.user())} for client, state in states})
        return
    for line in columns((client.name, client.title, state, shown(client.user())) for client, state in states):
        emit(line)
