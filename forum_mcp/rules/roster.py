"""The roster: which lanes there are and what the router knows of each, read from TOML.

Every fault names the file and the line. A user's file adds, changes or removes lanes of the shipped one:

    remove = ["game-dev"]              # lanes of the base roster that are not wanted

    [lanes.backend]                    # a lane of the base: the members given replace its own
    tier = "large"

    [lanes.billing]                    # a new lane
    category = "support"
    description = "Invoices, refunds and payment disputes of our customers."
    keywords = ["invoice", "refund"]   # words and phrases that speak for the lane
    strong = ["chargeback"]            # ... that hardly mean any other lane
    tier = "medium"                    # small, medium (default) or large
    examples = ["Refund order 1234 and tell the customer why"]
"""

import re
import tomllib
from difflib import get_close_matches
from typing import Final, NoReturn, cast

from forum_mcp.errors import RosterRefused
from forum_mcp.rules.lanes import FALLBACK, LANES_MAX, TIERS, Lane, Roster, Tier, lane_fault

__all__ = ["FALLBACK", "TEXT_MAX", "TIERS", "VERSION", "Lane", "Roster", "parse"]

VERSION: Final = 1

TEXT_MAX: Final = 1_000_000
"""Characters a roster file may have."""

_TOP: Final = ("lanes", "remove")
_TEXTS: Final = ("category", "description", "tier")
_LISTS: Final = ("keywords", "strong", "examples")
_KEY: Final = r"""(?:"{0}"|'{0}'|{0})"""
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TWICE: Final = re.compile(r"""\s*\[\s*["']?lanes["']?\s*\.\s*["']?([^"'\].]+?)["']?\s*\]""")


def parse(text: str, origin: str, base: Roster | None = None) -> Roster:
    """Return the roster a TOML text describes, over ``base`` when there is one.

    ``origin`` names the file in messages. Without a base the text must describe the fallback lane too.

    Raises:
        RosterRefused: the text has a fault; the message begins with ``origin:line:``.
    """
    return _Reader(text, origin).read(base)


