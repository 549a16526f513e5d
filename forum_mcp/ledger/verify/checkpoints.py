"""Level 3: every signed checkpoint, the record's own and those kept elsewhere, against the tree as it stands.

This is what finds a dropped tail, a rollback and a rewritten history, as far as a checkpoint reaches that somebody
kept outside the file.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from forum_mcp.ledger.checkpoint import Checkpoint, origin_of
from forum_mcp.ledger.checkpoint import parse as parse_checkpoint
from forum_mcp.ledger.note import Note, NoteError, parse, parse_vkey
from forum_mcp.ledger.note import verify as verify_note
from forum_mcp.ledger.verify.chain import Walked
from forum_mcp.ledger.verify.findings import Findings
from forum_mcp.ledger.verify.source import Source, SourceFault, read
from forum_mcp.ledger.verify.tree import roots_at
from forum_mcp.ledger.verify.witnesses import Witnesses

__all__ = ["CheckpointCheck", "check_checkpoints", "sizes_of"]


@dataclass(slots=True)
class CheckpointCheck:
    """What the checkpoints show.

    Attributes:
        agreeing: distinct checkpoints whose signature and root hold.
        signed_by_known_key: False when no verifier key is known, so that signatures could not be checked.
        covered: largest size among the agreeing checkpoints that were kept elsewhere, None without one.
        newest: the largest agreeing note found in the source.
        newest_size: its size, -1 without one.
    """

    agreeing: int = 0
    signed_by_known_key: bool = True
    covered: int | None = None
    newest: str | None = None
    newest_size: int = -1


@dataclass(slots=True)
class _Candidate:
    """A note to check. ``seq``: its entry, None outside the record; ``given``: kept by the caller."""

    text: str
    seq: int | None
    given: bool
    note: Note
    head: Checkpoint


@dataclass(slots=True)
class _Keys:
    """Usable verifier keys: those of the record with their seq, and those from outside."""

    recorded: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    outside: list[str] = field(default_factory=list[str])

    def all(self) -> list[str]:
        """Return every usable key, each once."""
        return list(dict.fromkeys([key for _, key in self.recorded] + self.outside))

    def in_force(self, size: int) -> list[str]:
        """Return the keys of which one must have signed a tree of ``size`` entries."""
        before = [key for seq, key in self.recorded if seq < size]
        return before[-1:] or [key for _, key in self.recorded[:1]] or self.outside


def sizes_of(notes: Iterable[str]) -> set[int]:
    """Return the tree sizes that well-formed notes state."""
    sizes: set[int] = set()
    for text in notes:
        try:
            sizes.add(parse_checkpoint(parse(text).text).size)
        except NoteError:
            continue
    return sizes


def check_checkpoints(
    source: Source,
    walked: Walked,
    notes: dict[str, bytes],
    given: Iterable[str],
    vkeys: Iterable[str],
    findings: Findings,
    witnesses: Witnesses,
) -> CheckpointCheck:
    """Check signature, origin and root of every checkpoint, the keys that sign them, and signatures of witnesses.

    Args:
        source: asked for the notes beside its entries, and for its entries again if a root is not known yet.
        walked: what the pass over the entries left.
        notes: commitment -> bytes of the bodies that entries name as checkpoints.
        given: signed notes the caller kept.
        vkeys: verifier keys the caller trusts.
        findings: takes the faults.
        witnesses: looks at each checkpoint that agrees.
    """
    keys = _usable_keys(source, walked, vkeys, findings)
    candidates = _candidates(source, walked, notes, given, findings)
    unknown = {c.head.size for c in candidates if c.head.size <= walked.size} - walked.roots.keys()
    if unknown:
        walked.roots.update(roots_at(source, unknown))
    result = CheckpointCheck(signed_by_known_key=bool(keys.all()))
    judged: dict[str, Note | None] = {}
    for candidate in candidates:
        known = candidate.text in judged
        if not known:
            judged[candidate.text] = _judge(candidate, walked, keys, findings)
        agreeing = judged[candidate.text]
        if agreeing is None:
            continue
        if not known:
            result.agreeing += 1
            witnesses.look(agreeing, candidate.head.size, candidate.seq)
        if candidate.given:
            result.covered = max(candidate.head.size, -1 if result.covered is None else result.covered)
        elif candidate.head.size > result.newest_size:
            result.newest, result.newest_size = candidate.text, candidate.head.size
    agreed = [(candidate.head.size, judged[candidate.text]) for candidate in candidates]
    _check_rotations(keys, agreed, findings)
    return result


def _usable_keys(source: Source, walked: Walked, vkeys: Iterable[str], findings: Findings) -> _Keys:
    keys = _Keys()
    for seq, text in walked.keys:
        if _is_key(text, seq, findings):
            keys.recorded.append((seq, text))
    recorded = {text for _, text in keys.recorded}
    for text in dict.fromkeys([*vkeys, *source.vkeys]):
        if not _is_key(text, None, findings):
            continue
        keys.outside.append(text)
        if recorded and text not in recorded:
            findings.add("vkey", None, f"a key of the record: {', '.join(sorted(recorded))}", text)
    return keys


def _is_key(text: str, seq: int | None, findings: Findings) -> bool:
    try:
        parse_vkey(text)
    except NoteError as fault:
        findings.add("vkey", seq, "an Ed25519 verifier key (C2SP vkey)", str(fault))
        return False
    return True


def _candidates(
    source: Source, walked: Walked, notes: dict[str, bytes], given: Iterable[str], findings: Findings
) -> list[_Candidate]:
    """Return every note that has the form of a checkpoint; note the others as findings."""
    texts: list[tuple[str, int | None, bool, object]] = [(text, None, True, None) for text in given]
    texts += [
        (notes[signed.commit].decode("utf-8", "replace"), signed.seq, False, signed.size)
        for signed in walked.signed
        if signed.commit in notes
    ]
    for item in read(source.notes()):
        if isinstance(item, SourceFault):
            findings.unreadable(item)
        else:
            texts.append((item, None, False, None))
    candidates: list[_Candidate] = []
    for text, seq, is_given, stated in texts:
        try:
            note = parse(text)
            head = parse_checkpoint(note.text)
        except NoteError as fault:
            findings.add("checkpoint-format", seq, "a C2SP checkpoint as a signed note", str(fault))
            continue
        if stated is not None and stated != head.size:
            findings.add("checkpoint-format", seq, f"a checkpoint of size {stated}, as data.size says", f"{head.size}")
        candidates.append(_Candidate(text, seq, is_given, note, head))
    return candidates


def _judge(candidate: _Candidate, walked: Walked, keys: _Keys, findings: Findings) -> Note | None:
    """Return the verified note of a checkpoint that agrees with the record, else None and a finding."""
    head, seq = candidate.head, candidate.seq
    where = "kept" if candidate.given else "stored"
    origin = origin_of(walked.ledger or "")
    if head.origin != origin:
        findings.add("checkpoint-origin", seq, origin, head.origin)
        return None
    note = candidate.note
    if keys.all():
        try:
            note = verify_note(candidate.text, keys.all())
        except NoteError as fault:
            findings.add("checkpoint-signature", seq, f"a good signature on the {where} checkpoint", str(fault))
            return None
        if not any(_signed_by(note, key) for key in keys.in_force(head.size)):
            expected = f"a signature by the key in force at size {head.size}"
            findings.add("checkpoint-signature", seq, expected, "a signature by another key of this ledger")
            return None
    if head.size > walked.size:
        expected = f"{head.size} entries, as a {where} checkpoint says"
        findings.add("checkpoint-beyond-tail", seq, expected, f"{walked.size} entries")
        return None
    root = walked.roots.get(head.size)
    if root != head.root:
        expected = f"root {head.root.hex()} over the first {head.size} entries, as a {where} checkpoint says"
        findings.add("checkpoint-root", seq, expected, "no such tree" if root is None else f"root {root.hex()}")
        return None
    return note


def _check_rotations(keys: _Keys, agreed: list[tuple[int, Note | None]], findings: Findings) -> None:
    """A new key counts only when a checkpoint over its entry carries the signatures of old and new."""
    for (_, old), (seq, new) in pairwise(keys.recorded):
        vouched = any(
            note is not None and size > seq and _signed_by(note, old) and _signed_by(note, new) for size, note in agreed
        )
        if not vouched:
            findings.add("vkey", seq, "a checkpoint over the new key's entry, signed by old and new", "none")


def _signed_by(note: Note, key: str) -> bool:
    known = parse_vkey(key)
    return any(s.verified and (s.name, s.key_id) == (known.name, known.key_id) for s in note.signatures)
