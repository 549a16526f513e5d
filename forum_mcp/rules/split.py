"""The ``rules`` Coordinator: a plan by the request's own structure, when no model makes one.

Lists, lines of requests, ``;``, "then" and "and" between two requests make several tasks; anything else is one task.
Every instruction is a piece of the request as it was written: connecting words, list markers and a lead-in that only
announces the list fall away, nothing is added. Whatever stands in code, quotation marks or brackets is never split.
"""

import re
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from forum_mcp.rules.imperatives import AMBIGUOUS, BACKWARD, DETERMINERS, IMPERATIVES, POLITE
from forum_mcp.rules.roster import Roster
from forum_mcp.rules.routing import route

__all__ = ["TASKS_MAX", "VERSION", "split"]

VERSION: Final = 1

TASKS_MAX: Final = 20
"""Tasks at most; the last one takes the rest of the request."""

_TEXT_MAX: Final = 50_000
"""A longer request holds pasted matter more than structure and stays one task."""

_NEAR: Final = 400
"""Characters on either side of a connector that tell whether it separates requests."""

_After = Literal["none", "previous", "all"]


class _Part(NamedTuple):
    """A piece of the request, [start, end), and what it must wait for."""

    start: int
    end: int
    after: _After = "none"


_OPAQUE: Final = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\"[^\"\n]*\"|\u201c[^\u201d\n]*\u201d"
    r"|\([^()\n]*\)|\[[^\[\]\n]*\]|\{[^{}\n]*\}|(?<!\w)'[^'\n]*'(?!\w)",
    re.DOTALL,
)
_MARKER: Final = re.compile(r"^([ \t]*)(?:\(?\d{1,3}[.)]|[-*+\u2022\u2013]|\(?[a-z]\))[ \t]+(?=\S)", re.MULTILINE)
_NUMBER: Final = re.compile(r"(?:^|(?<=\s))\(?(\d{1,2})[.)]\s+(?=\S)")
# White space is bounded, or long runs of it would be looked through again from each of their places.
_CONNECTOR: Final = re.compile(
    r"""
      (?P<then> (?:[.;,]\s{0,9}|\s) (?:(?:and|but)\s{1,9})?
        (?:then|after\ that|afterwards|after\ this|once\ (?:that\ is|that's|it\ is|it's|this\ is)\ done)\b ,? \s{1,9})
    | (?P<last> (?:[.;,]\s{0,9}|\s) (?:and\s{1,9})? (?:finally|lastly|at\ the\ end)\b ,? \s{1,9})
    | (?P<semicolon> ;\s{1,9} (?:and\s{1,9})?)
    | (?P<and> ,?\s{1,9} (?:and|as\ well\ as|plus)\s{1,9} (?:also\s{1,9})?)
    | (?P<comma> ,\s{1,9})
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FIRST_WORDS: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_CONDITION: Final = re.compile(r"(?:^|[,.;]\s*)(?:if|when|whenever|unless|once|while)\b[^.;]*$", re.IGNORECASE)
_SENTENCE_END: Final = re.compile(r"[.;!?](?:\s|$)")
_WAITS: Final = re.compile(
    r"(?:and\s+)?(?:then|after that|afterwards|after this|next|once (?:that|it|this)\b)", re.IGNORECASE
)
_WAITS_FOR_ALL: Final = re.compile(r"(?:and\s+)?(?:finally|lastly|at the end)\b", re.IGNORECASE)

_LEADS_ON: Final = re.compile(
    r"""
      (?: (?: [,;]\s{0,9} (?:and\s{1,9})? | \sand\s{1,9}
            | (?<!\bback)(?<!\bsince)(?<!\buntil)(?<!\btill)(?<!\bby)(?<!\bbefore)(?<!\bif)\s) (?P<previous>then)
        | (?:[,;]\s{0,9} (?:and\s{1,9})? | \sand\s{1,9}) (?P<all>finally|lastly)
        | [\s,;]and
      ) [,:]?$
    """,
    re.IGNORECASE | re.VERBOSE,
)
_LEADING_ON: Final = 40
"""Characters at the end of a list's item in which words that lead on to the next item stand."""


def split(request: str, roster: Roster, lane: str, permitted: Callable[[str], bool]) -> dict[str, object]:
    """Return a plan, as JSON, of 1 to 20 tasks.

    Args:
        request: the request.
        roster: lanes to route each part to.
        lane: lane of a part whose own route abstains or is not permitted.
        permitted: whether a plan may use the lane of that name.
    """
    parts = _parts(request)
    if len(parts) > TASKS_MAX:
        parts = [*parts[: TASKS_MAX - 1], _Part(parts[TASKS_MAX - 1].start, parts[-1].end, parts[TASKS_MAX - 1].after)]
    tasks: list[dict[str, object]] = []
    for part in parts:
        instruction = request[part.start : part.end]
        own = route(instruction, roster).lane
        earlier = [f"t{number}" for number in range(1, len(tasks) + 1)]
        depends_on = earlier if part.after == "all" else earlier[-1:] if part.after == "previous" else []
        tasks.append(
            {
                "id": f"t{len(tasks) + 1}",
                "lane": own if own is not None and len(parts) > 1 and permitted(own) else lane,
                "instruction": instruction,
                "depends_on": depends_on,
            }
        )
    return {"tasks": tasks}


def _parts(request: str) -> list[_Part]:
    whole = _Part(len(request) - len(request.lstrip()), len(request.rstrip()))
    if len(request) > _TEXT_MAX:
        return [whole]
    # Same length as the request, so that places found in it are places in the request.
    plain = _OPAQUE.sub(lambda match: "\0" * len(match[0]), request)
    for structure in (_numbered, _listed, _lined, _clauses):
        parts = [part for part in structure(request, plain) if part.end > part.start]
        if len(parts) > 1:
            return parts
    return [whole]


def _numbered(request: str, plain: str) -> list[_Part]:
    """Return the parts of "1. ... 2. ...", on one line or several, when the numbers run on from 1."""
    marks: list[re.Match[str]] = []
    for mark in _NUMBER.finditer(plain):
        if int(mark[1]) == len(marks) + 1:
            marks.append(mark)
    return _items(request, plain, [(mark.start(), mark.end()) for mark in marks])


def _listed(request: str, plain: str) -> list[_Part]:
    """Return the parts of a list with one item a line; deeper items belong to the item above them."""
    marks = list(_MARKER.finditer(plain))
    if not marks:
        return []
    indent = min(len(mark[1].expandtabs()) for mark in marks)
    return _items(request, plain, [mark.span() for mark in marks if len(mark[1].expandtabs()) <= indent + 1])


def _items(request: str, plain: str, marks: list[tuple[int, int]]) -> list[_Part]:
    """Return the parts between marks, unless they are the details of one request that stands before them."""
    if len(marks) < 2:
        return []
    ends = [start for start, _ in marks[1:]] + [len(request)]
    parts = [_item(request, begin, end) for (_, begin), end in zip(marks, ends, strict=True)]
    lead = plain[: marks[0][0]].strip()
    requests = sum(_begins_request(plain[part.start : part.end]) for part in parts)
    if lead and 2 * requests < len(parts) and any(_begins_request(line) for line in lead.splitlines()):
        return []
    if lead and not lead.endswith(":"):
        parts[0] = _trim(request, 0, parts[0].end)
    return _unlinked(request, parts)


def _item(request: str, start: int, end: int) -> _Part:
    part = _trim(request, start, end)
    text = request[part.start : part.end]
    after: _After = "all" if _WAITS_FOR_ALL.match(text) else "previous" if _WAITS.match(text) else "none"
    return part._replace(after=after)


def _unlinked(request: str, parts: list[_Part]) -> list[_Part]:
    """Return items without the words that lead on to the next one (", then"), which waits as they say."""
    told: _After = "none"
    unlinked: list[_Part] = []
    for number, part in enumerate(parts, 1):
        after: _After = part.after if told == "none" else told
        lead = _LEADS_ON.search(request, max(part.start, part.end - _LEADING_ON), part.end)
        told = "none"
        if lead is not None and number < len(parts):
            told = "previous" if lead["previous"] else "all" if lead["all"] else "none"
            part = _trim(request, part.start, lead.start())
        unlinked.append(part._replace(after=after))
    return unlinked


def _lined(request: str, plain: str) -> list[_Part]:
    """Return the lines, when every one of them is a request."""
    parts: list[_Part] = []
    at = 0
    for line in plain.splitlines(keepends=True):
        if line.strip():
            if not _begins_request(line):
                return []
            parts.append(_item(request, at, at + len(line)))
        at += len(line)
    return _unlinked(request, parts)


def _clauses(request: str, plain: str) -> list[_Part]:
    """Return the parts that "then", ``;`` and "and" separate, where a request stands on either side."""
    if not _begins_request(plain):
        return []
    cuts: list[tuple[int, int, _After]] = []
    commas: list[tuple[int, int, _After]] = []
    closed = left = at = 0
    while connector := _CONNECTOR.search(plain, at):
        at = connector.end()
        after = _accept(plain, left, connector)
        if after is None:
            # The next connector may share the white space that ends this one.
            at = connector.end() - 1
            continue
        cut = (connector.start(), connector.end(), after)
        if connector.lastgroup == "comma":
            commas.append(cut)
        else:
            # A comma separates requests only in a row that an "and" or a "then" closes within the sentence.
            ended = max((end.start() for end in _SENTENCE_END.finditer(plain, closed, connector.start())), default=-1)
            cuts.extend([*(comma for comma in commas if comma[0] > ended), cut])
            commas.clear()
            closed = connector.end()
        left = connector.end()
    begins = [0, *(end for _, end, _ in cuts)]
    ends = [*(start for start, _, _ in cuts), len(request)]
    waits: list[_After] = ["none", *(after for _, _, after in cuts)]
    return [
        _trim(request, begin, end)._replace(after=after) for begin, end, after in zip(begins, ends, waits, strict=True)
    ]


def _accept(plain: str, left: int, connector: re.Match[str]) -> _After | None:
    """Return what the text after a connector waits for when it is a request of its own, else None."""
    before = plain[max(left, connector.start() - _NEAR) : connector.start()]
    rest = plain[connector.end() : connector.end() + _NEAR]
    if len(_FIRST_WORDS.findall(before)) < 2 or not _begins_request(rest) or _CONDITION.search(before):
        return None
    words = [word.lower() for word in _FIRST_WORDS.findall(rest)]
    kind = connector.lastgroup
    if kind == "last":
        return "all"
    if kind == "then":
        return "previous"
    while words and words[0] in POLITE:
        del words[0]
    if len(words) < 2:
        return None
    if kind != "semicolon":
        # "write a parser and test it" is one request; so is "the design and build process".
        if words[1] in BACKWARD and len(words) < 4:
            return None
        if words[0] in AMBIGUOUS and words[1] not in DETERMINERS:
            return None
    sentence = _SENTENCE_END.split(rest, maxsplit=1)[0].lower()
    return "previous" if BACKWARD.intersection(_FIRST_WORDS.findall(sentence)[1:]) else "none"


def _begins_request(text: str) -> bool:
    """Whether a text begins the way requests do: a verb, politeness before it allowed."""
    for word in _FIRST_WORDS.findall(text[:200]):
        if word.lower() in IMPERATIVES:
            return True
        if word.lower().replace("'", "").replace("\u2019", "") not in POLITE:
            return False
    return False


def _trim(request: str, start: int, end: int) -> _Part:
    """Return [start, end) without white space and separators at its ends."""
    while start < end and (request[start].isspace() or request[start] in ",;"):
        start += 1
    while end > start and (request[end - 1].isspace() or request[end - 1] in ",;"):
        end -= 1
    return _Part(start, end)
