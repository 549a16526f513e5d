"""Settings from all their origins: flags > FORUM_* > project file > user file > defaults.

The project file is ``.forum/config.toml`` of the working directory, or the one ``--config`` or ``FORUM_CONFIG`` names;
the user file is ``config.toml`` in the user's configuration directory. Tables are merged member by member, lists and
executors are replaced whole. A project file that the user did not trust (``configs/trust.py``) is heard only on what
can do no harm: it lies in a directory that others filled.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.known import refused
from forum_mcp.configs.lines import nearest
from forum_mcp.configs.names import ALL_ROLES, BUILT_IN, ROLES
from forum_mcp.configs.origins import Origin, origins
from forum_mcp.configs.paths import default_ledger, refuse_shared
from forum_mcp.configs.settings import Settings
from forum_mcp.errors import ConfigRefused

__all__ = ["Explained", "explained", "load"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting in force: its dotted key, its value as JSON, and where it comes from."""

    key: str
    value: object
    origin: str


def load(flags: Flags | None = None, *, cwd: Path | None = None) -> Settings:
    """Return the settings of this invocation; ``ledger`` is always a path or ``:memory:``.

    Raises:
        ConfigRefused: an unknown key (with the nearest known one), a wrong value, a file that cannot be read.
    """
    found = origins(flags or Flags(), cwd or Path.cwd())
    for origin in found:
        if origin.left_out:
            _log.warning("%s", origin.left_out)
    return _validated(found)


def explained(flags: Flags | None = None, *, cwd: Path | None = None) -> list[Explained]:
    """Return every setting in force with its origin; values of ``env`` tables are withheld, they may be secrets.

    Raises:
        ConfigRefused: as ``load``.
    """
    found = origins(flags or Flags(), cwd or Path.cwd())
    settings = _validated(found)
    return [
        Explained(".".join(path), "(set)" if "env" in path[-2:-1] else value, _origin(found, path))
        for path, value in _leaves(settings.model_dump(mode="json"), ())
    ]


def _validated(found: Sequence[Origin]) -> Settings:
    merged = _bind_roles(_merge(found))
    if "ledger" not in merged:
        merged["ledger"] = default_ledger()
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise refused(error, found) from None
    _check_roles(settings)
    for name, each in settings.executors.items():
        scheme, _, place = (each.api_key or "").partition(":")
        if scheme == "file":
            refuse_shared(Path(place), f"the key file of executor {name!r},")
    return settings


def _merge(found: Sequence[Origin]) -> dict[str, object]:
    """Return one table: the strongest origin's word on each member of a table, list and executor."""
    merged: dict[str, object] = {}
    for origin in found:
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
    if joined := next((name for name in settings.executors if "+" in name), None):
        raise ConfigRefused(
            f"'executors.{joined}' is refused; '+' joins the executors of one rung of a ladder; name it otherwise"
        )
    known = (*BUILT_IN, *settings.executors)
    for role in ALL_ROLES:
        for name in (name for rung in getattr(settings.roles, role) for name in rung.split("+")):
            if name not in known:
                raise ConfigRefused(f"role {role} is bound to {name!r}, which is no executor; {nearest(name, known)}")


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield each value that is no table, with its path; an empty table below the top is left out."""
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, object]", value).items():
            yield from _leaves(inner, (*path, name))
    else:
        yield path, value


def _origin(found: Sequence[Origin], path: tuple[str, ...]) -> str:
    """Return who decided on the setting at this path: executors belong whole to the strongest origin that has them."""
    for origin in found:
        if origin.has(path):
            return origin.place(path)
        if path[0] == "executors" and origin.has(path[:2]):
            return "default"
    if path[0] == "roles" and any(origin.has(("executors",)) for origin in found):
        return "default (the first executor)"
    return "default"
