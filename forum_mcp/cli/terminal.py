"""What a person reads: text made safe for a terminal, JSON, and lines on stderr."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TextIO

__all__ = ["Colour", "coloured", "columns", "emit", "emit_json", "is_live", "note", "one_line", "painted", "safe"]

Colour = Literal["green", "yellow", "red", "dim"]

_COLOURS: Final = {"green": 32, "yellow": 33, "red": 31, "dim": 2}


def safe(text: str) -> str:
    """Return the text as a terminal may show it."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    from forum_mcp.roles.fence import visible  # only for text that may need it: ledger verify starts quickly

    return visible(text)


def one_line(text: str, width: int = 72) -> str:
    """Return the text on one safe line of at most ``width`` characters."""
    flat = safe(" ".join(text.split()))
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def emit(text: str = "") -> None:
    """Print recorded or made text on stdout, escaped."""
    print(safe(text))


def emit_json(value: Mapping[str, object]) -> None:
    """Print one JSON object on one line of stdout, ASCII only."""
    import json  # a person who verifies reads no JSON

    print(json.dumps(value, ensure_ascii=True, separators=(",", ":")))


def note(text: str) -> None:
    """Print a line on stderr, escaped: progress and remarks, never results. When nobody can read it, work goes on."""
    try:
        print(safe(text), file=sys.stderr, flush=True)
    except OSError:
        # What is left in the buffer has nowhere to go; the interpreter's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def painted(text: str, colour: Colour) -> str:
    """Return a word in colour when stdout is a terminal that shows it and NO_COLOR is not set; else as it is."""
    plain = os.environ.get("NO_COLOR") or not is_live(sys.stdout)
    return text if plain else coloured(text, colour)


def coloured(text: str, colour: Colour) -> str:
    """Return a word in colour, whoever reads it."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def is_live(stream: TextIO | None) -> bool:
    """State whether a stream is a terminal on which lines can be drawn again."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as lines whose columns begin under each other; the last column is not padded."""
    table = [[one_line(cell, 200) for cell in row] for row in rows]
    widths = [
        max((len(row[i]) for row in table if i < len(row)), default=0) for i in range(max(map(len, table), default=0))
    ]
    return ["  ".join([cell.ljust(widths[i]) for i, cell in enumerate(row[:-1])] + [row[-1]]).rstrip() for row in table]
