"""Where a key stands in a TOML text, and the nearest word that exists: for messages. Loads nothing else."""

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["line_of", "nearest", "placed_at"]

_KEY: Final = r"(?:[\w\-]+|\"[^\"]*\"|'[^']*')"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'`` for the nearest known word, or the known words when none is near."""
    from difflib import get_close_matches  # costs more than the rest, and only a mistake needs it

    words = sorted(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6) or get_close_matches(word.lower(), words, n=1)
    return f"did you mean {close[0]!r}" if close else f"expected one of {', '.join(words)}"


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Return the 1-based line of a TOML text where a key stands, or the nearest table or key around it.

    A search by eye, for messages only: table headers and ``key =`` at the start of a line; None when even its first
    part is written some other way.
    """
    for depth in range(len(path), 0, -1):
        if line := _line_of(text, path[:depth]):
            return line
    return None


def _line_of(text: str, path: tuple[str, ...]) -> int | None:
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\[\]]+?)\s*\]", line):
            table = _parts(header[1])
            if table[: len(path)] == path:
                return number
        elif (key := re.match(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=", line)) and (
            *table,
            *_parts(key[1]),
        ) == path:
            return number
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    """Return the parts of a dotted key, quotes taken off."""
    return tuple(part.strip().strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", dotted))


def placed_at(file: str, text: str, path: tuple[str, ...]) -> str:
    """Return ``FILE line N`` of a key, or the file alone when it cannot be found by eye."""
    line = line_of(text, path)
    return f"{file} line {line}" if line else file
