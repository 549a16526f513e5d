"""What verification says: findings with a code and a place, what holds, and what does not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

__all__ = ["CODES", "FINDINGS_KEPT", "Code", "Finding", "Report"]

Code = Literal[
    "unreadable",
    "too-large",
    "not-canonical",
    "member",
    "version",
    "seq",
    "prev",
    "parents",
    "other-ledger",
    "tree-node",
    "body-ref",
    "body-missing",
    "body-mismatch",
    "body-redacted-but-present",
    "body-unreferenced",
    "vkey",
    "checkpoint-format",
    "checkpoint-origin",
    "checkpoint-signature",
    "checkpoint-beyond-tail",
    "checkpoint-root",
    "size",
    "decision",
]
CODES: tuple[Code, ...] = get_args(Code)

FINDINGS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault.

    Attributes:
        code: kind of fault, one of ``CODES``.
        seq: the entry concerned, or None when no single entry is.
        body: commitment of the body concerned (64 hex), or None.
        expected: what the format or the rest of the record calls for.
        found: what is there.
    """

    code: Code
    seq: int | None
    body: str | None
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification.

    Attributes:
        level: how deep it went, 1 chain, 2 bodies, 3 checkpoints, 4 decisions.
        ledger: ledger id, or None when the source has neither an id nor a readable entry.
        size: entries read.
        root: 32-byte root over the entries read, in the order they were read.
        findings: the first ``FINDINGS_KEPT`` faults.
        total: number of all faults.
        counts: how many of what was examined, e.g. ``entries``, ``bodies``, ``redacted``, ``checkpoints``.
        holds: sentences that were shown true.
        not_protected: sentences on what this verification cannot show.
        newest_checkpoint: the newest signed note found in the source that agrees with it, or None.
    """

    level: int
    ledger: str | None
    size: int
    root: bytes
    findings: tuple[Finding, ...] = ()
    total: int = 0
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    holds: tuple[str, ...] = ()
    not_protected: tuple[str, ...] = ()
    newest_checkpoint: str | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing wrong was found."""
        return self.total == 0

    def deepened(
        self,
        level: int,
        findings: Iterable[Finding],
        *,
        counts: Mapping[str, int] | None = None,
        holds: Iterable[str] = (),
        not_protected: Iterable[str] = (),
    ) -> "Report":
        """Return this report with what a deeper level adds (level 4 is made where the rules are)."""
        added = tuple(findings)
        return replace(
            self,
            level=level,
            findings=(self.findings + added)[:FINDINGS_KEPT],
            total=self.total + len(added),
            counts={**self.counts, **(counts or {})},
            holds=(*self.holds, *holds),
            not_protected=(*self.not_protected, *not_protected),
        )
