"""Where things stand on this machine: state, configuration, runtime files. Loads no settings.

Each directory is the user's own by platformdirs, private (0700, files 0600), and refused when others may write to it:
who can put a file there decides what is signed, trusted and run. ``platformdirs`` costs more to load than all else here:
it is asked only where the XDG rule for the ordinary case (Linux, a home that is known) does not answer already.
"""

import os
import stat
import sys
from pathlib import Path
from typing import Final

from forum_mcp.errors import ConfigRefused

__all__ = [
    "MEMORY",
    "PROJECT_FILE",
    "cache_dir",
    "default_ledger",
    "placed",
    "private_dir",
    "refuse_shared",
    "runtime_dir",
    "shown",
    "spelt",
    "state_dir",
    "user_file",
    "write_private",
]

_APP: Final = "forum-mcp"
MEMORY: Final = ":memory:"
PROJECT_FILE: Final = Path(".forum", "config.toml")


def state_dir() -> Path:
    """Return the directory of ledgers, keys and trust, FORUM_STATE_DIR or the user's own; it may not exist yet.

    Raises:
        ConfigRefused: no home directory is known and nothing else says where.
    """
    named = os.environ.get("FORUM_STATE_DIR")
    if named:
        return Path(named).expanduser().absolute()
    if (plain := _by_xdg("XDG_STATE_HOME", ".local/state")) is not None:
        return plain
    import platformdirs

    return _of_the_user(platformdirs.user_state_path(_APP, appauthor=False), "XDG_STATE_HOME")


def cache_dir() -> Path:
    """Return the directory of what can be made again, the user's own; it may not exist yet."""
    import platformdirs

    return _of_the_user(platformdirs.user_cache_path(_APP, appauthor=False), "XDG_CACHE_HOME")


def runtime_dir() -> Path:
    """Return the directory of what ends with the login, the user's own; it may not exist yet."""
    import warnings

    import platformdirs

    with warnings.catch_warnings():  # without XDG_RUNTIME_DIR it names a place below /tmp, which is ours to judge
        warnings.simplefilter("ignore")
        return _of_the_user(platformdirs.user_runtime_path(_APP, appauthor=False), "XDG_RUNTIME_DIR")


def user_file() -> Path | None:
    """Return the user's configuration file, which may not exist; None when no home directory is known."""
    if (plain := _by_xdg("XDG_CONFIG_HOME", ".config")) is not None:
        return plain / "config.toml"
    import platformdirs

    try:
        directory = _of_the_user(platformdirs.user_config_path(_APP, appauthor=False), "XDG_CONFIG_HOME")
    except ConfigRefused:
        return None
    return directory / "config.toml"


def default_ledger() -> str:
    """Return the path of the ledger that is used when nobody names one; it may not exist yet.

    Raises:
        ConfigRefused: its directory is somebody else's, or others may write to it.
    """
    directory = state_dir()
    refuse_shared(directory, "the state directory")
    return str(directory / "ledger.db")


def _by_xdg(variable: str, below_home: str) -> Path | None:
    """Return our directory by the XDG Base Directory rule, or None: ``platformdirs`` knows the other cases."""
    if sys.platform != "linux" or hasattr(sys, "getandroidapilevel"):
        return None
    for base in (os.environ.get(variable, ""), os.path.join(os.environ.get("HOME", ""), below_home)):  # noqa: PTH118
        if base.startswith("/"):
            return Path(base) / _APP
    return None


def _of_the_user(path: Path, variable: str) -> Path:
    """Return the path unless it only looks like one: without a home, ``~`` stays as it is and ``""`` is the root."""
    homeless = os.environ.get("HOME") == "" and not os.environ.get(variable) and sys.platform != "win32"
    if homeless or not path.is_absolute():
        raise ConfigRefused(
            f"no home directory is known, nor {variable}, so there is no place for files of ours; "
            "set HOME, or FORUM_STATE_DIR to a directory for ledgers and keys"
        )
    return path


def refuse_shared(path: Path, what: str) -> None:
    """Refuse a file or directory that is somebody else's or that everybody may write to; one not there is fine.

    Raises:
        ConfigRefused: it is; says the command that mends it.
    """
    if sys.platform == "win32":
        return
    try:
        found = path.stat()
    except OSError:
        return
    if found.st_uid not in (0, os.geteuid()):
        raise ConfigRefused(
            f"{what} {shown(path)} belongs to another user (uid {found.st_uid}), who could change what runs; "
            f"run as that user, or take it over: chown {os.geteuid()} {shown(path)}"
        )
    if stat.S_IMODE(found.st_mode) & stat.S_IWOTH:
        raise ConfigRefused(
            f"{what} {shown(path)} may be written by every user of this machine; "
            f"take that right away: chmod o-w {shown(path)}"
        )


def private_dir(path: Path, what: str, instead: str = "name another place with FORUM_STATE_DIR") -> Path:
    """Make a directory of ours, 0700, and its missing parents; return it. ``instead``: what to do if that fails.

    Raises:
        ConfigRefused: it cannot be made, is somebody else's, or others may write to it.
    """
    try:
        for each in reversed([path, *path.parents]):
            if not each.exists():
                each.mkdir(mode=0o700, exist_ok=True)
        if not path.is_dir():
            raise NotADirectoryError(20, "not a directory")
    except OSError as error:
        raise ConfigRefused(
            f"{what} {shown(path)} cannot be made; {(error.strerror or str(error)).lower()}; {instead}"
        ) from error
    refuse_shared(path, what)
    return path


def write_private(path: Path, text: str) -> None:
    """Put a text in the place of a file, 0600, in one step.

    Raises:
        OSError: it cannot be written; what was there stands.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def placed(path: str, base: Path) -> str:
    """Return ``path`` with ``~`` expanded, relative to ``base``; ``:memory:`` stays what it is.

    Raises:
        ConfigRefused: it begins with ``~`` and no home directory is known.
    """
    if path == MEMORY:
        return path
    try:
        return os.path.normpath(base / Path(path).expanduser())
    except RuntimeError as error:
        raise ConfigRefused(f"{path!r} cannot be found; {error}; write the whole path") from error


def shown(path: Path) -> str:
    """Return a path as messages say it: from the working directory, or from the user's home directory as ``~``."""
    home = os.path.expanduser("~").rstrip("/")  # noqa: PTH111  Path.home() raises without a home
    try:
        here = Path.cwd()
        if str(here) != home:  # there a relative path would read as one of the project's
            return spelt(path.relative_to(here))
    except (ValueError, OSError):
        pass
    text = str(path)
    inside_home = home not in ("", "~") and (text + "/").startswith(home + "/")
    return spelt("~" + text.removeprefix(home) if inside_home else text)


def spelt(path: str | Path) -> str:
    """Return a path on one line: what is no printable character is written out."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in str(path))
