"""Growth proofs verified: that a ledger only grew from one signed checkpoint to a newer one, without its entries.

The proof is that of RFC 9162, 2.1.4, in the form of C2SP ``tlog-witness``; ``ledger.proof`` writes it. It says
something only to somebody who kept the older checkpoint. Bad data is a finding, never an exception.
"""

from collections.abc import Sequence
from typing import Final

from forum_mcp.ledger import note
from forum_mcp.ledger.checkpoint import ORIGIN_PREFIX, Checkpoint
from forum_mcp.ledger.checkpoint import parse as parse_checkpoint
from forum_mcp.ledger.finding import Report
from forum_mcp.ledger.merkle import EMPTY_ROOT, verify_consistency
from forum_mcp.ledger.note import Note, NoteError
from forum_mcp.ledger.proof import Growth, parse_growth
from forum_mcp.ledger.verify.findings import Findings
from forum_mcp.ledger.verify.witnesses import Witnesses

__all__ = ["verify"]

_LACKS: Final = (
    "entries: none was read; a receipt under the newer checkpoint shows single ones",
    "content: integrity is not truth; that an entry is unchanged does not make it right",
)


def verify(text: str, since: str, *, vkeys: Sequence[str] = (), witnesses: Sequence[str] = ()) -> Report:
    """Verify a growth proof from the kept checkpoint ``since``; size and root of the result are the newer ones.

    Args:
        text: the growth proof.
        since: the signed note that was kept.
        vkeys: verifier keys the caller has from elsewhere; each of the two notes must be signed by one of them.
        witnesses: verifier keys of third parties, whose signatures on the two notes are checked.
    """
    findings = Findings()
    third = Witnesses(witnesses, findings)
    keys = [key for key in dict.fromkeys(vkeys) if _is_key(key, findings)]
    growth = _parsed(text, findings)
    old = _signed(since, "kept", keys, findings)
    new = None if growth is None else _signed(growth.note, "newer", keys, findings)
    grew = growth is not None and old is not None and new is not None and _grew(growth, old[1], new[1], findings)
    if old is not None and new is not None and grew:
        third.look(old[0], old[1].size, None)
        third.look(new[0], new[1].size, None)
    head = None if new is None else new[1]
    origin = "" if head is None else head.origin
    return Report(
        level=3,
        ledger=origin.removeprefix(ORIGIN_PREFIX) if origin.startswith(ORIGIN_PREFIX) else None,
        size=0 if head is None else head.size,
        root=EMPTY_ROOT if head is None else head.root,
        findings=tuple(findings.kept),
        total=findings.total,
        counts={"checkpoints": 2 if grew else 0} | ({"witnesses": third.count} if witnesses else {}),
        holds=(*_holds(old, new, keys, grew=grew), *third.holds()),
        not_protected=(*_unsigned(keys), *_LACKS, *third.lacks()),
        newest_checkpoint=growth.note if growth is not None and grew else None,
    )


def _is_key(text: str, findings: Findings) -> bool:
    try:
        note.parse_vkey(text)
    except NoteError as fault:
        findings.add("vkey", None, "an Ed25519 verifier key (C2SP vkey)", str(fault))
        return False
    return True


def _parsed(text: str, findings: Findings) -> Growth | None:
    try:
        return parse_growth(text)
    except NoteError as fault:
        findings.add("checkpoint-format", None, "a growth proof", str(fault))
        return None


def _signed(text: str, which: str, keys: Sequence[str], findings: Findings) -> tuple[Note, Checkpoint] | None:
    """Return note and checkpoint once a known key's signature holds; without keys, as they are."""
    try:
        parsed = note.parse(text)
        head = parse_checkpoint(parsed.text)
    except NoteError as fault:
        findings.add("checkpoint-format", None, f"a C2SP checkpoint as a signed note: the {which} one", str(fault))
        return None
    if keys:
        try:
            note.verify(text, keys)
        except NoteError as fault:
            findings.add("checkpoint-signature", None, f"a good signature on the {which} checkpoint", str(fault))
            return None
    return parsed, head


def _grew(growth: Growth, old: Checkpoint, new: Checkpoint, findings: Findings) -> bool:
    if old.origin != new.origin:
        findings.add("checkpoint-origin", None, f"{old.origin}, as the kept checkpoint", new.origin)
    elif growth.old_size != old.size:
        findings.add("size", None, f"a proof from the {old.size} entries of the kept checkpoint", f"{growth.old_size}")
    elif new.size < old.size:
        expected = f"at least {old.size} entries, as the kept checkpoint says"
        findings.add("checkpoint-beyond-tail", None, expected, f"{new.size} entries in the newer one")
    elif not verify_consistency(old.size, new.size, growth.hashes, old.root, new.root):
        expected = (
            f"hashes that lead to root {old.root.hex()} over {old.size} and {new.root.hex()} over {new.size} entries"
        )
        findings.add("checkpoint-root", None, expected, "they do not: history was rewritten, or the proof is damaged")
    else:
        return True
    return False


def _holds(
    old: tuple[Note, Checkpoint] | None, new: tuple[Note, Checkpoint] | None, keys: Sequence[str], *, grew: bool
) -> list[str]:
    if old is None or new is None or not grew:
        return []
    signed = "; both are signed" if keys else ""
    return [f"growth: the first {old[1].size} of {new[1].size} entries are those of the kept checkpoint{signed}"]


def _unsigned(keys: Sequence[str]) -> list[str]:
    return [] if keys else ["signatures: not checked, no verifier key is known; give the owner's with --vkey"]
