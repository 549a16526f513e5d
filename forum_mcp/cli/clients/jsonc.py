"""JSON with comments, edited as text: one member is put in or taken out, every other byte stays.

Editors keep their settings as JSON with ``//`` and ``/* */`` comments and trailing commas. A parser that only returns
values would lose them, so this one also says where each value stands.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Final, NoReturn, cast

__all__ = ["JsoncError", "drop", "put", "value_of"]

_TRIVIA: Final = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_DEPTH_MAX: Final = 200
_BOM: Final = "\ufeff"


class JsoncError(ValueError):
    """The text is not JSON with comments; the message names the line."""


@dataclass(slots=True)
class _Node:
    """A value and where it stands: ``text[start:end]``; ``members`` of an object in order, else None."""

    start: int
    end: int
    value: object
    members: list["_Member"] | None = None
    commas: list[int] = field(default_factory=list[int])


@dataclass(slots=True)
class _Member:
    key: str
    start: int
    node: _Node


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0

    def document(self) -> _Node:
        self.at = len(_BOM) if self.text.startswith(_BOM) else 0
        self._skip()
        node = self._value()
        self._skip()
        if self.at < len(self.text):
            self._refuse("more text after the end of the document")
        return node

    def _refuse(self, what: str) -> NoReturn:
        line = self.text.count("\n", 0, self.at) + 1
        raise JsoncError(f"line {line}: {what}")

    def _skip(self) -> None:
        found = _TRIVIA.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def _value(self) -> _Node:
        start = self.at
        char = self.text[start : start + 1]
        if char in ("{", "["):
            self.depth += 1
            if self.depth > _DEPTH_MAX:
                self._refuse("nested beyond reason")
            node = self._object() if char == "{" else self._array()
            self.depth -= 1
            return node
        found = _STRING.match(self.text, start) or _PLAIN.match(self.text, start)
        if found is None:
            self._refuse("expected a value")
        self.at = found.end()
        try:
            value: object = json.loads(found[0])
        except ValueError as error:
            self.at = start
            self._refuse(str(error))
        return _Node(start, self.at, value)

    def _object(self) -> _Node:
        node = _Node(self.at, 0, {}, members=[])
        table: dict[str, object] = {}
        members: list[_Member] = []
        self.at += 1
        self._skip()
        while self.text[self.at : self.at + 1] != "}":
            start = self.at
            found = _STRING.match(self.text, start)
            if found is None:
                self._refuse("expected a key in double quotes")
            key = str(json.loads(found[0]))
            self.at = found.end()
            self._skip()
            if self.text[self.at : self.at + 1] != ":":
                self._refuse(f"expected a colon after {found[0][:40]}")
            self.at += 1
            self._skip()
            value = self._value()
            table[key] = value.value
            members.append(_Member(key, start, value))
            self._comma(node, "}")
        self.at += 1
        node.value, node.members, node.end = table, members, self.at
        return node

    def _array(self) -> _Node:
        node = _Node(self.at, 0, [])
        values: list[object] = []
        self.at += 1
        self._skip()
        while self.text[self.at : self.at + 1] != "]":
            values.append(self._value().value)
            self._comma(node, "]")
        self.at += 1
        node.value, node.end = values, self.at
        return node

    def _comma(self, node: _Node, close: str) -> None:
        self._skip()
        char = self.text[self.at : self.at + 1]
        if char == ",":
            node.commas.append(self.at)
            self.at += 1
            self._skip()
        elif char != close:
            self._refuse(f"expected a comma or {close}")


def value_of(text: str) -> object:
    """Return what the text says; an empty one is an empty object.

    Raises:
        JsoncError: it is not JSON with comments.
    """
    return _parsed(text)[1].value


def put(text: str, path: tuple[str, ...], value: object) -> str:
    """Return the text with the member at ``path`` set; missing objects on the way are made.

    Raises:
        JsoncError: it is not JSON with comments, or something on the way is no object.
    """
    text, node = _parsed(text)
    for depth, key in enumerate(path):
        members = _members(node, path[:depth])
        found = next((member for member in members if member.key == key), None)
        if found is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            return _inserted(text, node, key, value)
        node = found.node
    if node.value == value:
        return text
    indent = _indent_at(text, node.start)
    return text[: node.start] + _encoded(text, value, indent) + text[node.end :]


def drop(text: str, path: tuple[str, ...]) -> str:
    """Return the text without the member at ``path``, with the comma it needed; unchanged when there is none.

    Raises:
        JsoncError: it is not JSON with comments, or something on the way is no object.
    """
    text, node = _parsed(text)
    for depth, key in enumerate(path):
        members = _members(node, path[:depth])
        place = next((index for index, member in enumerate(members) if member.key == key), None)
        if place is None:
            return text
        if depth == len(path) - 1:
            return _without(text, node, place)
        node = members[place].node
    return text


def _parsed(text: str) -> tuple[str, _Node]:
    if not text.strip(_BOM + " \t\r\n"):
        text += "{}\n"
    return text, _Parser(text).document()


def _members(node: _Node, path: tuple[str, ...]) -> list[_Member]:
    if node.members is None:
        raise JsoncError(f"{'.'.join(path) or 'the document'} is no object")
    return node.members


def _inserted(text: str, node: _Node, key: str, value: object) -> str:
    members = cast("list[_Member]", node.members)
    close = node.end - 1
    tail = len(text[:close].rstrip(" \t\r\n"))
    if members and "\n" not in text[node.start : node.end]:
        last = members[-1].node.end
        return f"{text[:last]}, {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}{text[last:]}"
    newline = _newline(text)
    outer = _indent_at(text, node.start)
    inner = _indent_at(text, members[0].start) if members else outer + _unit(text)
    trailing = len(node.commas) == len(members) and bool(members)
    member = f"{newline}{inner}{json.dumps(key)}: {_encoded(text, value, inner)}{',' if trailing else ''}"
    rest = text[tail:] if "\n" in text[tail:close] else f"{newline}{outer}{text[close:]}"
    if not members or trailing:
        return text[:tail] + member + rest
    last = members[-1].node.end
    return text[:last] + "," + text[last:tail] + member + rest


def _without(text: str, node: _Node, place: int) -> str:
    members = cast("list[_Member]", node.members)
    member = members[place]
    own_comma = next((at for at in node.commas if at >= member.node.end), None)
    end = member.node.end if own_comma is None else own_comma + 1
    start = _end_before(text, member.start, end)
    if own_comma is None and place > 0:
        before = next(at for at in node.commas if at >= members[place - 1].node.end)
        return text[:before] + text[before + 1 : start] + text[end:]
    if len(members) == 1 and not text[end : node.end - 1].strip() and start == node.start + 1:
        end = node.end - 1  # nothing but our member and its line breaks stood between the braces
    return text[:start] + text[end:]


def _end_before(text: str, at: int, after: int) -> int:
    """Return where what stands before ``at`` ends, when what stands from there to ``after`` goes.

    White space goes too, but not the line break that ends a comment, unless another one follows.
    """
    end = len(text[:at].rstrip(" \t\r\n"))
    line = text[text.rfind("\n", 0, end) + 1 : end]
    broken = text.find("\n", end, at)
    needed = "//" in line and broken >= 0 and not re.match(r"[ \t]*\r?\n", text[after:])
    return broken + 1 if needed else end


def _encoded(text: str, value: object, indent: str) -> str:
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return (_newline(text) + indent).join(lines)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _unit(text: str) -> str:
    found = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    return found[1] if found else "  "


def _indent_at(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]
