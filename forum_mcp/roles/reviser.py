"""The Reviser: an answer in, a shorter one out; by a model, or by rules that only drop what stands there twice."""

import re
from collections.abc import Sequence
from typing import Final

from forum_mcp.roles.fence import fence, fit
from forum_mcp.roles.prompt import Prompt
from forum_mcp.roles.prompts import prompt_text

__all__ = ["ask", "by_rules"]

_REPEATED_CHARS: Final = 40
"""Shorter paragraphs may stand twice with a reason: a heading, a bracket, a separator."""

_BLANK_LINES: Final = re.compile(r"(\n[ \t]*(?:\n[ \t]*)+)")


def ask(request: str, answer: str, *, faults: Sequence[str], mark: str, limit: int) -> Prompt:
    """Return the prompt. ``faults``: what was found too long, in words of ours; the answer is given whole."""
    parts = [
        "The answer was written for this request:\n" + fence("REQUEST", fit(request, limit // 4), mark),
        fence("ANSWER", answer, mark),
    ]
    if faults:
        parts.append(f"Found in it: {', '.join(faults)}.")
    parts.append("Write the shorter answer.")
    return Prompt(prompt_text("reviser"), "\n\n".join(parts))


def by_rules(answer: str) -> str:
    """Return the answer without paragraphs that repeat an earlier one word for word; code blocks stay as they are."""
    seen: set[str] = set()
    kept: list[str] = []
    inside_code = False
    pieces = _BLANK_LINES.split(answer)
    for index in range(0, len(pieces), 2):
        paragraph = pieces[index]
        key = " ".join(paragraph.split())
        fences = paragraph.count("```")
        plain = not inside_code and not fences
        inside_code ^= fences % 2 == 1
        if plain and key in seen:
            continue
        if plain and len(key) >= _REPEATED_CHARS:
            seen.add(key)
        kept.extend((pieces[index - 1] if kept else "", paragraph))
    return "".join(kept)
