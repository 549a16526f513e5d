"""The Validator: a task and its result in, a strict verdict out."""

from collections.abc import Sequence

import msgspec

from forum_mcp.roles.fence import fence, fit
from forum_mcp.roles.prompt import Prompt, repair_parts, repair_room
from forum_mcp.roles.prompts import prompt_text
from forum_mcp.roles.reply import Unusable, read_agreed

__all__ = ["VerdictReply", "ask", "parse"]


class VerdictReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verdict; ``passed`` is a boolean and nothing that merely looks like one."""

    passed: bool
    reason: str = ""
    evidence: str = ""


_SCHEMA = msgspec.json.encode(
    {
        "type": "object",
        "properties": {
            "passed": {"type": "boolean"},
            "reason": {"type": "string", "maxLength": 300},
            "evidence": {"type": "string", "maxLength": 300},
        },
        "required": ["passed", "reason", "evidence"],
        "additionalProperties": False,
    },
    order="sorted",
)


def ask(
    instruction: str,
    output: str,
    *,
    done_when: Sequence[str],
    mark: str,
    limit: int,
    problem: str | None,
    last_reply: str | None = None,
) -> Prompt:
    """Return the prompt; ``limit``: most bytes of untrusted text; ``problem``: of ``last_reply``, if any."""
    room = repair_room(problem, limit)
    limit -= room
    parts = ["The task was:\n" + fence("TASK", fit(instruction, limit // 3), mark)]
    if done_when:
        lines = "\n".join(f"- {line}" for line in done_when)
        parts.append("It is done when:\n" + fence("CRITERIA", fit(lines, limit // 6), mark))
    parts.append("The result to judge:\n" + fence("RESULT", fit(output, limit // 2), mark))
    parts += repair_parts(problem, last_reply, "Give the verdict again.", mark=mark, limit=room)
    return Prompt(prompt_text("validator"), "\n\n".join(parts), _SCHEMA)


def parse(reply: str) -> VerdictReply | Unusable:
    """Return the verdict of a reply."""
    return read_agreed(reply, VerdictReply, lambda verdict: verdict.passed)
