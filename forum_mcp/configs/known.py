"""Refusals that help: which key is wrong, where it stands, and the nearest one that exists."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final, cast, get_args

from pydantic import BaseModel, ValidationError

from forum_mcp.configs.settings import Settings
from forum_mcp.errors import ConfigRefused

__all__ = ["line_of", "nearest", "refuse_unknown", "refuse_unknown_variables", "refused"]

_OUTSIDE: Final = ("FORUM_CONFIG", "FORUM_DEPTH", "FORUM_STATE_DIR")
"""Variables of ours that are no settings: the file to read, where state lies, and the depth guard of nested agents."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'`` for the nearest known word, or the known words when none is near."""
    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6) or get_close_matches(word.lower(), words, n=1)
    return f"did you mean {close[0]!r}" if close else f"expected one of {', '.join(words)}"


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the 1-based line of a TOML text where the key stands, or None when it is written some other way.

    A search by eye, for messages only: table headers and ``key =`` at the start of a line.
    """
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            if table == path:
                return number
        elif (key := re.match(r"\s*([\w\-.\"']+)\s*=", line)) and (
            *table,
            *(part.strip("\"'") for part in key[1].split(".")),
        ) == path:
            return number
    return None


def refuse_unknown(values: Mapping[str, object], model: type[BaseModel], *, file: str, text: str) -> None:
    """Refuse a key of a file that no setting has.

    Raises:
        ConfigRefused: names the file, the line, the key and the nearest key that exists.
    """
    for path, known in _unknown(values, model, ()):
        line = line_of(text, path)
        where = f"{file} line {line}" if line else file
        raise ConfigRefused(
            f"{'.'.join(path)!r} in {where} is no setting; unknown keys are refused; {nearest(path[-1], known)}"
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


def refused(error: ValidationError, origins: Iterable[tuple[str, Mapping[str, object], str]]) -> ConfigRefused:
    """Return the refusal for the first fault pydantic found; the value is not shown, it may be a secret."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = tuple(str(part) for part in fault["loc"])
    says = fault["msg"].removeprefix("Value error, ")
    says = says[:1].lower() + says[1:]
    keys = tuple(part for part in path if not part.isdigit())
    for name, values, text in origins:
        if keys and _has(values, keys):
            line = line_of(text, keys) if text else None
            where = f"{name} line {line}" if line else name
            return ConfigRefused(
                f"{'.'.join(path)!r} in {where} is refused; {says}; see configs/forum.toml for every setting"
            )
    what = ".".join(path) or "the configuration"
    return ConfigRefused(f"{what} is refused; {says}; see configs/forum.toml for every setting")


def _has(values: object, path: tuple[str, ...]) -> bool:
    if not path:
        return True
    table = cast("dict[str, object]", values) if isinstance(values, dict) else {}
    return path[0] in table and _has(table[path[0]], path[1:])
