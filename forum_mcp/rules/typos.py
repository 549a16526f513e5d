"""Which known word a misspelt one may have meant: one letter too many, too few or wrong, or two swapped."""

from collections.abc import Iterator, Mapping
from typing import Final

__all__ = ["ATTEMPTS_MAX", "meant"]

ATTEMPTS_MAX: Final = 3
"""Words of one request that are looked at; each costs some hundred look-ups."""

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_SHORTEST: Final = 6
_LONGEST: Final = 16


def meant(word: str, known: Mapping[str, object]) -> str | None:
    """Return the first known word that is one slip away, or None; the first letter is taken to be right."""
    if not (_SHORTEST <= len(word) <= _LONGEST and word.isascii() and word.isalpha()):
        return None
    return next((found for found in _slips(word) if found in known), None)


def _slips(word: str) -> Iterator[str]:
    """Yield the words one slip away, the likelier slips first; none shorter than five letters."""
    for at in range(1, len(word) - 1):
        if word[at] != word[at + 1]:
            yield f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]}"
    for at in range(1, len(word)):
        yield word[:at] + word[at + 1 :]
    for at in range(1, len(word) + 1):
        for letter in _LETTERS:
            yield f"{word[:at]}{letter}{word[at:]}"
    for at in range(1, len(word)):
        for letter in _LETTERS:
            yield f"{word[:at]}{letter}{word[at + 1 :]}"
