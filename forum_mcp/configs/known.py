"""Refusals that help: which key is wrong, where it stands, and the nearest one that exists."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final, Protocol, cast, get_args

from pydantic import BaseModel, ValidationError

from forum_mcp.configs.lines import nearest, placed_at
from forum_mcp.configs.settings import Settings
from forum_mcp.errors import ConfigRefused

__all__ = ["refuse_unknown", "refuse_unknown_variables", "refused"]

_OUTSIDE: Final = ("FORUM_CONFIG", "FORUM_DEPTH", "FORUM_NESTED", "FORUM_STATE_DIR", "FORUM_TOKEN")
"""Variables of ours that are no settings: the file to read, where state lies, the depth guard of nested agents, and the
bearer token of a server over HTTP."""

_SEE: Final = "every setting: forum-mcp config reference"


def refuse_unknown(values: Mapping[str, object], model: type[BaseModel], *, file: str, text: str) -> None:
    """Refuse a key of a file that no setting has.

    Raises:
        ConfigRefused: names the file, the line, the key and the nearest key that exists.
    """
    for path, known in _unknown(values, model, ()):
        raise ConfigRefused(
            f"{'.'.join(path)!r} in {placed_at(file, text, path)} is no setting; unknown keys are refused; {nearest(path[-1], known)}"
        )


def _unknown(
    values: Mapping[str, object], model: type[BaseModel], above: tuple[str, ...]
) -> Iterable[tuple[tuple[str, ...], Iterable[str]]]:
    for key, value in values.items():
        field = model.model_fields.get(key)
        if field is None:
            yield (*above, key), model.model_fields
        elif isinstance(value, dict):
            yield from _inside(cast("dict[str, object]", value), field.annotation, (*above, key))


def _inside(
    value: Mapping[str, object], annotation: object, path: tuple[str, ...]
) -> Iterable[tuple[tuple[str, ...], Iterable[str]]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _unknown(value, annotation, path)
        return
    for member in get_args(annotation)[1:]:
        for name, table in value.items():
            if isinstance(table, dict):
                yield from _inside(cast("dict[str, object]", table), member, (*path, name))


def refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """Refuse a ``FORUM_*`` variable that looks like a misspelt setting; others may belong to other programs.

    Raises:
        ConfigRefused: no such member in a table of ours, or a letter off a setting's name.
    """
    known = {f"FORUM_{name.upper()}" for name in Settings.model_fields}
    for variable in environ:
        head, deeper, rest = variable.partition("__")
        if not variable.startswith("FORUM_") or variable in known or variable in _OUTSIDE:
            continue
        if deeper and head in known:
            section = Settings.model_fields[head.removeprefix("FORUM_").lower()].annotation
            if isinstance(section, type) and issubclass(section, BaseModel):
                members = {f"{head}__{name.upper()}" for name in section.model_fields}
                if variable not in members:
                    raise ConfigRefused(
                        f"the environment variable {variable} is no setting; {head} has no member {rest!r}; "
                        f"{nearest(variable, members)}"
                    )
        elif close := get_close_matches(head, sorted({*known, *_OUTSIDE}), n=1, cutoff=0.85):
            raise ConfigRefused(
                f"the environment variable {variable} is no setting; "
                f"unknown keys are refused; did you mean {close[0]!r}"
            )


class _Origin(Protocol):
    def has(self, path: tuple[str, ...]) -> bool: ...

    def place(self, path: tuple[str, ...]) -> str: ...


def refused(error: ValidationError, origins: Sequence[_Origin]) -> ConfigRefused:
    """Return the refusal for the first fault pydantic found; the value is not shown, it may be a secret."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    path = tuple(str(part) for part in faults[0]["loc"])
    says = faults[0]["msg"].removeprefix("Value error, ")
    says = says[:1].lower() + says[1:]
    if len(faults) > 1:
        says += f" (and {len(faults) - 1} more)"
    keys = tuple(part for part in path if not part.isdigit())
    where = next((f" in {origin.place(keys)}" for origin in origins if keys and origin.has(keys)), "")
    what = repr(".".join(path)) if path else "the configuration"
    return ConfigRefused(f"{what}{where} is refused; {says}; {_SEE}")
