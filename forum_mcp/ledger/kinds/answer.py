"""Entries of the answer."""

from forum_mcp.ledger.kinds.base import Kind, Payload

__all__ = ["KINDS", "AnswerSynthesized"]


class AnswerSynthesized(Payload, frozen=True, kw_only=True):
    """The answer, made from results that count as ok; ``by`` is ``rules`` or ``synthesizer``."""

    by: str
    tasks_ok: int
    tasks_failed: int = 0
    tasks_skipped: int = 0
    unvalidated: int = 0


KINDS = (
    Kind(
        "answer.synthesized",
        "decision",
        AnswerSynthesized,
        ("answer",),
        "the verdicts it was made from (at most 256), the synthesizer's call.finished if any",
    ),
)