class _Reader:
    """One reading of one text: what it says, and where."""

    def __init__(self, text: str, origin: str) -> None:
        self.origin = origin
        self.text = text
        self.lines = text.splitlines()

    def read(self, base: Roster | None) -> Roster:
        top = self._load()
        for key in top:
            if key not in _TOP:
                self._refuse(self._line_of(key), f"unknown member '{_short(key)}'{_meant(key, _TOP)}")
        lanes = dict(base.lanes) if base else {}
        removed = self._removed(top.get("remove", []), lanes)
        given = top.get("lanes", {})
        if not isinstance(given, dict):
            self._refuse(self._line_of("lanes"), f"'lanes' is {_kind(given)}; expected tables like [lanes.backend]")
        for name, members in cast("dict[str, object]", given).items():
            if name in removed:
                self._refuse(
                    self._lane_line(name), f"lane '{name}' is removed and described in the same file; do one of the two"
                )
            lanes[name] = self._lane(name, members, lanes.get(name))
        for name in removed:
            del lanes[name]
        if FALLBACK not in lanes:
            self._refuse(
                1,
                f"the fallback lane '{FALLBACK}' is missing; add [lanes.{FALLBACK}] with a category and a description",
            )
        if len(lanes) > LANES_MAX:
            self._refuse(1, f"{len(lanes)} lanes, more than {LANES_MAX}")
        return Roster(lanes)

    def _load(self) -> dict[str, object]:
        if len(self.text) > TEXT_MAX:
            self._refuse(1, f"{len(self.text)} characters, more than {TEXT_MAX}")
        try:
            self.text.encode()
        except UnicodeEncodeError as fault:
            self._refuse(self.text.count("\n", 0, fault.start) + 1, "a character that is not valid Unicode text")
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as fault:
            self._refuse_syntax(str(fault))
        except RecursionError:
            self._refuse(1, "values nested too deep")

    def _refuse_syntax(self, message: str) -> NoReturn:
        place = _PLACE.search(message)
        line = int(place[1]) if place and place[1] else max(1, len(self.lines))
        headers: dict[str, int] = {}
        for number, content in enumerate(self.lines[:line], start=1):
            if (header := _TWICE.match(content)) and headers.setdefault(header[1], number) != number and number == line:
                self._refuse(
                    line, f"lane '{header[1]}' is described twice (first on line {headers[header[1]]}); keep one"
                )
        self._refuse(line, f"not TOML: {_PLACE.sub('', message)[:1].lower()}{_PLACE.sub('', message)[1:]}")

    def _removed(self, value: object, lanes: dict[str, Lane]) -> tuple[str, ...]:
        line = self._line_of("remove")
        names = self._texts("remove", value, line)
        for name in names:
            at = self._line_holding(name, line)
            if name == FALLBACK:
                self._refuse(
                    at, f"the fallback lane '{FALLBACK}' cannot be removed; every request must have somewhere to go"
                )
            if name not in lanes:
                self._refuse(
                    at,
                    f"'remove' names '{_short(name)}', not a lane of the base roster{_meant(name, tuple(lanes))}",
                )
            if names.count(name) > 1:
                self._refuse(at, f"'remove' names '{name}' twice")
        return names

    def _lane(self, name: str, members: object, old: Lane | None) -> Lane:
        header = self._lane_line(name)
        if not isinstance(members, dict):
            self._refuse(header, f"lane '{_short(name)}' is {_kind(members)}; expected a table [lanes.{_short(name)}]")
        table = cast("dict[str, object]", members)
        texts: dict[str, str] = {}
        lists: dict[str, tuple[str, ...]] = {}
        for member, value in table.items():
            line = self._line_of(member, header)
            if member in _TEXTS:
                if not isinstance(value, str):
                    self._refuse(line, f"lane '{_short(name)}': '{member}' is {_kind(value)}; expected text")
                texts[member] = value
            elif member in _LISTS:
                lists[member] = self._texts(f"lane '{_short(name)}': '{member}'", value, line)
            else:
                self._refuse(
                    line,
                    f"lane '{_short(name)}': unknown member '{_short(member)}'{_meant(member, (*_TEXTS, *_LISTS))}",
                )
        for member in ("category", "description"):
            if member not in texts and old is None:
                self._refuse(header, f"lane '{_short(name)}' has no '{member}'; a new lane needs one")
        lane = Lane(
            name,
            texts.get("category", old.category if old else ""),
            texts.get("description", old.description if old else ""),
            lists.get("keywords", old.keywords if old else ()),
            cast("Tier", texts.get("tier", old.tier if old else "medium")),  # lane_fault looks at it next
            lists.get("examples", old.examples if old else ()),
            lists.get("strong", old.strong if old else ()),
        )
        if fault := lane_fault(lane):
            member, problem = fault
            if member == "name":
                self._refuse(header, f"lane '{_short(name)}': {problem}")
            self._refuse(self._line_of(member, header), f"lane '{name}': '{member}' {problem}")
        return lane

    def _texts(self, what: str, value: object, line: int) -> tuple[str, ...]:
        if not isinstance(value, list):
            self._refuse(line, f"{what} is {_kind(value)}; expected a list of texts")
        items = cast("list[object]", value)
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) < len(items):
            wrong = next(item for item in items if not isinstance(item, str))
            self._refuse(line, f"{what} holds {_kind(wrong)}; expected a list of texts")
        return texts

    def _lane_line(self, name: str) -> int:
        """Return the line a lane begins on: its header, or else where its name first stands as a key."""
        key = _KEY.format(re.escape(name))
        header = re.compile(rf"\s*\[{{1,2}}\s*{_KEY.format('lanes')}\s*\.\s*{key}\s*[\].]")
        dotted = re.compile(rf"\s*(?:{_KEY.format('lanes')}\s*\.\s*)?{key}\s*[.=]")
        for pattern in (header, dotted):
            for number, line in enumerate(self.lines, start=1):
                if pattern.match(line):
                    return number
        return self._line_of("lanes")

    def _line_of(self, member: str, after: int = 0) -> int:
        """Return the line a member stands on, within the table whose header is on line ``after`` (0: the top)."""
        pattern = re.compile(rf"(?:^|[\s.{{,\[]){_KEY.format(re.escape(member))}\s*[=.\]]")
        for number in range(max(after, 1), len(self.lines) + 1):
            line = self.lines[number - 1]
            if pattern.search(line):
                return number
            if after and number > after and re.match(r"\s*\[{1,2}\s*[\w\"']", line) and not line.rstrip().endswith(","):
                break
        return max(after, 1)

    def _line_holding(self, text: str, after: int) -> int:
        """Return the first line from ``after`` on that quotes the text, or ``after``."""
        for number in range(after, len(self.lines) + 1):
            if any(f"{mark}{text}{mark}" in self.lines[number - 1] for mark in "\"'"):
                return number
        return after

    def _refuse(self, line: int, problem: str) -> NoReturn:
        raise RosterRefused(f"{self.origin}:{line}: {problem}")


def _meant(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return (
        f"; did you mean '{close[0]}'?"
        if close
        else f" (expected one of: {', '.join(known)})"
        if len(known) < 10
        else ""
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


_KINDS: Final[dict[type, str]] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    dict: "a table",
    list: "a list",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a date or time")
