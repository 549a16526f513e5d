"""The verifier: a request and its answer out to somebody else's check, a verdict in.

A command gets one JSON object, ``{"answer": ..., "request": ...}``, and nothing else: it needs no instructions, and a
program must not have to find its input among them. A model gets a prompt like every role.
"""

import msgspec

from forum_mcp.roles.fence import fence, fit
from forum_mcp.roles.prompt import Prompt, repair_parts, repair_room
from forum_mcp.roles.prompts import prompt_text
from forum_mcp.roles.reply import Unusable, read

__all__ = ["VerificationReply", "as_json", "ask", "parse"]


class VerificationReply(msgspec.Struct, frozen=True):
    """A verdict; a program may say more, which stays in its recorded reply."""

    passed: bool
    reason: str = ""


_SCHEMA = msgspec.json.encode(
    {
        "type": "object",
        "properties": {"passed": {"type": "boolean"}, "reason": {"type": "string", "maxLength": 300}},
        "required": ["passed", "reason"],
        "additionalProperties": False,
    },
    order="sorted",
)


def as_json(request: str, answer: str) -> Prompt:
    """Return what a command reads: both texts whole, no instructions."""
    return Prompt("", msgspec.json.encode({"answer": answer, "request": request}, order="sorted").decode())


def ask(
    request: str, answer: str, *, mark: str, limit: int, problem: str | None = None, last_reply: str | None = None
) -> Prompt:
    """Return the prompt of a model; ``limit``: most bytes of untrusted text."""
    room = repair_room(problem, limit)
    limit -= room
    parts = [
        fence("REQUEST", fit(request, limit // 4), mark),
        "The answer to check:\n" + fence("ANSWER", fit(answer, limit * 5 // 8), mark),
    ]
    parts += repair_parts(problem, last_reply, "Give the verdict again.", mark=mark, limit=room)
    return Prompt(prompt_text("verifier"), "\n\n".join(parts), _SCHEMA)


def parse(reply: str) -> VerificationReply | Unusable:
    """Return the verdict of a reply."""
    return read(reply, VerificationReply)
