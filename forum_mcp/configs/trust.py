"""Which project files the user has read and trusts: each pinned by the SHA-256 of its bytes.

A project file comes with a directory that others filled. Until the user says ``forum-mcp trust`` it may name a ledger,
a roster and a degree of parallelism; what runs programs, spends or loosens a policy is left out. A changed file is an
untrusted one. The list is ``trusted.json`` in the state directory, 0600: {absolute path: lower-case hex}.
"""

import hashlib
import json
from pathlib import Path
from typing import Final, cast

from forum_mcp.configs.paths import private_dir, refuse_shared, shown, state_dir, write_private
from forum_mcp.errors import ConfigRefused

__all__ = ["HARMLESS", "forget", "pin", "standing"]

HARMLESS: Final = frozenset({"ledger", "roster", "max_parallel"})
"""Settings that count from a project file nobody has vouched for."""


def standing(path: Path, content: bytes) -> str:
    """Return how the user stands to a project file: ``trusted``, ``changed`` since it was trusted, or ``unknown``.

    Raises:
        ConfigRefused: the list of trusted files is damaged, somebody else's, or others may write to it.
    """
    pinned = _pins().get(_key(path))
    if pinned is None:
        return "unknown"
    return "trusted" if pinned == _digest(content) else "changed"


def pin(path: Path, content: bytes) -> str:
    """Trust a project file as it is now; return its digest, 64 hex.

    Raises:
        ConfigRefused: the list cannot be kept.
    """
    _keep(_pins() | {_key(path): _digest(content)})
    return _digest(content)


def forget(path: Path) -> bool:
    """Trust a project file no longer; return whether it was on the list.

    Raises:
        ConfigRefused: the list cannot be kept.
    """
    pins = _pins()
    known = pins.pop(_key(path), None) is not None
    if known:
        _keep(pins)
    return known


def _key(path: Path) -> str:
    return str(path.resolve())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _file() -> Path:
    return state_dir() / "trusted.json"


def _pins() -> dict[str, str]:
    try:
        file = _file()
    except ConfigRefused:  # without a place of the user's own nobody has vouched for anything
        return {}
    refuse_shared(file.parent, "the state directory")
    refuse_shared(file, "the list of trusted files")
    try:
        found: object = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigRefused(
            f"the list of trusted files {shown(file)} cannot be read; {error}; "
            "delete it and trust again: forum-mcp trust"
        ) from error
    table = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    return {path: digest for path, digest in table.items() if isinstance(digest, str)}


def _keep(pins: dict[str, str]) -> None:
    file = _file()
    private_dir(file.parent, "the state directory")
    try:
        write_private(file, json.dumps(pins, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise ConfigRefused(
            f"the list of trusted files {shown(file)} cannot be written; {(error.strerror or str(error)).lower()}; "
            "name another place with FORUM_STATE_DIR"
        ) from error
