"""Fences around text that a person, a model or a command wrote.

A fence is a pair of lines with a token that the text cannot foresee, so that nothing inside can close it or pass for
an instruction. The token comes from the run's recorded seed: prompts can be derived again from the record.
"""

from hashlib import sha256

__all__ = ["cap", "fence", "token"]


def token(seed: str, *label: object) -> str:
    """Return the 16-hex token of one prompt; ``label`` names the prompt within the run."""
    return sha256("\x1f".join([seed, *map(str, label)]).encode()).hexdigest()[:16]


def fence(name: str, text: str, mark: str) -> str:
    """Return the text between two lines that carry ``mark``."""
    return f"<<<{name} {mark}\n{text}\n{name} {mark}>>>"


def cap(text: str, limit: int) -> str:
    """Return at most ``limit`` characters: the head and the tail, with a line that says how much was left out."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    return f"{text[:head]}\n[... {len(text) - head - tail} characters left out ...]\n{text[len(text) - tail :]}"
