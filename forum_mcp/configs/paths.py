"""Where things stand on this machine: state, user configuration, the ledger. Loads no settings.

``find_ledger`` reads one key of the configuration files and no more: ``ledger`` commands stay small, and a
mistake elsewhere in the configuration never keeps anybody from verifying a ledger.
"""

import os
import tomllib
from pathlib import Path
from typing import Final

import platformdirs

from forum_mcp.errors import ConfigRefused

__all__ = [
    "MEMORY",
    "PROJECT_FILE",
    "config_files",
    "default_ledger",
    "find_ledger",
    "placed",
    "read_toml",
    "state_dir",
    "user_file",
]

_APP: Final = "forum-mcp"
MEMORY: Final = ":memory:"
PROJECT_FILE: Final = "forum.toml"


def state_dir() -> Path:
    """Return the directory of ledgers and keys, FORUM_STATE_DIR or the user's own; it may not exist yet."""
    named = os.environ.get("FORUM_STATE_DIR")
    return Path(named).expanduser().absolute() if named else platformdirs.user_state_path(_APP, appauthor=False)


def default_ledger() -> str:
    """Return the path of the ledger that is used when nobody names one; it may not exist yet."""
    return str(state_dir() / "ledger.db")


def user_file() -> Path:
    """Return the user's configuration file; it may not exist."""
    return platformdirs.user_config_path(_APP, appauthor=False) / "config.toml"


def config_files(named: str | None, *, cwd: Path) -> list[Path]:
    """Return the configuration files that exist, strongest first; a named one stands in place of ``./forum.toml``.

    Raises:
        ConfigRefused: the named file does not exist.
    """
    if named:
        project = Path(placed(named, cwd))
        if not project.is_file():
            raise ConfigRefused(
                f"configuration file {named!r} does not exist; --config and FORUM_CONFIG name a TOML file"
            )
    else:
        project = cwd / PROJECT_FILE
    return [path for path in (project, user_file()) if path.is_file()]


def read_toml(path: Path) -> dict[str, object]:
    """Return the table a file holds.

    Raises:
        ConfigRefused: it cannot be read, is not UTF-8 or not TOML (the message names the line).
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigRefused(
            f"configuration file {path.name} is not TOML; {str(error).lower()}; mend that line"
        ) from error
    except OSError as error:
        raise ConfigRefused(
            f"configuration file {path.name} cannot be read; {error.strerror}; check its permissions"
        ) from error


def placed(path: str, base: Path) -> str:
    """Return ``path`` with ``~`` expanded, relative to ``base``; ``:memory:`` stays what it is."""
    if path == MEMORY:
        return path
    return os.path.normpath(base / Path(path).expanduser())


def find_ledger(flag: str | None, *, config: str | None = None, cwd: Path | None = None) -> str:
    """Return the ledger's path (or ``:memory:``): flag, FORUM_LEDGER, configuration files, the default.

    Raises:
        ConfigRefused: a configuration file is not TOML, or its ``ledger`` is not a string.
    """
    here = cwd or Path.cwd()
    given = os.environ.get("FORUM_LEDGER") or None if flag is None else flag
    if given is not None:
        return placed(given, here)
    for path in config_files(config or os.environ.get("FORUM_CONFIG"), cwd=here):
        found = read_toml(path).get("ledger")
        if found is None:
            continue
        if not isinstance(found, str) or not found:
            raise ConfigRefused(
                f"'ledger' in {path.name} is {found!r}; expected the path of a ledger; mend it or give --ledger PATH"
            )
        return placed(found, path.parent)
    return default_ledger()
