"""The Classifier: a request and the lanes there are in, one lane or none out."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from forum_mcp.roles.fence import cap, fence, fit
from forum_mcp.roles.prompt import Prompt, lane_lines, repair_parts, repair_room
from forum_mcp.roles.prompts import prompt_text
from forum_mcp.roles.reply import Unusable, read

__all__ = ["LaneReply", "ask", "parse"]


class LaneReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lane, or None when no lane fits; ``confidence`` is 0..1."""

    lane: str | None
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0


def ask(
    request: str,
    *,
    lanes: Sequence[tuple[str, str]],
    mark: str,
    limit: int,
    problem: str | None = None,
    last_reply: str | None = None,
) -> Prompt:
    """Return the prompt. ``lanes``: (name, description), likeliest first; ``limit``: most bytes of untrusted text.

    After an unusable reply, ``problem`` and ``last_reply`` show the model what was wrong.
    """
    room = repair_room(problem, limit)
    limit -= room
    parts = [f"Lanes:\n{lane_lines(lanes, limit // 2)}", fence("REQUEST", fit(request, limit // 2), mark)]
    parts += repair_parts(problem, last_reply, "Name the lane again.", mark=mark, limit=room)
    return Prompt(prompt_text("classifier"), "\n\n".join(parts), _schema([name for name, _ in lanes]))


def _schema(names: list[str]) -> bytes:
    return msgspec.json.encode(
        {
            "type": "object",
            "properties": {
                "lane": {"type": ["string", "null"], "enum": [*names, None]},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["lane", "confidence"],
            "additionalProperties": False,
        },
        order="sorted",
    )


def parse(reply: str, names: Sequence[str]) -> LaneReply | Unusable:
    """Return the choice of a reply; a lane that is none of ``names`` makes it unusable."""
    found = read(reply, LaneReply)
    if isinstance(found, LaneReply) and found.lane is not None and found.lane not in names:
        return Unusable(f"'{cap(found.lane, 80)}' is none of the listed lanes; answer one of them, or null")
    return found
