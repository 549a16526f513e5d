"""Fences around text that a person, a model or a command wrote.

A fence is a pair of lines with a token that the text cannot foresee, so that nothing inside can close it or pass for
an instruction. The token comes from the run's recorded seed: prompts can be derived again from the record.
"""

import unicodedata
from hashlib import sha256
from typing import Final

__all__ = ["cap", "fence", "fit", "token", "visible"]

_KEPT: Final = frozenset("\n\t\u200c\u200d")
"""Line feed and tab, and the joiners that words of several scripts need."""
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


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


def fit(text: str, room: int) -> str:
    """Return at most ``room`` bytes of UTF-8 of a text, as ``cap`` does.

    A prompt's room is told in tokens. Four bytes a token is about right in any script; four characters is not: Chinese
    takes three times the tokens of as many Latin letters.
    """
    if text.isascii():
        return cap(text, room)
    data = text.encode("utf-8", "replace")
    if len(data) <= room:
        return text
    head = data[: room * 2 // 3].decode("utf-8", "ignore")
    tail = data[len(data) - (room - room * 2 // 3) :].decode("utf-8", "ignore")
    return f"{head}\n[... {len(text) - len(head) - len(tail)} characters left out ...]\n{tail}"


def visible(text: str) -> str:
    r"""Return the text with control, ANSI, bidi and other invisible characters written as ``\x1b`` or ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char in _KEPT or unicodedata.category(char) not in _UNSAFE else _escaped(char) for char in text
    )


def _escaped(char: str) -> str:
    point = ord(char)
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
