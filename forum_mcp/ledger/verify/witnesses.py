"""Signatures of third parties on checkpoints that agree with the record: which witness vouches for what."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forum_mcp.ledger.note import Note, NoteError
from forum_mcp.ledger.verify.findings import Findings

if TYPE_CHECKING:
    from forum_mcp.ledger.cosignature import Cosigned, Witness

__all__ = ["Witnesses"]


class Witnesses:
    """The witnesses that a caller names, and the newest checkpoint each of them was found to have signed."""

    def __init__(self, vkeys: Sequence[str], findings: Findings) -> None:
        """Take the witnesses' vkeys; one that is malformed is a finding."""
        self._findings = findings
        self._known: list[Witness] = []
        self._seen: dict[str, tuple[int, Cosigned]] = {}
        if not vkeys:  # who names none does without the form of their signatures
            return
        from forum_mcp.ledger.cosignature import parse_witness

        for text in dict.fromkeys(vkeys):
            try:
                self._known.append(parse_witness(text))
            except NoteError as fault:
                findings.add("vkey", None, "a witness's verifier key (C2SP vkey)", str(fault))

    @property
    def count(self) -> int:
        """How many of the witnesses have signed a checkpoint that agrees."""
        return len(self._seen)

    def look(self, note: Note, size: int, seq: int | None) -> None:
        """Check the witnesses' signatures on a checkpoint over ``size`` entries, which agrees with the record.

        Args:
            note: the checkpoint as a note.
            size: entries it covers.
            seq: the entry that holds it, None outside the record.
        """
        if not self._known:
            return
        from forum_mcp.ledger.cosignature import cosigned

        for witness in self._known:
            try:
                found = cosigned(note, [witness])
            except NoteError as fault:
                self._findings.add(
                    "checkpoint-signature", seq, f"a good signature of witness {witness.name}", str(fault)
                )
                continue
            for one in found:
                if size >= self._seen.get(witness.name, (-1, one))[0]:
                    self._seen[witness.name] = size, one

    def holds(self) -> Iterator[str]:
        """Yield what the witnesses vouch for."""
        for name, (size, one) in self._seen.items():
            yield f"witness: {name} signed a checkpoint over the first {size} entries{_when(one)}"

    def lacks(self) -> Iterator[str]:
        """Yield which of them vouch for nothing here."""
        for witness in self._known:
            if witness.name not in self._seen:
                yield f"witness: no checkpoint known here is signed by {witness.name}"


def _when(one: "Cosigned") -> str:
    if one.time_s is None:
        return ", without saying when"
    try:
        return f" at {datetime.fromtimestamp(one.time_s, UTC).isoformat()}"
    except (OverflowError, ValueError, OSError):
        return f" at {one.time_s} seconds since 1970"
