"""The concision floor: signs that an answer is longer than it need be, in any language.

Signs, not faults: an answer without one is left alone, and no model is asked to shorten it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forum_mcp.rules.words import fold

__all__ = ["VERSION", "Concision", "examine"]

VERSION: Final = 1

_PPM: Final = 1_000_000
_LOOKED_AT: Final = 60_000
"""Characters looked at for repetition, from the beginning."""

_WINDOW: Final = 24
"""Characters, white space apart, that must stand twice to count as repeated."""

_REPEATED_PPM: Final = 250_000
_SHORT: Final = 200
_REQUEST_TIMES: Final = 40
_REQUEST_AND: Final = 4_000
_OPENING_CHARS: Final = 300

_OPENINGS: Final = (
    "sure", "certainly", "of course", "absolutely", "okay", "great question", "good question", "here is", "here are",
    "here's", "i'd be happy", "i would be happy", "i'm happy to", "let me", "as an ai", "thank you for",
    "naturlich", "gerne", "selbstverstandlich", "hier ist", "hier sind", "bien sur", "voici", "avec plaisir",
    "certainement", "claro", "por supuesto", "aqui tienes", "aqui esta", "con gusto", "certo", "certamente", "ecco",
    "com certeza", "natuurlijk", "hier is", "zeker", "конечно", "вот", "разумеется", "oczywiscie", "oto", "elbette",
    "当然", "好的", "以下是", "もちろん", "以下は", "물론", "다음은",
)  # fmt: skip
"""How answers begin that first say that they will answer; folded."""

_ENDS: Final = (":", "\uff1a", "!", "\uff01")


@dataclass(frozen=True, slots=True)
class Concision:
    """What was found: ``faults`` of ``length``, ``repetition`` and ``preamble``, in that order."""

    chars: int
    repeated_ppm: int
    faults: tuple[str, ...]


def examine(answer: str, request: str, results: Sequence[str]) -> Concision:
    """Return what makes an answer longer than it need be; ``results``: what it was made from."""
    chars = len(answer)
    repeated = _repeated_ppm(answer)
    made_from = sum(map(len, results))
    over_results = len(results) > 1 and chars > made_from * 5 // 4 + _SHORT
    over_request = chars > _REQUEST_TIMES * len(request) + _REQUEST_AND
    found = {
        "length": over_results or over_request,
        "repetition": repeated >= _REPEATED_PPM,
        "preamble": _has_preamble(answer),
    }
    return Concision(chars, repeated, tuple(name for name, there in found.items() if there))


def _repeated_ppm(answer: str) -> int:
    """Return how much of an answer repeats what stood before it; short ones repeat nothing worth a cut."""
    text = "".join(fold(answer[:_LOOKED_AT]).split())
    places = len(text) - _WINDOW + 1
    if places < _SHORT:
        return 0
    seen: set[str] = set()
    repeated = 0
    for at in range(places):
        window = text[at : at + _WINDOW]
        if window in seen:
            repeated += 1
        else:
            seen.add(window)
    return repeated * _PPM // places


def _has_preamble(answer: str) -> bool:
    """Tell whether the answer's first line only announces the rest."""
    first, _, rest = answer.strip().partition("\n")
    if not rest.strip() or len(first) > _OPENING_CHARS:
        return False
    return first.rstrip().endswith(_ENDS) and fold(first).replace("\u2019", "'").lstrip("*_ ").startswith(_OPENINGS)
