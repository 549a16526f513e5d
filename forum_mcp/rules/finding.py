"""What one check says of a result."""

from dataclasses import dataclass

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's word.

    Attributes:
        check: its name in the record.
        passed: whether the result passes it.
        seen: what was seen, in words: the evidence.
        counts: whether a failure fails the task; a mere suspicion does not.
        cites: entries the evidence rests on beside the result.
    """

    check: str
    passed: bool
    seen: str
    counts: bool = True
    cites: tuple[int, ...] = ()
