"""The Synthesizer: judged results in, one answer out; by a model, or by rules that only put results in order."""

from collections.abc import Sequence
from typing import Final

from forum_mcp.roles.fence import fence, fit
from forum_mcp.roles.prompt import Prompt
from forum_mcp.roles.prompts import prompt_text

__all__ = ["ask", "by_rules", "remark"]

_HEADING_CHARS: Final = 200


def ask(request: str, results: Sequence[tuple[str, str]], *, mark: str, limit: int) -> Prompt:
    """Return the prompt. ``results``: (instruction, output) in plan order; ``limit``: most bytes of it all."""
    share = limit // (len(results) + 1)
    parts = [fence("REQUEST", fit(request, share), mark)]
    parts.extend(
        fence("RESULT", f"{fit(instruction, share // 4)}\n\n{fit(output, share * 3 // 4)}", mark)
        for instruction, output in results
    )
    parts.append("Write the answer to the request.")
    return Prompt(prompt_text("synthesizer"), "\n\n".join(parts))


def by_rules(results: Sequence[tuple[str, str, str]]) -> str:
    """Return the results (task id, instruction, output) one below the other, in plan order."""
    return "\n\n".join(f"## {task}: {_heading(what)}\n\n{output}" for task, what, output in results)


def _heading(instruction: str) -> str:
    line = " ".join(instruction.split())
    return line if len(line) <= _HEADING_CHARS else line[: _HEADING_CHARS - 3] + "..."


def remark(*, failed: Sequence[str], skipped: Sequence[str], unvalidated: Sequence[str]) -> str:
    """Return the lines that name tasks the answer does not rest on, or does so without a verdict; empty if none."""
    groups = (
        ("Failed, not part of this answer", failed),
        ("Skipped, not part of this answer", skipped),
        ("Not validated", unvalidated),
    )
    return "\n".join(f"{label}: {', '.join(ids)}." for label, ids in groups if ids)
