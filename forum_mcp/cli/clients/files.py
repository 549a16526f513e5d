"""A client's configuration file: our server put in, taken out, looked at; nothing else in it changes.

Before the first change a copy goes to ``backups/`` in the state directory. Taking the server out again restores that
copy when nothing else has changed since, byte by byte; otherwise only our member goes.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar, cast

from forum_mcp.cli.clients import jsonc, toml
from forum_mcp.cli.clients.table import Client, Launch
from forum_mcp.configs.paths import private_dir, shown, state_dir
from forum_mcp.errors import ConfigRefused

__all__ = ["Change", "Registered", "install", "registered", "snippet", "uninstall"]

_T = TypeVar("_T")
_OURS: Final = ("forum-mcp", "forum_mcp")


@dataclass(frozen=True, slots=True)
class Change:
    """What came of it: ``did`` is installed, updated, unchanged, removed, restored, deleted or absent."""

    did: str
    path: Path
    backup: Path | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """What a file says about us: ``absent`` (no file, or not in it), ``ours``, ``other``, or ``broken`` and why."""

    state: Literal["absent", "ours", "other", "broken"]
    words: list[str]
    why: str = ""


def snippet(client: Client, name: str, launch: Launch) -> str:
    """Return a whole file that registers the server and nothing else."""
    return _put(client, "", name, launch)


def install(client: Client, path: Path, name: str, launch: Launch) -> Change:
    """Register the server in a file, which is made if need be.

    Raises:
        ConfigRefused: the file cannot be read, written or understood, or has another server of that name; it stands.
    """
    text = _read(client, path)
    found = _registered(client, path, text or "", name)
    if found.state == "other":
        raise ConfigRefused(
            f"{shown(path)} already has a server {name!r} that is not ours: {' '.join(found.words)[:120]}; "
            "nothing was changed; choose another name with --name"
        )
    after = _edited(client, path, lambda: _put(client, text or "", name, launch))
    if after == text:
        return Change("unchanged", path)
    backup = _backup_of(client, path)
    if text is not None and found.state == "absent":
        _keep(backup, text)
    _write(path, after)
    if text is None:
        return Change("installed", path)
    return Change("updated" if found.state == "ours" else "installed", path, backup)


def uninstall(client: Client, path: Path, name: str) -> Change:
    """Take the server out of a file again.

    Raises:
        ConfigRefused: the file cannot be read, written or understood, or the server of that name is not ours.
    """
    text = _read(client, path)
    found = _registered(client, path, text or "", name)
    if text is None or found.state == "absent":
        return Change("absent", path)
    if found.state == "other":
        raise ConfigRefused(f"the server {name!r} in {shown(path)} is not ours; nothing was changed; remove it by hand")
    after = _edited(client, path, lambda: _drop(client, text, name))
    backup = _backup_of(client, path)
    before = _read(client, backup)
    if before is not None and _value(client, path, after) == _value(client, path, _bare(client, before)):
        _write(path, before)
        backup.unlink()
        return Change("restored", path)
    if before is None and not _anything(_value(client, path, after)):
        path.unlink()
        return Change("deleted", path)
    _write(path, after)
    return Change("removed", path, backup if before is not None else None)


def registered(client: Client, path: Path, name: str) -> Registered:
    """Return what a file says about us; raises nothing."""
    try:
        text = _read(client, path)
        return _registered(client, path, text or "", name)
    except ConfigRefused as error:
        return Registered("broken", [], str(error))


def _registered(client: Client, path: Path, text: str, name: str) -> Registered:
    found = _value(client, path, text)
    for key in (*client.table, name):
        if not isinstance(found, dict):
            break
        found = cast("dict[str, object]", found).get(key)
    if found is None:
        return Registered("absent", [])
    words = _words(found)
    ours = any(mark in word for word in words for mark in _OURS)
    return Registered("ours" if ours else "other", words)


def _words(server: object) -> list[str]:
    """Return the command line of a server as any client writes it."""
    if not isinstance(server, dict):
        return [json.dumps(server)]
    table = cast("dict[str, object]", server)
    words: list[str] = []
    for key in ("command", "args", "url", "serverUrl", "httpUrl"):
        value = table.get(key)
        words += [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []
        words += [value] if isinstance(value, str) else []
    return words


def _anything(value: object) -> bool:
    """Tell whether a document holds more than empty tables."""
    if isinstance(value, dict):
        return any(_anything(each) for each in cast("dict[str, object]", value).values())
    return True


def _bare(client: Client, text: str) -> str:
    """Return the text with an empty table of servers, which taking ours out leaves behind."""
    value: object = _value(client, Path(), text)
    for key in client.table:
        value = cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
    if value is not None or client.language == "toml":
        return text
    return jsonc.put(text, client.table, {})


def _put(client: Client, text: str, name: str, launch: Launch) -> str:
    if client.language == "toml":
        return toml.put(text, (*client.table, name), client.write(launch))
    made = jsonc.put(text, (*client.table, name), client.write(launch))
    return made if made.endswith("\n") or text.strip() else made + "\n"


def _drop(client: Client, text: str, name: str) -> str:
    return (toml.drop if client.language == "toml" else jsonc.drop)(text, (*client.table, name))


def _value(client: Client, path: Path, text: str) -> object:
    def value() -> object:
        return toml.value_of(text) if client.language == "toml" else jsonc.value_of(text)

    return _edited(client, path, value)


def _edited(client: Client, path: Path, edit: Callable[[], _T]) -> _T:
    """Return what an edit gives; a file it cannot understand is refused and stands."""
    try:
        return edit()
    except (jsonc.JsoncError, toml.TomlError) as error:
        raise ConfigRefused(
            f"{shown(path)} is not what {client.title} writes; {error}; nothing was changed; mend it, or use --print"
        ) from error


def _read(client: Client, path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigRefused(
            f"{shown(path)} of {client.title} cannot be read; {str(why).lower()}; nothing was changed; use --print"
        ) from error


def _write(path: Path, text: str) -> None:
    """Write through a link to the file it means, keeping its mode, in one step."""
    target = path.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(text.encode())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except OSError as error:
        raise ConfigRefused(
            f"{shown(path)} cannot be written; {(error.strerror or str(error)).lower()}; nothing was changed; "
            "use --print and put it there yourself"
        ) from error
    finally:
        _unlink(temporary)


def _unlink(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return


def _backup_of(client: Client, path: Path) -> Path:
    place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]
    return state_dir() / "backups" / f"{client.name}-{place}{path.suffix}"


def _keep(backup: Path, text: str) -> None:
    private_dir(backup.parent, "the directory of backups")
    backup.unlink(missing_ok=True)
    with os.fdopen(os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text.encode())
