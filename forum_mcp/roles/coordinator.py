"""The Coordinator: a request in, a plan's raw tasks out."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from forum_mcp.roles.fence import fence, fit
from forum_mcp.roles.prompt import Prompt, context_parts, lane_lines, repair_parts
from forum_mcp.roles.prompts import prompt_text
from forum_mcp.roles.reply import Unusable, read

__all__ = ["DependencyReply", "PlanReply", "TaskReply", "ask", "parse"]


class DependencyReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A typed edge: ``data`` hands the result on, ``order`` only waits for it."""

    id: str
    type: Literal["data", "order"] = "data"


class TaskReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One task as an author writes it; id, lane and instruction are required."""

    id: str
    lane: str
    instruction: str
    depends_on: list[str | DependencyReply] = []
    done_when: list[str] = []
    effects: Literal["none", "idempotent", "once"] | None = None
    schema: dict[str, object] | None = None
    context: list[str] | None = None


class PlanReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan as an author writes it."""

    tasks: list[TaskReply]


_SCHEMA = msgspec.json.encode(
    {
        "type": "object",
        "properties": {
            "tasks": {
                "type": "array",
                "minItems": 1,
                "maxItems": 50,
                "items": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "maxLength": 64},
                        "lane": {"type": "string", "maxLength": 64},
                        "instruction": {"type": "string", "maxLength": 4000},
                        "depends_on": {
                            "type": "array",
                            "items": {"type": "string", "maxLength": 64},
                            "maxItems": 50,
                        },
                    },
                    "required": ["id", "lane", "instruction", "depends_on"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["tasks"],
        "additionalProperties": False,
    },
    order="sorted",
)


def ask(
    request: str,
    *,
    suggested: str,
    lanes: Sequence[tuple[str, str]],
    mark: str,
    limit: int,
    problem: str | None,
    last_reply: str | None,
    context: Sequence[tuple[str, str]] = (),
) -> Prompt:
    """Return the prompt. ``lanes``: (name, description), likeliest first; ``limit``: most bytes of untrusted text.

    ``context``: (name, text) of what the run was given to read, at most a third of it. After an unusable reply,
    ``problem`` and ``last_reply`` show the model what was wrong.
    """
    parts = [
        f"Lanes:\n{lane_lines(lanes, limit // 4)}",
        f"Suggested lane: {suggested}",
        *context_parts(context, mark=mark, limit=limit // 3),
        fence("REQUEST", fit(request, limit - limit // 3 if context else limit), mark),
    ]
    parts += repair_parts(problem, last_reply or "", "Write the whole plan again.", mark=mark, limit=limit // 2)
    return Prompt(prompt_text("coordinator"), "\n\n".join(parts), _SCHEMA)


def parse(reply: str) -> PlanReply | Unusable:
    """Return the plan of a reply, its shape checked and nothing else."""
    return read(reply, PlanReply)
