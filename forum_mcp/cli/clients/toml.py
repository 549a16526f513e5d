"""TOML edited in place: comments, order and spacing of everything else stay."""

from collections.abc import Mapping, MutableMapping
from typing import cast

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable, Table

__all__ = ["TomlError", "drop", "put", "value_of"]


class TomlError(ValueError):
    """The text is not TOML, or what should be a table is none; the message names the line where there is one."""


def value_of(text: str) -> object:
    """Return what the text says.

    Raises:
        TomlError: it is not TOML.
    """
    return _parsed(text).unwrap()


def put(text: str, path: tuple[str, ...], value: Mapping[str, object]) -> str:
    """Return the text with the table at ``path`` set; missing ones on the way are made.

    Raises:
        TomlError: it is not TOML, or something on the way is no table.
    """
    document = _parsed(text)
    *above, key = path
    table = _table(document, "the document")
    for name in above:
        if name not in table:
            table[name] = tomlkit.table(is_super_table=True)
        table = _table(table[name], name)
    if _plain(table.get(key)) == value:
        return text
    table[key] = _made(value, inline=isinstance(table, InlineTable), last=_ends_with(document, above))
    return _checked(tomlkit.dumps(document))


def drop(text: str, path: tuple[str, ...]) -> str:
    """Return the text without the table at ``path``; unchanged when there is none.

    Raises:
        TomlError: it is not TOML, or something on the way is no table.
    """
    document = _parsed(text)
    *above, key = path
    table = _table(document, "the document")
    for name in above:
        if name not in table:
            return text
        table = _table(table[name], name)
    if key not in table:
        return text
    del table[key]
    return _checked(tomlkit.dumps(document))


def _parsed(text: str) -> TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, RecursionError) as error:
        raise TomlError(str(error) or "nested beyond reason") from error


def _checked(text: str) -> str:
    _parsed(text)
    return text


def _table(found: object, name: str) -> MutableMapping[str, object]:
    if not isinstance(found, MutableMapping):
        raise TomlError(f"{name} is no table")
    return cast("MutableMapping[str, object]", found)


def _plain(item: object) -> object:
    return item.unwrap() if isinstance(item, Table | InlineTable) else item


def _made(value: Mapping[str, object], *, inline: bool, last: bool) -> Table | InlineTable:
    table = tomlkit.inline_table() if inline else tomlkit.table()
    for name, each in value.items():
        table.add(name, tomlkit.item(each))
    if not inline and not last:
        table.add(tomlkit.nl())
    return table


def _ends_with(document: TOMLDocument, above: list[str]) -> bool:
    """Tell whether nothing follows the table that is written to, so that no blank line is needed below it."""
    keys = list(cast("Mapping[str, object]", document))
    return not keys or (bool(above) and keys[-1] == above[0])
