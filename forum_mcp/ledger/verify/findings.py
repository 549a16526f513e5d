"""Where the checks put what they find: bounded in memory, never in number."""

from forum_mcp.ledger.finding import FINDINGS_KEPT, Code, Finding
from forum_mcp.ledger.verify.source import SourceFault

__all__ = ["Findings"]


class Findings:
    """The first findings of a verification and the number of all of each code."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.number_of: dict[Code, int] = {}

    @property
    def total(self) -> int:
        """How many findings there were, kept or not."""
        return sum(self.number_of.values())

    def add(self, code: Code, seq: int | None, expected: str, found: str, *, body: str | None = None) -> None:
        """Note a fault; texts are cut to a length that can be shown."""
        self.number_of[code] = self.number_of.get(code, 0) + 1
        if len(self.kept) < FINDINGS_KEPT:
            self.kept.append(Finding(code, seq, body, expected[:500], found[:500]))

    def unreadable(self, fault: SourceFault) -> None:
        """Note a row that the source could not read."""
        self.add("unreadable", fault.seq, "a row that can be read", fault.why)

    def any_of(self, *codes: Code) -> bool:
        """State whether a fault of one of these codes was found."""
        return any(code in self.number_of for code in codes)
