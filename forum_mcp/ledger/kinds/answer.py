"""Entries of the answer, and of what was found out about it: none of the latter ever blocks it."""

from forum_mcp.ledger.kinds.base import Kind, Payload

__all__ = [
    "KINDS",
    "AnswerDelivery",
    "AnswerIntent",
    "AnswerJudged",
    "AnswerRevised",
    "AnswerSynthesized",
    "AnswerVerified",
]


class AnswerSynthesized(Payload, frozen=True, kw_only=True):
    """The answer, made from results that count as ok; ``by`` is ``rules`` or ``synthesizer``."""

    by: str
    tasks_ok: int
    tasks_failed: int = 0
    tasks_skipped: int = 0
    unvalidated: int = 0


class AnswerIntent(Payload, frozen=True, kw_only=True):
    """How much of the request the answer covers by its words.

    ``terms`` of the request, how many of them are ``covered``, and how many of the others the results held (``lost``).
    ``passed``: nobody needs to be asked. The body ``missing`` lists the words that are not covered, as JSON.
    """

    passed: bool
    terms: int
    covered: int
    lost: int = 0


class AnswerJudged(Payload, frozen=True, kw_only=True):
    """Whether the answer meets the request: ``met``, ``unmet`` or ``undecided``; ``by`` is ``judge`` or ``rules``.

    ``cites``: seqs of the entries the judgement rests on. The bodies hold its words, and what it misses as JSON.
    """

    verdict: str
    by: str
    cites: list[int] = []


class AnswerDelivery(Payload, frozen=True, kw_only=True):
    """How the answer reads. ``faults`` of ``length``, ``repetition`` and ``preamble``; none of them is ``passed``.

    ``repeated_ppm``: how much of it repeats what stood before, parts per million of its ``chars`` characters.
    """

    passed: bool
    chars: int
    repeated_ppm: int = 0
    faults: list[str] = []


class AnswerRevised(Payload, frozen=True, kw_only=True):
    """A shorter answer, or why the answer stays as it was; ``by`` is ``reviser`` or ``rules``.

    ``because``: ``not-shorter``, ``covers-less``, ``unusable``, ``nothing-to-cut``, ``too-long`` or ``no-reply``.
    ``chars``: length of the answer from here on. The body ``answer`` is there when the revision was ``accepted``.
    """

    accepted: bool
    by: str
    chars: int
    because: str | None = None


class AnswerVerified(Payload, frozen=True, kw_only=True):
    """The outside check's word: ``passed``, ``failed`` or ``undecided``.

    ``by``: ``exit-code`` or ``reply``, whichever told; an error class where nothing did.
    """

    verdict: str
    by: str


KINDS = (
    Kind(
        "answer.synthesized",
        "decision",
        AnswerSynthesized,
        ("answer",),
        "the verdicts it was made from (at most 256), the synthesizer's call.finished if any",
    ),
    Kind("answer.intent", "decision", AnswerIntent, ("missing",), "answer.synthesized"),
    Kind(
        "answer.judged",
        "decision",
        AnswerJudged,
        ("reason", "missing"),
        "answer.intent, the judge's call.finished if any, the verdicts it cites",
    ),
    Kind("answer.delivery", "decision", AnswerDelivery, (), "answer.synthesized"),
    Kind(
        "answer.revised",
        "decision",
        AnswerRevised,
        ("answer",),
        "answer.delivery, the reviser's call.finished if any",
    ),
    Kind(
        "answer.verified",
        "decision",
        AnswerVerified,
        ("reason",),
        "the answer as it stands, the verifier's call.finished",
    ),
)
