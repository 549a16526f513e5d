r"""Regular expressions that cannot run away: criteria come from plans, and plans come from models.

A subset that every engine reads alike, matched as sets of states (Thompson 1968): time is at most text times pattern,
there is no backtracking, and the answer is the same under every Python. Taken: literals, ``.``, classes ``[a-z]`` and
``[^...]``, ``\d \w \s \D \W \S`` (of ASCII), ``\n \r \t``, any other escaped character that is no letter or digit,
``^ $``, groups ``(...)`` and ``(?:...)``, ``|``, ``* + ? {m} {m,} {m,n}``, and ``(?i) (?m) (?s)`` in front. Refused:
back-references, look-around, lazy and possessive marks, names. A search is anywhere in the text, as ``re.search``.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

__all__ = ["PATTERN_CHARS", "STATES_MAX", "VERSION", "BadPattern", "Pattern", "compiled"]

VERSION: Final = 1
PATTERN_CHARS: Final = 500
STATES_MAX: Final = 1_000
"""Most states of a pattern, counted repetitions written out."""

_STEPS_MAX: Final = 4_000_000
"""Most states looked at in one search; reaching it is an answer of its own, the same on every machine."""

_KEPT: Final = 2_000  # transitions remembered by one search
_REPEATS_MAX: Final = 200
_DEEPEST: Final = 40
_FOLDED_MAX: Final = 300  # characters of a range that are made lower case one by one

_Ranges = tuple[tuple[int, int], ...]
_DIGITS: Final[_Ranges] = ((48, 57),)
_WORD: Final[_Ranges] = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Final[_Ranges] = ((9, 13), (32, 32))
_CLASSES: Final = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t"}
_LAST: Final = 0x10FFFF
_DONE: Final = -1

# One state: (kind, argument, next state, other next state). Kinds: "in" takes a character of the argument's ranges,
# "split" goes both ways, "start" and "end" hold at a place, "done" is the end of the pattern.
_State = tuple[str, _Ranges, int, int]


class BadPattern(ValueError):
    """A pattern that is not taken; the message says what of it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, ready to search with."""

    source: str
    states: tuple[_State, ...]
    first: int
    multiline: bool
    fold: bool

    def search(self, text: str) -> bool | None:
        """Tell whether the pattern matches anywhere in the text; None when that takes more steps than are made."""
        if self.fold:
            text = text.lower()
        left = _STEPS_MAX
        closed: dict[tuple[frozenset[int], bool, bool], frozenset[int]] = {}
        moved: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        at: frozenset[int] = frozenset()
        last = len(text)
        for index in range(last + 1):
            starts = index == 0 or (self.multiline and text[index - 1] == "\n")
            ends = index == last or (text[index] == "\n" and (self.multiline or index == last - 1))
            here = closed.get((at, starts, ends))
            if here is None:
                here, looked_at = self._closure(at, starts=starts, ends=ends)
                left -= looked_at
                if len(closed) < _KEPT:
                    closed[(at, starts, ends)] = here
            if _DONE in here:
                return True
            if index == last:
                return False
            found = moved.get((here, text[index]))
            if found is None:
                left -= len(here)
                found = self._move(here, ord(text[index]))
                if len(moved) < _KEPT:
                    moved[(here, text[index])] = found
            if left < 0:
                return None
            at = found
        return False

    def _move(self, here: frozenset[int], point: int) -> frozenset[int]:
        states = self.states
        return frozenset(states[each][2] for each in here if _holds(states[each][1], point))

    def _closure(self, at: frozenset[int], *, starts: bool, ends: bool) -> tuple[frozenset[int], int]:
        """Return the states that take a character, _DONE when the end is reached, and how many were looked at."""
        seen: set[int] = set()
        taking: set[int] = set()
        todo = [self.first, *at]
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen.add(state)
            kind, _, one, other = self.states[state]
            if kind == "done":
                taking.add(_DONE)
            elif kind == "in":
                taking.add(state)
            elif kind == "split":
                todo += (one, other)
            elif (kind == "start" and starts) or (kind == "end" and ends):
                todo.append(one)
        return frozenset(taking), len(seen)


def _just(character: str) -> _Ranges:
    return ((ord(character), ord(character)),)


def _holds(ranges: _Ranges, point: int) -> bool:
    return any(low <= point <= high for low, high in ranges)


@lru_cache(maxsize=256)
def compiled(source: str) -> Pattern:
    """Return a pattern, ready to search with.

    Raises:
        BadPattern: it is too long, too large, or uses what is not taken.
    """
    return _Reader(source).pattern()


class _Reader:
    """Reads one pattern, by recursive descent, into states that are made back to front."""

    def __init__(self, source: str) -> None:
        if len(source) > PATTERN_CHARS:
            raise BadPattern(f"it has {len(source)} characters; at most {PATTERN_CHARS} are taken")
        self.source = source
        self.at = 0
        self.flags = self._read_flags()
        self.states: list[_State] = []

    def pattern(self) -> Pattern:
        node = self._either(0)
        if self.at < len(self.source):
            raise BadPattern(f"the ')' at character {self.at + 1} closes nothing")
        done = self._add("done", (), -1)
        first = self._build(node, done)
        return Pattern(self.source, tuple(self.states), first, "m" in self.flags, "i" in self.flags)

    def _read_flags(self) -> str:
        found = ""
        while self.source.startswith("(?", self.at) and self.source[self.at + 2 : self.at + 3] in ("i", "m", "s"):
            end = self.source.find(")", self.at)
            letters = self.source[self.at + 2 : end]
            if end < 0 or not set(letters) <= set("ims"):
                break
            found += letters
            self.at = end + 1
        return found

    # Nodes: ("in", ranges) ("start",) ("end",) ("all", nodes) ("any", nodes) ("times", node, least, most or None)

    def _either(self, depth: int) -> "_Node":
        if depth > _DEEPEST:
            raise BadPattern(f"its groups are nested more than {_DEEPEST} deep")
        options = [self._row(depth)]
        while self._peek() == "|":
            self.at += 1
            options.append(self._row(depth))
        return options[0] if len(options) == 1 else _Node("any", parts=tuple(options))

    def _row(self, depth: int) -> "_Node":
        parts: list[_Node] = []
        while (mark := self._peek()) and mark not in "|)":
            parts.append(self._repeated(self._one(depth)))
        return _Node("all", parts=tuple(parts))

    def _peek(self) -> str:
        return self.source[self.at : self.at + 1]

    def _one(self, depth: int) -> "_Node":
        mark = self._peek()
        self.at += 1
        match mark:
            case "(":
                if self._peek() == "?":
                    if not self.source.startswith("?:", self.at):
                        raise BadPattern("it uses '(?'; of those only '(?:' is taken, and (?i) (?m) (?s) in front")
                    self.at += 2
                node = self._either(depth + 1)
                if self._peek() != ")":
                    raise BadPattern("a '(' is not closed")
                self.at += 1
                return node
            case "[":
                return _Node("in", ranges=self._class())
            case ".":
                return _Node("in", ranges=((0, _LAST),) if "s" in self.flags else ((0, 9), (11, _LAST)))
            case "^":
                return _Node("start")
            case "$":
                return _Node("end")
            case "\\":
                return _Node("in", ranges=self._escape())
            case "*" | "+" | "?" | "{":
                raise BadPattern(
                    f"the {mark!r} at character {self.at} repeats nothing; write \\{mark} for the character"
                )
            case _:
                return _Node("in", ranges=self._folded(_just(mark)))

    def _repeated(self, node: "_Node") -> "_Node":
        mark = self._peek()
        if not mark or mark not in "*+?{":
            return node
        self.at += 1
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(mark) or self._counts()
        if (after := self._peek()) and after in "*+?{":
            raise BadPattern(f"the {after!r} at character {self.at + 1} stands after another repetition; group it")
        return _Node("times", parts=(node,), least=least, most=most)

    def _counts(self) -> tuple[int, int | None]:
        end = self.source.find("}", self.at)
        low, comma, high = self.source[self.at : max(end, self.at)].partition(",")
        digits = low.isascii() and low.isdigit() and (not high or (high.isascii() and high.isdigit()))
        if end < 0 or not digits or len(low) > 3 or len(high) > 3:
            raise BadPattern("a '{' is not a repetition {m}, {m,} or {m,n}; write \\{ for the character")
        self.at = end + 1
        least = int(low)
        most = None if comma and not high else int(high or low)
        if least > _REPEATS_MAX or (most or 0) > _REPEATS_MAX or (most is not None and most < least):
            raise BadPattern(f"a repetition is not 0 <= m <= n <= {_REPEATS_MAX}")
        return least, most

    def _escape(self) -> _Ranges:
        mark = self._peek()
        self.at += 1
        if mark in _CONTROLS:
            return _just(_CONTROLS[mark])
        if mark.lower() in _CLASSES and mark:
            ranges = _CLASSES[mark.lower()]
            return _outside(ranges) if mark.isupper() else ranges
        if not mark or (mark.isascii() and mark.isalnum()):
            raise BadPattern(f"it uses '\\{mark}', which is not taken")
        return _just(mark)

    def _class(self) -> _Ranges:
        outside = self._peek() == "^"
        self.at += outside
        ranges: list[tuple[int, int]] = []
        begun = self.at
        while (mark := self._peek()) != "]" or self.at == begun:
            if not mark:
                raise BadPattern("a '[' is not closed")
            low = self._class_member()
            if self._peek() == "-" and self.source[self.at + 1 : self.at + 2] not in ("]", "") and len(low) == 1:
                self.at += 1
                high = self._class_member()
                if len(high) != 1 or low[0][0] != low[0][1] or high[0][1] < low[0][0]:
                    raise BadPattern("a range in [...] does not go from a character up to another")
                low = ((low[0][0], high[0][1]),)
            ranges += low
        self.at += 1
        folded = self._folded(tuple(ranges))
        return _outside(folded) if outside else folded

    def _class_member(self) -> _Ranges:
        mark = self._peek()
        self.at += 1
        return self._escape() if mark == "\\" else _just(mark)

    def _folded(self, ranges: _Ranges) -> _Ranges:
        """Return the ranges for a text that was made lower case, when case does not matter."""
        if "i" not in self.flags:
            return ranges
        more = list(ranges)
        for low, high in ranges:
            for each in range(low, min(high, low + _FOLDED_MAX) + 1):
                for small in chr(each).lower():
                    more += _just(small)
        return tuple(more)

    def _add(self, kind: str, ranges: _Ranges, one: int, other: int = -1) -> int:
        if len(self.states) >= STATES_MAX:
            raise BadPattern(f"it comes to more than {STATES_MAX} states; repeat less")
        self.states.append((kind, ranges, one, other))
        return len(self.states) - 1

    def _build(self, node: "_Node", then: int) -> int:
        """Return the state at which the node begins, given the one that follows it."""
        match node.kind:
            case "in":
                return self._add("in", node.ranges, then)
            case "start" | "end":
                return self._add(node.kind, (), then)
            case "all":
                for part in reversed(node.parts):
                    then = self._build(part, then)
                return then
            case "any":
                first = self._build(node.parts[-1], then)
                for part in reversed(node.parts[:-1]):
                    first = self._add("split", (), self._build(part, then), first)
                return first
            case _:
                return self._times(node, then)

    def _times(self, node: "_Node", then: int) -> int:
        [part] = node.parts
        if node.most is None:
            around = self._add("split", (), -1, then)
            self.states[around] = ("split", (), self._build(part, around), then)
            then = around
        else:
            after = then
            for _ in range(node.most - node.least):
                then = self._add("split", (), self._build(part, then), after)
        for _ in range(node.least):
            then = self._build(part, then)
        return then


@dataclass(frozen=True, slots=True)
class _Node:
    kind: str
    ranges: _Ranges = ()
    parts: tuple["_Node", ...] = ()
    least: int = 0
    most: int | None = 0


def _outside(ranges: _Ranges) -> _Ranges:
    found: list[tuple[int, int]] = []
    begin = 0
    for low, high in sorted(ranges):
        if low > begin:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    if begin <= _LAST:
        found.append((begin, _LAST))
    return tuple(found)
