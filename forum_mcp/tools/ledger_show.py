"""The tool ``ledger_show``: entries of the record as people read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import msgspec

from forum_mcp.engine.views import EntryView, ShowView
from forum_mcp.errors import RequestRefused
from forum_mcp.tools.base import Tool, input_schema, output_schema

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.ledger.entry import Body
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.caller import Caller

__all__ = ["TOOL"]

_FILTERS: Final = ("run_id", "kind", "actor", "since", "until", "text")
_TEXT_CHARS: Final = 32_000
"""Most characters of body texts in one result, as JSON."""


async def _handle(forum: Forum, arguments: Arguments, caller: Caller) -> ShowView:
    arguments.refuse_beside("seq", (*_FILTERS, "before"), "seq names one entry: leave the others out")
    seq, offset = arguments.whole("seq"), arguments.whole("offset")
    if offset is not None and (seq is None or not arguments.flag("bodies")):
        raise RequestRefused("argument 'offset' is for the long bodies of one entry; pass seq and bodies=true with it")
    view = forum.ledger.show(
        seq=seq,
        **{name: arguments.text(name) for name in _FILTERS},
        limit=arguments.whole("limit") or 6,
        before=arguments.whole("before"),
        bodies=arguments.flag("bodies"),
    )
    if seq is not None and arguments.flag("bodies"):
        entries = [_with_long_texts(forum, entry, offset or 0) for entry in view.entries]
        view = msgspec.structs.replace(view, entries=entries)
    return view


def _with_long_texts(forum: Forum, entry: EntryView, offset: int) -> EntryView:
    """Return the entry with as much of its bodies' texts, from ``offset``, as one result holds."""
    room = _TEXT_CHARS // max(1, len(entry.bodies))
    stored = {name: forum.ledger.store.body(str(body["commit"])) for name, body in entry.bodies.items()}
    bodies = {
        name: body if (whole := stored[name]) is None else _window(whole, body, offset, room)
        for name, body in entry.bodies.items()
    }
    return msgspec.structs.replace(entry, bodies=bodies)


def _window(stored: Body, body: dict[str, object], offset: int, room: int) -> dict[str, object]:
    text = stored.data.decode("utf-8", "replace")
    length = room
    while len(json.dumps(text[offset : offset + length], ensure_ascii=False)) > room + 2:
        length = length * 3 // 4
    end = min(offset + length, len(text))
    window: dict[str, object] = {**body, "text": text[offset:end], "cut": end < len(text)}
    if end < len(text):
        window["next_offset"] = end
    return window


TOOL = Tool(
    name="ledger_show",
    title="Show ledger entries",
    description="Entries of the record, newest last: one seq, or the newest that match.",
    input_schema=input_schema(
        {
            "seq": {"type": "integer", "minimum": 0},
            "run_id": {"type": "string"},
            "kind": {"type": "string", "description": "e.g. task.judged; task: all of them"},
            "actor": {"type": "string"},
            "since": {"type": "string", "description": "ISO 8601"},
            "until": {"type": "string"},
            "text": {"type": "string", "description": "In facts or bodies"},
            "limit": {"type": "integer", "default": 6, "minimum": 1, "maximum": 200},
            "before": {"type": "integer", "minimum": 0, "description": "Page cursor"},
            "bodies": {"type": "boolean", "description": "Texts of bodies too; whole ones with seq"},
            "offset": {"type": "integer", "minimum": 0, "description": "next_offset of a long body"},
        }
    ),
    output_schema=output_schema(ShowView),
    read_only=True,
    destructive=False,
    idempotent=True,
    open_world=False,
    handler=_handle,
    rest="a smaller limit and before; one entry with its bodies: its seq and bodies",
)
