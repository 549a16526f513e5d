"""The worker: one task's instruction and the results it depends on in, its result out."""

from collections.abc import Sequence
from typing import Final

import msgspec

from forum_mcp.roles.fence import cap, fence, fit
from forum_mcp.roles.prompt import Prompt, context_parts
from forum_mcp.roles.prompts import prompt_text

__all__ = ["ask"]

_OBJECTION_CHARS: Final = 2_000


def ask(
    instruction: str,
    *,
    lane: str,
    lane_description: str,
    request: str | None,
    done_when: Sequence[str],
    inputs: Sequence[tuple[str, str]],
    schema: dict[str, object] | None,
    objection: str | None = None,
    mark: str,
    limit: int,
    context: Sequence[tuple[str, str]] = (),
) -> Prompt:
    """Return the prompt of a task: what it may look at is fenced, what it is told to do comes last and is not.

    ``request``: the whole request, when the task is only a part of it; ``inputs``: (task id, output) of the tasks it
    depends on for data; ``objection``: why an earlier result was not taken; ``limit``: most bytes of the request,
    the inputs and the ``context`` (name, text; what the run was given to read, at most a third) together.
    """
    room = limit // 3 if context else 0
    share = (limit - room) // (len(inputs) + 1)
    parts = context_parts(context, mark=mark, limit=room)
    if request is not None:
        parts.append("The task is one part of this request:\n" + fence("REQUEST", fit(request, share), mark))
    parts.extend(f"Result of task {task}:\n" + fence("RESULT", fit(output, share), mark) for task, output in inputs)
    if objection is not None:
        words = fence("OBJECTION", cap(objection, _OBJECTION_CHARS), mark)
        parts.append("An earlier result of the task was not taken, because of this:\n" + words)
    task = instruction
    if done_when:
        task += "\n\nIt is done when:\n" + "\n".join(f"- {line}" for line in done_when)
    encoded = None
    if schema is not None:
        encoded = msgspec.json.encode(schema, order="sorted")
        task += "\n\nAnswer with one JSON value of this JSON Schema and nothing else:\n" + encoded.decode()
    parts.append(f"Your task:\n{task}" if parts else task)
    system = f"{prompt_text('worker')}\nYour lane is {lane}: {lane_description}"
    return Prompt(system, "\n\n".join(parts), encoded)
