"""Text to comparable words: fold, split, stem. The same text gives the same words on every supported Python.

Folding is NFKC, case folding, and the loss of marks on Latin letters (``résumé`` and ``resume`` are one word; marks
that make another letter in other scripts stay). Characters assigned after Unicode 14.0 (Python 3.11's tables) count as
separators: between the tables of Python 3.11 and 3.13 nothing else that is used here differs, so words recorded
under one are found again under the other.

A *word* keeps how it was written together: ``ModuleNotFoundError`` is one word with four parts, and whoever knows the
whole word uses it, else the parts. Scripts written without spaces give overlapping pairs of characters.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, cast

from snowballstemmer.english_stemmer import EnglishStemmer  # type: ignore[import-untyped]

__all__ = ["STEMMER", "UNICODE", "VERSION", "Word", "fold", "split_words", "stem"]

VERSION: Final = 1

_generator = re.search(r"Snowball ([\w.]+)", EnglishStemmer.__doc__ or "")
STEMMER: Final = f"snowball-english {_generator[1] if _generator else 'unknown'}"
"""Which stemmer this process has, recorded with each run. (Its docstring is the only place that says so.)"""

UNICODE: Final = unicodedata.unidata_version
"""Version of this Python's Unicode tables, recorded with each run."""

_LATER_THAN_UNICODE_14: Final = re.compile(
    "[\u0cf3\u0ece\u2ffc-\u2fff\u31ef\U00010efd-\U00010eff\U0001123f-\U00011241\U00011b00-\U00011b09"
    "\U00011f00-\U00011f10\U00011f12-\U00011f3a\U00011f3e-\U00011f59\U0001342f\U00013439-\U00013455\U0001b132"
    "\U0001b155\U0001d2c0-\U0001d2d3\U0001df25-\U0001df2a\U0001e030-\U0001e06d\U0001e08f\U0001e4d0-\U0001e4f9"
    "\U0001f6dc\U0001f774-\U0001f776\U0001f77b-\U0001f77f\U0001f7d9\U0001fa75-\U0001fa77\U0001fa87-\U0001fa88"
    "\U0001faad-\U0001faaf\U0001fabb-\U0001fabd\U0001fabf\U0001face-\U0001facf\U0001fada-\U0001fadb\U0001fae8"
    "\U0001faf7-\U0001faf8\U0002b739\U0002ebf0-\U0002ee5d\U00031350-\U000323af]"
)

_MARKS_ON_LATIN: Final = re.compile("([a-z])[\u0300-\u036f]+")
_LATIN_LETTERS: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "\u0131": "i", "ð": "d", "þ": "th"}
)

# Names whose punctuation carries the meaning; spelled out so that they survive splitting.
_SPELLED_OUT: Final = re.compile(r"(?<!\w)(?:([cgfCGF])(\+\+|#)|((?:[aA][sS][pP])?\.[nN][eE][tT])(?!\w))")
_SPELLED: Final = {"++": "plusplus", "#": "sharp"}

_APOSTROPHE: Final = re.compile(r"(?<=\w)['\u2019](?=\w)")
_RUN: Final = re.compile(r"\w+")
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\dA-Za-z_]+")
# Written without spaces: kana, Han, Hangul (particles cling to words), Thai, Lao, Khmer, Burmese.
_UNSPACED: Final = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\u0e00-\u0eff\u1780-\u17ff\u1000-\u109f\U00020000-\U0002fa1f]+"
)
_WORD_MAX: Final = 64


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...


class Word(NamedTuple):
    """One word, folded: the whole, and its parts in order (just the whole, when it has none)."""

    whole: str
    parts: tuple[str, ...]


def fold(text: str) -> str:
    """Return text folded for comparison; ASCII stays as long as it is, other text may change its length."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", _LATER_THAN_UNICODE_14.sub(" ", text)).casefold()
    bare = _MARKS_ON_LATIN.sub(r"\1", unicodedata.normalize("NFKD", folded))
    return unicodedata.normalize("NFC", bare).translate(_LATIN_LETTERS)


def split_words(text: str) -> list[Word]:
    """Return the words of a text in order, folded, nothing left out; words are cut at 64 characters."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _LATER_THAN_UNICODE_14.sub(" ", text))
    text = _SPELLED_OUT.sub(_spell_out, _APOSTROPHE.sub("", text))
    words: list[Word] = []
    for run in _RUN.findall(text):
        if run.isascii() and (run.islower() or run.isupper() or run.istitle()) and run.isalpha():
            whole = run.lower()[:_WORD_MAX]
            words.append(Word(whole, (whole,)))
        else:
            words.extend(_split_run(run))
    return words


def _spell_out(match: re.Match[str]) -> str:
    """Spell ``C++``, ``F#`` and ``.NET`` in letters."""
    if match[1]:
        return f" {match[1].lower()}{_SPELLED[match[2]]} "
    return " asp dotnet " if len(match[3]) > 4 else " dotnet "


def _split_run(run: str) -> list[Word]:
    """Return the words of one run of word characters that is more than a plain ASCII word."""
    words: list[Word] = []
    at = 0
    for unspaced in _UNSPACED.finditer(run):
        words.extend(_compound(run[at : unspaced.start()]))
        characters = unspaced[0]
        pairs = [characters[i : i + 2] for i in range(max(1, len(characters) - 1))]
        words.extend(Word(pair, (pair,)) for pair in map(fold, pairs) if pair)
        at = unspaced.end()
    words.extend(_compound(run[at:]))
    return words


def _compound(run: str) -> list[Word]:
    """Return the run as one word with the parts that its capitals, digits and underscores show."""
    whole = fold(run).strip("_")[:_WORD_MAX]
    if not whole:
        return []
    parts = tuple(fold(part)[:_WORD_MAX] for part in _PART.findall(run)) if run.isascii() else ()
    return [Word(whole, parts if len(parts) > 1 else (whole,))]


@lru_cache(maxsize=32_768)
def stem(word: str) -> str:
    """Return the stem of a folded word; only words of ASCII letters have one, others are their own.

    What does a thing keeps its ending: a customer is nothing custom, a tokenizer no token, an exporter no export.
    """
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    if word.endswith(("er", "ers")) and len(word) > 5:
        return word.removesuffix("s")
    # A stemmer object holds the word it works on, so sharing one between threads would mix words up.
    return cast("_Stemmer", EnglishStemmer()).stemWord(word)
