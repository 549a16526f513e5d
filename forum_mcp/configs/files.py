"""The configuration files: which there are, what each says, and how far its word goes. Loads no settings.

``find_ledger`` reads one key of them and no more: ``ledger`` commands stay small, and a mistake elsewhere in the
configuration never keeps anybody from verifying a ledger.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from forum_mcp.configs.paths import PROJECT_FILE, default_ledger, placed, refuse_shared, shown, user_file
from forum_mcp.errors import ConfigRefused

__all__ = ["ConfigFile", "config_files", "find_ledger"]


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file that is there; read once, when first asked for.

    Attributes:
        path: where it stands, absolute.
        kind: ``named`` by --config or FORUM_CONFIG, found in the ``project``, or the ``user``'s own.
    """

    path: Path
    kind: Literal["named", "project", "user"]

    @property
    def name(self) -> str:
        """What messages call it."""
        return shown(self.path)

    @property
    def base(self) -> Path:
        """The directory its relative paths are of: its own, or the project's for ``.forum/config.toml``."""
        return self.path.parent.parent if self.kind == "project" else self.path.parent

    @cached_property
    def content(self) -> bytes:
        """Its bytes.

        Raises:
            ConfigRefused: it cannot be read, or others may write to it.
        """
        if self.kind != "project":  # whose bytes are pinned
            refuse_shared(self.path, "configuration file")
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise ConfigRefused(
                f"configuration file {self.name} cannot be read; {(error.strerror or str(error)).lower()}; "
                "check its permissions"
            ) from error

    @property
    def text(self) -> str:
        """Its text; bytes that are not UTF-8 are marked."""
        return self.content.decode("utf-8", "replace")

    @cached_property
    def values(self) -> dict[str, object]:
        """The table it holds.

        Raises:
            ConfigRefused: it cannot be read, is not UTF-8 or not TOML (the message names the line).
        """
        import tomllib  # most machines have no such file

        try:
            return tomllib.loads(self.content.decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            says = str(error).lower().replace("at end of document", f"at line {max(1, len(self.text.splitlines()))}")
            raise ConfigRefused(f"configuration file {self.name} is not TOML; {says}; mend that line") from error

    @cached_property
    def standing(self) -> str:
        """``trusted``, or why its word does not count in full: ``unknown`` or ``changed``."""
        if self.kind != "project":
            return "trusted"
        from forum_mcp.configs.trust import standing

        return standing(self.path, self.content)

    def left_out(self) -> list[str]:
        """Return the tables and keys that do not count, because nobody vouched for the file."""
        if self.standing == "trusted":
            return []
        from forum_mcp.configs.trust import HARMLESS

        return sorted(set(self.values) - HARMLESS)

    def remark(self) -> str:
        """Return what a person should know about keys that are left out, and what to do; empty when none is."""
        keys = self.left_out()
        if not keys:
            return ""
        why = "has changed since it was trusted" if self.standing == "changed" else "is not trusted"
        return f"{self.name} {why}, so its {', '.join(keys)} do not count; read it, then: forum-mcp trust"

    def counting(self) -> dict[str, object]:
        """Return what it says that counts."""
        left_out = self.left_out()
        return {key: value for key, value in self.values.items() if key not in left_out}


def config_files(named: str | None, *, cwd: Path) -> list[ConfigFile]:
    """Return the configuration files that exist, strongest first; a named one stands in place of the project's.

    Raises:
        ConfigRefused: the named file does not exist, or is no file.
    """
    found: list[ConfigFile] = []
    if named:
        path = Path(placed(named, cwd))
        if not path.is_file():
            why = "is no file" if path.exists() else "does not exist"
            raise ConfigRefused(f"configuration file {named!r} {why}; --config and FORUM_CONFIG name a TOML file")
        found.append(ConfigFile(path, "named"))
    elif (path := cwd / PROJECT_FILE).is_file():
        found.append(ConfigFile(path, "project"))
    user = user_file()
    return [*found, ConfigFile(user, "user")] if user is not None and _is_there(user) else found


def _is_there(user: Path) -> bool:
    """Tell whether the user's file exists. One that may not be looked for could say what must not be done.

    Raises:
        ConfigRefused: a directory on the way to it is closed to this process.
    """
    try:
        return user.is_file()
    except OSError as error:
        raise ConfigRefused(
            f"nobody can tell whether there is a configuration file {shown(user)}; "
            f"{(error.strerror or str(error)).lower()}; let this user into the directories above it, or set HOME or "
            "XDG_CONFIG_HOME to one that is its own"
        ) from error


def find_ledger(flag: str | None, *, config: str | None = None, cwd: Path | None = None) -> str:
    """Return the ledger's path (or ``:memory:``): flag, FORUM_LEDGER, configuration files, the default.

    Raises:
        ConfigRefused: a configuration file is not TOML, its ``ledger`` is not a string, or nothing says where.
    """
    here = cwd or Path.cwd()
    given = os.environ.get("FORUM_LEDGER") or None if flag is None else flag
    if given is not None:
        return placed(given, here)
    for file in config_files(config or os.environ.get("FORUM_CONFIG"), cwd=here):
        found = file.values.get("ledger")
        if found is None:
            continue
        if not isinstance(found, str) or not found:
            raise ConfigRefused(
                f"'ledger' in {file.name} is {found!r}; expected the path of a ledger; mend it or give --ledger PATH"
            )
        return placed(found, file.base)
    return default_ledger()
