"""Settings from all their origins: flags > FORUM_* > project file > user file > defaults.

The project file is ``./forum.toml``, or the one ``--config`` or ``FORUM_CONFIG`` names; the user file is
``config.toml`` in the user's configuration directory. Tables are merged member by member, lists and executors
are replaced whole. A file *found* in the working directory says what runs on this machine only to a person who
typed a command there: a server is started by other programs, in directories that others filled, and so takes no
executors and no roles from it.
"""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.known import nearest, refuse_unknown, refuse_unknown_variables, refused
from forum_mcp.configs.names import ALL_ROLES, BUILT_IN, ROLES
from forum_mcp.configs.paths import PROJECT_FILE, config_files, default_ledger, placed, read_toml
from forum_mcp.configs.settings import Settings
from forum_mcp.errors import ConfigRefused

__all__ = ["load"]

_log = logging.getLogger(__name__)
_RUNS_THINGS: Final = ("executors", "roles")


@dataclass(frozen=True, slots=True)
class _Origin:
    """One place settings came from: its name for messages, what it says, and its text when it is a file."""

    name: str
    values: Mapping[str, object]
    text: str = ""


class _Environment(EnvSettingsSource):
    """The settings as the environment spells them: ``FORUM_LIMITS__CALLS=20``, ``FORUM_ROLES__WORKER=a,b``.

    A list may be written with commas; anything else that is not a plain value is JSON.
    """

    def __init__(self) -> None:
        # The source reads fields and configuration of the class, which any pydantic model has.
        shape = cast("type[BaseSettings]", Settings)
        super().__init__(shape, False, "FORUM_", env_nested_delimiter="__", env_ignore_empty=True)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return json.loads(value)
        except ValueError:
            if field.annotation == list[str]:
                return [part.strip() for part in str(value).split(",")]
            raise


def load(flags: Flags | None = None, *, serving: bool = False, cwd: Path | None = None) -> Settings:
    """Return the settings of this invocation; ``ledger`` is always a path or ``:memory:``.

    ``serving`` is true for a process that a client started: see above on files found in a directory.

    Raises:
        ConfigRefused: an unknown key (with the nearest known one), a wrong value, a file that cannot be read.
    """
    here = cwd or Path.cwd()
    chosen = flags or Flags()
    origins = [_Origin("the command line", chosen.settings(here)), _environment(here)]
    named = chosen.config or os.environ.get("FORUM_CONFIG")
    merely_found = here / PROJECT_FILE if serving and not named else None
    paths = config_files(named, cwd=here)
    origins += [_file(path, distrusted=path == merely_found) for path in paths]
    try:
        settings = Settings.model_validate({"ledger": default_ledger()} | _bind_roles(_merge(origins)))
    except ValidationError as error:
        raise refused(error, [(origin.name, origin.values, origin.text) for origin in origins]) from None
    _check_roles(settings)
    return settings


def _environment(cwd: Path) -> _Origin:
    refuse_unknown_variables(os.environ)
    try:
        values = _Environment()()
    except SettingsError as error:
        raise ConfigRefused(
            f"an environment variable is refused; {str(error).lower()}; "
            "tables are written as JSON, lists as JSON or with commas"
        ) from error
    return _Origin("the environment", _based(values, cwd))


def _file(path: Path, *, distrusted: bool) -> _Origin:
    values = read_toml(path)
    text = path.read_text(encoding="utf-8")
    refuse_unknown(values, Settings, file=path.name, text=text)
    if distrusted and any(key in values for key in _RUNS_THINGS):
        _log.warning(
            "executors and roles of ./%s are left out: a server takes them from files named by --config",
            path.name,
        )
        values = {key: value for key, value in values.items() if key not in _RUNS_THINGS}
    return _Origin(path.name, _based(values, path.parent), text)


def _merge(origins: Sequence[_Origin]) -> dict[str, object]:
    """Return one table: the strongest origin's word on each member of a table, list and executor."""
    merged: dict[str, object] = {}
    for origin in origins:
        for key, value in origin.values.items():
            ours = merged.get(key)
            if isinstance(ours, dict) and isinstance(value, dict):
                merged[key] = cast("dict[str, object]", value) | cast("dict[str, object]", ours)
            else:
                merged.setdefault(key, value)
    return merged


def _bind_roles(values: dict[str, object]) -> dict[str, object]:
    """Bind every role that nobody bound to the first executor there is."""
    executors, roles = values.get("executors"), values.get("roles", {})
    if not isinstance(executors, dict) or not executors or not isinstance(roles, dict):
        return values
    first = next(iter(cast("dict[str, object]", executors)))
    bound = {role: [first] for role in ROLES} | cast("dict[str, object]", roles)
    return values | {"roles": bound}


def _check_roles(settings: Settings) -> None:
    """Refuse a role bound to nobody. Not a matter of shape: a program may bring executors of its own."""
    if "rules" in settings.executors:
        raise ConfigRefused(
            "'executors.rules' is refused; 'rules' is the deterministic code of a role; name it otherwise"
        )
    known = (*BUILT_IN, *settings.executors)
    for role in ALL_ROLES:
        for name in getattr(settings.roles, role):
            if name not in known:
                raise ConfigRefused(f"role {role} is bound to {name!r}, which is no executor; {nearest(name, known)}")


def _based(values: Mapping[str, object], base: Path) -> dict[str, object]:
    """Return an origin's values with relative paths made absolute, those of a file by its own directory."""
    based = dict(values)
    for key in ("ledger", "roster"):
        if isinstance(value := based.get(key), str):
            based[key] = placed(value, base)
    executors = based.get("executors")
    if isinstance(executors, dict):
        tables = cast("dict[str, object]", executors)
        based["executors"] = {name: _based_executor(table, base) for name, table in tables.items()}
    return based


def _based_executor(table: object, base: Path) -> object:
    if not isinstance(table, dict):
        return table
    based = dict(cast("dict[str, object]", table))
    for key in ("file", "script"):
        if isinstance(value := based.get(key), str) and not value.startswith("package:"):
            based[key] = placed(value, base)
    if isinstance(secret := based.get("api_key"), str) and secret.startswith("file:"):
        based["api_key"] = "file:" + placed(secret.removeprefix("file:"), base)
    argv = based.get("argv")
    if isinstance(argv, list):
        words = cast("list[object]", argv)
        if words and isinstance(words[0], str) and "/" in words[0]:
            based["argv"] = [placed(words[0], base), *words[1:]]
    return based
