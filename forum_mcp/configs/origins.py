"""The places settings come from, each as one table of values: flags, environment, files; strongest first."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from forum_mcp.configs.custody import custody_of
from forum_mcp.configs.files import ConfigFile, config_files
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.known import refuse_unknown, refuse_unknown_variables
from forum_mcp.configs.lines import placed_at
from forum_mcp.configs.paths import placed
from forum_mcp.configs.settings import Settings
from forum_mcp.errors import ConfigRefused

__all__ = ["FLAGS", "Origin", "origins"]

FLAGS: Final = "the command line"
_ENVIRONMENT: Final = "the environment"


@dataclass(frozen=True, slots=True)
class Origin:
    """One place settings came from.

    Attributes:
        name: what messages call it.
        values: what it says, nested as in a file; relative paths are made absolute.
        text: its text when it is a file.
        left_out: why part of a file does not count, for a person; empty when all does.
    """

    name: str
    values: Mapping[str, object]
    text: str = ""
    left_out: str = ""
    variables: tuple[str, ...] = field(default=())

    def has(self, path: tuple[str, ...]) -> bool:
        """Tell whether it says something on the setting at this path."""
        found: object = self.values
        for part in path:
            table = cast("Mapping[str, object]", found if isinstance(found, Mapping) else {})
            if part not in table:
                return False
            found = table[part]
        return True

    def place(self, path: tuple[str, ...]) -> str:
        """Return where it says so: a line of a file, a variable, or its name."""
        if self.text:
            return placed_at(self.name, self.text, path)
        for depth in range(len(path), 0, -1):
            variable = "FORUM_" + "__".join(path[:depth]).upper()
            if variable in self.variables:
                return variable
        return self.name


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


def origins(flags: Flags, cwd: Path) -> list[Origin]:
    """Return every origin of settings, strongest first.

    Raises:
        ConfigRefused: an unknown key or variable, flags that do not fit together, a file that cannot be read.
    """
    found = [Origin(FLAGS, flags.settings(cwd)), _environment(cwd)]
    return [*found, *(_file(file) for file in config_files(flags.config or os.environ.get("FORUM_CONFIG"), cwd=cwd))]


def _environment(cwd: Path) -> Origin:
    refuse_unknown_variables(os.environ)
    try:
        values = _Environment()()
    except SettingsError as error:
        raise ConfigRefused(
            f"an environment variable is refused; {str(error).lower()}; "
            "tables are written as JSON, lists as JSON or with commas"
        ) from error
    variables = tuple(name for name in os.environ if name.startswith("FORUM_"))
    return Origin(_ENVIRONMENT, _based(values, cwd), variables=variables)


def _file(file: ConfigFile) -> Origin:
    refuse_unknown(file.values, Settings, file=file.name, text=file.text)
    if "custody" in file.values:
        custody_of(file.values["custody"], file.name, file.text)
    return Origin(file.name, _based(file.counting(), file.base), file.text, file.remark())


def _based(values: Mapping[str, object], base: Path) -> dict[str, object]:
    """Return an origin's values with relative paths made absolute, those of a file by its base."""
    based = dict(values)
    for key in ("ledger", "roster"):
        if isinstance(value := based.get(key), str):
            based[key] = placed(value, base)
    for key in ("executors", "context"):
        if isinstance(tables := based.get(key), dict):
            named = cast("dict[str, object]", tables)
            based[key] = {name: _based_table(table, base) for name, table in named.items()}
    return based


def _based_table(table: object, base: Path) -> object:
    if not isinstance(table, dict):
        return table
    based = dict(cast("dict[str, object]", table))
    for key in ("file", "script", "repo", "path"):
        if isinstance(value := based.get(key), str) and not value.startswith("package:"):
            based[key] = placed(value, base)
    for key in ("readable", "writable"):
        if isinstance(value := based.get(key), list):
            based[key] = [placed(path, base) if isinstance(path, str) else path for path in cast("list[object]", value)]
    if isinstance(secret := based.get("api_key"), str) and secret.startswith("file:"):
        based["api_key"] = "file:" + placed(secret.removeprefix("file:"), base)
    argv = based.get("argv")
    if isinstance(argv, list):
        words = cast("list[object]", argv)
        if words and isinstance(words[0], str) and "/" in words[0]:
            based["argv"] = [placed(words[0], base), *words[1:]]
    return based
