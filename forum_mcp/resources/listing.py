"""The pages of ``resources/list``: the fixed resources, then the newest runs, then the newest entries.

A listing is bounded (clients read all of it): what is older is reached by template. The cursor is opaque to clients:
base64url of the section, the position to go on before, and how many are left.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from forum_mcp.errors import RequestRefused
from forum_mcp.resources.base import JSON, Listed

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["ENTRIES_LISTED", "PAGE", "RUNS_LISTED", "Page", "page"]

PAGE: Final = 50
RUNS_LISTED: Final = 50
ENTRIES_LISTED: Final = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Resources of one page, and the cursor of the next page or None."""

    resources: list[Listed]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Cursor:
    section: Literal["runs", "entries"]
    before: int | None
    left: int


async def page(forum: Forum, cursor: str | None, fixed: Sequence[Listed]) -> Page:
    """Return the page that ``cursor`` names; None is the first, which begins with ``fixed``.

    Raises:
        RequestRefused: the cursor is not one of ours.
    """
    listed: list[Listed] = list(fixed) if cursor is None else []
    at: _Cursor | None = _Cursor("runs", None, RUNS_LISTED) if cursor is None else _decode(cursor)
    while at is not None and len(listed) < PAGE:
        room = min(PAGE - len(listed), at.left)
        found, at = _runs(forum, at, room) if at.section == "runs" else _entries(forum, at, room)
        listed += found
    return Page(listed, None if at is None else _encode(at))


def _runs(forum: Forum, at: _Cursor, room: int) -> tuple[list[Listed], _Cursor | None]:
    view = forum.runs(limit=room, before=at.before)
    found = [
        Listed(
            uri=f"forum://runs/{run.run_id}",
            name=f"run-{run.run_id}",
            title=f"Run {run.run_id[:8]}, {run.state}",
            media_type=JSON,
            modified_us=run.started_us,
        )
        for run in view.runs
    ]
    left = at.left - room
    if view.before is None or left <= 0:
        return found, _Cursor("entries", None, ENTRIES_LISTED)
    return found, _Cursor("runs", view.before, left)


def _entries(forum: Forum, at: _Cursor, room: int) -> tuple[list[Listed], _Cursor | None]:
    view = forum.ledger.show(limit=room, before=at.before)
    found = [
        Listed(
            uri=f"forum://ledger/entries/{entry.seq}",
            name=f"entry-{entry.seq}",
            title=f"Entry {entry.seq}, {entry.kind}",
            media_type=JSON,
            size=len(forum.ledger.raw(entry.seq)),
            modified_us=entry.at,
        )
        for entry in reversed(view.entries)
    ]
    left = at.left - room
    return found, None if view.before is None or left <= 0 else _Cursor("entries", view.before, left)


def _encode(at: _Cursor) -> str:
    text = json.dumps([at.section, at.before, at.left], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


_SHAPE: Final = msgspec.json.Decoder(tuple[Literal["runs", "entries"], int | None, int])


def _decode(cursor: str) -> _Cursor:
    try:
        at = _Cursor(*_SHAPE.decode(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))))
    except (ValueError, msgspec.MsgspecError):
        at = None
    ours = at is not None and 0 < at.left <= ENTRIES_LISTED and (at.before is None or 0 <= at.before < 2**53)
    if at is None or not ours or _encode(at) != cursor:
        raise RequestRefused(
            f"the cursor {cursor[:80]!r} is not one that resources/list gave; start again without a cursor"
        )
    return at
