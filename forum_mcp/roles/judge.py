"""The IntentJudge: a request, its answer and the judged results in; whether the request is met, and by what, out."""

from collections.abc import Sequence
from typing import Final

import msgspec

from forum_mcp.roles.fence import cap, fence, fit
from forum_mcp.roles.prompt import Prompt, repair_parts, repair_room
from forum_mcp.roles.prompts import prompt_text
from forum_mcp.roles.reply import Unusable, read_agreed

__all__ = ["CITES_MAX", "IntentReply", "Judged", "ask", "parse"]

CITES_MAX: Final = 50
"""Most entries a judgement may cite."""

_MISSING_MAX: Final = 20
_MISSING_CHARS: Final = 200

Judged = tuple[int, str, str]
"""A result that was judged: (seq of its verdict, what was asked of it, the result)."""


class IntentReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A judgement; ``met`` is a boolean and nothing that merely looks like one."""

    met: bool
    reason: str = ""
    missing: list[str] = []
    cites: list[int] = []


_SCHEMA: Final = msgspec.json.encode(
    {
        "type": "object",
        "properties": {
            "met": {"type": "boolean"},
            "reason": {"type": "string", "maxLength": 300},
            "missing": {"type": "array", "items": {"type": "string", "maxLength": 100}, "maxItems": _MISSING_MAX},
            "cites": {"type": "array", "items": {"type": "integer"}, "maxItems": CITES_MAX},
        },
        "required": ["met", "reason", "missing", "cites"],
        "additionalProperties": False,
    },
    order="sorted",
)


def ask(
    request: str,
    answer: str,
    results: Sequence[Judged],
    *,
    missing: Sequence[str],
    mark: str,
    limit: int,
    problem: str | None = None,
    last_reply: str | None = None,
) -> Prompt:
    """Return the prompt. ``missing``: terms of the request that the answer does not hold, in any case only a hint.

    ``limit``: most bytes of untrusted text; what the results share of it shrinks with their number.
    """
    room = repair_room(problem, limit)
    limit -= room
    share = limit // 2 // max(1, len(results))
    parts = [fence("REQUEST", fit(request, limit // 6), mark)]
    for seq, asked, output in results:
        result = f"{fit(asked, share // 4)}\n\n{fit(output, share * 3 // 4)}"
        parts.append(f"Result in entry {seq}:\n" + fence("RESULT", result, mark))
    parts.append("The answer to judge:\n" + fence("ANSWER", fit(answer, limit // 4), mark))
    if missing:
        hint = "Words of the request that the answer does not hold; it may say the same otherwise:\n"
        parts.append(hint + fence("WORDS", fit("\n".join(missing), limit // 12), mark))
    parts += repair_parts(problem, last_reply, "Give the judgement again.", mark=mark, limit=room)
    return Prompt(prompt_text("judge"), "\n\n".join(parts), _SCHEMA)


def parse(reply: str, shown: Sequence[int]) -> IntentReply | Unusable:
    """Return the judgement of a reply; one that cites an entry that is none of ``shown`` is unusable."""
    found = read_agreed(reply, IntentReply, lambda judgement: judgement.met)
    if isinstance(found, Unusable):
        return found
    unknown = [seq for seq in found.cites if seq not in shown]
    if unknown:
        numbers = ", ".join(map(str, shown[:CITES_MAX])) or "none"
        return Unusable(f"cites holds an entry that was not shown; the entries shown are: {numbers}")
    return msgspec.structs.replace(
        found,
        cites=sorted(set(found.cites))[:CITES_MAX],
        missing=[cap(each, _MISSING_CHARS) for each in found.missing[:_MISSING_MAX]],
    )
