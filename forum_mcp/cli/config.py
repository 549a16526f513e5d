"""``forum-mcp config`` and ``forum-mcp trust``: what is set, where it comes from, whether it works, what may run."""

import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from forum_mcp.cli.lazy_group import Group
from forum_mcp.cli.options import AsJson, root_flags, with_flags
from forum_mcp.cli.terminal import columns, emit, emit_json, note
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.paths import PROJECT_FILE, shown
from forum_mcp.errors import ConfigRefused

if TYPE_CHECKING:
    from forum_mcp.configs.files import ConfigFile
    from forum_mcp.configs.settings import ExecutorSettings

__all__ = ["app", "register"]

app = typer.Typer(
    cls=Group, help="Show, check and explain the configuration.", no_args_is_help=True, rich_markup_mode=None
)

_INDENT: Final = 2


def register(parent: typer.Typer) -> None:
    """Add the group and ``trust``."""
    app.command("show")(with_flags(show))
    app.command("check")(with_flags(check))
    app.command("schema")(schema)
    app.command("reference")(reference)
    app.command("paths")(paths)
    parent.add_typer(app, name="config")
    parent.command("trust")(trust)


def show(
    ctx: typer.Context,
    flags: Flags,
    origin: Annotated[bool, typer.Option("--origin", help="With the file and line, variable or flag of each.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not a default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the settings in force. Values of env tables are withheld.

    Example: forum-mcp config show --origin --changed
    """
    del ctx
    from forum_mcp.configs.load import explained

    rows = [row for row in explained(flags) if not changed or not row.origin.startswith("default")]
    if as_json:
        emit_json({row.key: {"value": row.value, "origin": row.origin} for row in rows})
        return
    import json

    for line in columns(
        (row.key, json.dumps(row.value, ensure_ascii=False), *([row.origin] if origin else [])) for row in rows
    ):
        emit(line)


def check(ctx: typer.Context, flags: Flags, as_json: AsJson = False) -> None:
    """Check everything the configuration names: keys, values, roster, executors, secrets, the ledger's place.

    Exit 0 when it works, else 2 and one line that says what to mend.
    """
    del ctx
    from forum_mcp.engine.readiness import checked

    view = checked(flags)
    if as_json:
        emit_json(view.to_dict())
        return
    emit(f"the configuration works: {view.executors} executors, {view.lanes} lanes, ledger {shown(Path(view.ledger))}")
    for line in view.remarks:
        note(line)


def schema() -> None:
    """Print the JSON Schema of a configuration file, for editors that check TOML against one."""
    import json

    from forum_mcp.configs.settings import Settings

    made = Settings.model_json_schema()
    made |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "forum-mcp configuration"}
    print(json.dumps(made, indent=_INDENT, ensure_ascii=True))


def reference() -> None:
    """Print the annotated reference: every setting, what it means, its default."""
    sys.stdout.write(files("forum_mcp.configs").joinpath("forum.toml").read_text(encoding="utf-8"))


def paths(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Print where configuration, state, cache and runtime files stand, there or not."""
    from forum_mcp.configs.files import find_ledger
    from forum_mcp.configs.paths import cache_dir, runtime_dir, spelt, state_dir, user_file

    before = root_flags(ctx)
    user = user_file()
    places = {
        "user configuration": "none: no home directory is known" if user is None else str(user),
        "project configuration": str(Path.cwd() / PROJECT_FILE),
        "state": str(state_dir()),
        "ledger": find_ledger(before.ledger, config=before.config),
        "cache": str(cache_dir()),
        "runtime": str(runtime_dir()),
    }
    if as_json:
        emit_json(places)
        return
    for name, place in places.items():
        print(f"{name.ljust(max(map(len, places)))}  {spelt(place)}")


def trust(
    ctx: typer.Context,
    forget: Annotated[bool, typer.Option("--forget", help="Trust it no longer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Trust this directory's .forum/config.toml as it is now: then its executors, roles, limits and policy count.

    Read it first. Any change to it asks again.
    """
    from forum_mcp.configs.trust import forget as forgotten
    from forum_mcp.configs.trust import pin

    del ctx
    file = _project()
    if forget:
        known = forgotten(file.path)
        if as_json:
            emit_json({"file": str(file.path), "trusted": False})
        else:
            emit(f"{file.name} is {'no longer' if known else 'not'} trusted")
        return
    executors = _executors_of(file)
    digest = pin(file.path, file.content)
    if as_json:
        emit_json({"file": str(file.path), "trusted": True, "sha256": digest})
        return
    emit(f"{file.name} is trusted as it is now (sha256 {digest[:16]}...); it says:")
    for name, settings in executors.items():
        does = " ".join(settings.argv) or settings.url or settings.file or settings.script or settings.type
        emit(f"  executor {name} ({settings.type}): {does}")
    for key in sorted(set(file.values) - {"executors"}):
        emit(f"  {key}")


def _project() -> "ConfigFile":
    from forum_mcp.configs.files import ConfigFile

    path = Path.cwd() / PROJECT_FILE
    if not path.is_file():
        raise ConfigRefused(
            f"there is no {PROJECT_FILE} in this directory; go to the project's directory, "
            "or write one: forum-mcp init --project"
        )
    return ConfigFile(path, "project")


def _executors_of(file: "ConfigFile") -> "dict[str, ExecutorSettings]":
    """Return the executors a project file asks for; a broken file is not trusted.

    Raises:
        ConfigRefused: it is broken.
    """
    from forum_mcp.configs.load import load

    return load(Flags(config=str(file.path), ledger=":memory:")).executors
