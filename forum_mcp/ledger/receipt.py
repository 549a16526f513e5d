"""Receipts: single entries of a ledger, each with the proof of its place, for somebody who does not get the rest.

JSON Lines: a head, then for each entry its line, its C2SP tlog-proof, and its bodies if they are to be shown.
Reading is verification's business: everything wrong with a receipt is a finding, nothing is raised. The place of a
finding is the ``seq`` that the entry states; level 3 proves it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from forum_mcp.errors import LedgerUnreadable, NoteError
from forum_mcp.ledger import note
from forum_mcp.ledger.checkpoint import Checkpoint, origin_of
from forum_mcp.ledger.checkpoint import parse as parse_checkpoint
from forum_mcp.ledger.entry import Body, BodyRef, Entry, LedgerId, commitment, genesis_prev, leaf_hash
from forum_mcp.ledger.faultless import too_deep
from forum_mcp.ledger.finding import Code, Report
from forum_mcp.ledger.lines import (
    BodyLine,
    EntryLine,
    ProofLine,
    ReceiptHead,
    body_line,
    numbered,
    raw_body,
    read_line,
    written,
)
from forum_mcp.ledger.members import is_hash
from forum_mcp.ledger.merkle import EMPTY_ROOT, verify_inclusion
from forum_mcp.ledger.proof import parse_inclusion
from forum_mcp.ledger.verify.chain import lenient, readable_entry
from forum_mcp.ledger.verify.findings import Findings
from forum_mcp.ledger.verify.source import SourceFault
from forum_mcp.ledger.verify.witnesses import Witnesses

__all__ = ["FORMAT", "Proven", "verify", "write"]

FORMAT: Final = "forum-receipt/v1"
_Line = ReceiptHead | EntryLine | ProofLine | BodyLine
_DECODER: Final[msgspec.json.Decoder[_Line]] = msgspec.json.Decoder(_Line)
_SALT_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Proven:
    """One entry to be shown: its exact bytes, its tlog-proof, and bodies it cites."""

    raw: bytes
    proof: str
    bodies: Sequence[Body] = ()


def write(items: Iterable[Proven], *, ledger: str, vkeys: Sequence[str]) -> Iterator[bytes]:
    """Yield the lines of a receipt, each ended by a newline.

    Args:
        items: the entries, ascending by seq.
        ledger: ledger id.
        vkeys: verifier keys of the ledger, oldest first.

    Raises:
        LedgerUnreadable: an entry is no UTF-8 text, so that no receipt can hold it.
    """
    yield written(ReceiptHead(FORMAT, ledger, None if not vkeys else vkeys[0] if len(vkeys) == 1 else list(vkeys)))
    for item in items:
        try:
            yield written(EntryLine(item.raw.decode()))
        except UnicodeDecodeError:
            raise LedgerUnreadable("no receipt can hold an entry that is no UTF-8 text; run ledger verify") from None
        yield written(ProofLine(item.proof))
        for body in item.bodies:
            yield written(body_line(body.commit, body.type, body.salt, body.data))


def verify(
    receipt: bytes | Iterable[bytes],
    *,
    level: int = 3,
    checkpoints: Sequence[str] | str = (),
    vkeys: Sequence[str] | str = (),
    witnesses: Sequence[str] = (),
) -> Report:
    """Verify all that a receipt holds, up to ``level``; see docs/ledger-format.md, "Receipts".

    Args:
        receipt: the whole text, or its lines.
        level: 1 entries, 2 and bodies, 3 and proofs with their checkpoints.
        checkpoints: signed notes the caller kept; one of a size that the receipt proves against must have its root.
        vkeys: verifier keys the caller has from elsewhere. With any, the receipt's own keys are only compared.
        witnesses: verifier keys of third parties; their signatures on those checkpoints are checked.

    Raises:
        ValueError: the level is not 1, 2 or 3.
    """
    if level not in (1, 2, 3):
        raise ValueError(f"verification level {level!r} is refused: expected 1, 2 or 3")
    if isinstance(receipt, bytes):
        receipt = receipt.removesuffix(b"\n").split(b"\n") if receipt else []
    findings = Findings()
    third = Witnesses(witnesses if level >= 3 else (), findings)
    check = _Check(level, findings, [vkeys] if isinstance(vkeys, str) else list(vkeys), third)
    for number, raw in numbered(receipt):
        check.line(number, raw)
    check.end()
    given = [checkpoints] if isinstance(checkpoints, str) else checkpoints
    if level >= 3:
        for text in given:
            check.compare(text)
    return check.report(given=len(given))


@dataclass(slots=True)
class _Item:
    """The entry whose proof and bodies are being read. ``seq``: as it states it, None when it is unreadable."""

    seq: int | None
    leaf: bytes
    entry: Entry | None
    proof: str | None = None
    seen: set[str] = field(default_factory=set[str])


class _Check:
    """The reading of one receipt, line by line."""

    def __init__(self, level: int, findings: Findings, trusted: Sequence[str], witnesses: Witnesses) -> None:
        self._level = level
        self._findings = findings
        self._trusted = trusted
        self._witnesses = witnesses
        self._keys: list[str] = []
        self._ledger: str | None = None
        self._item: _Item | None = None
        self._leaves: dict[int, bytes] = {}
        self._last = -1
        self._notes: dict[str, Checkpoint | tuple[Code, str, str]] = {}
        self._roots: dict[int, bytes] = {}
        self._newest: tuple[int, str | None] = (-1, None)
        self._covered: int | None = None
        self._entries = self._proven = self._matching = self._left_out = 0

    def line(self, number: int, raw: bytes) -> None:
        """Take the next line."""
        line = read_line(_DECODER, number, raw) if raw else SourceFault(None, f"line {number}: empty")
        if number == 1:
            self._begin(line if isinstance(line, ReceiptHead) else None)
        if isinstance(line, SourceFault):
            self._findings.unreadable(line)
        elif isinstance(line, EntryLine):
            self._enter(line.bytes.encode())
        elif isinstance(line, ProofLine):
            if self._item is None or self._item.proof is not None:
                self._misplaced(number, "a proof that follows no entry, or another proof")
            else:
                self._item.proof = line.text
        elif isinstance(line, BodyLine):
            if self._item is None or self._item.proof is None:
                self._misplaced(number, "a body before the proof of an entry")
            elif self._level >= 2:
                self._check_body(number, line, self._item)
        elif number > 1:
            self._misplaced(number, "a second head")

    def end(self) -> None:
        """Take the end of the receipt."""
        self._leave()
        if not self._entries:
            self._findings.add("unreadable", None, "a receipt of at least one entry", "none")

    def compare(self, text: str) -> None:
        """Compare a checkpoint that the caller kept with those of the proofs."""
        head = self._judged(text)
        if not isinstance(head, Checkpoint):
            code, expected, found = head
            self._findings.add(code, None, expected, found)
        elif self._roots.get(head.size, head.root) != head.root:
            expected = f"root {head.root.hex()} over the first {head.size} entries, as a kept checkpoint says"
            self._findings.add("checkpoint-root", None, expected, f"root {self._roots[head.size].hex()}")
        elif head.size in self._roots:
            self._covered = head.size
            self._witnesses.look(note.parse(text), head.size, None)

    def report(self, *, given: int) -> Report:
        """Return the result."""
        counts = {"entries": self._entries}
        if self._level >= 2:
            counts |= {"bodies": self._matching, "left_out": self._left_out}
        if self._level >= 3:
            counts |= {"proven": self._proven, "checkpoints": len(self._roots)}
        size, newest = self._newest
        return Report(
            level=self._level,
            ledger=self._ledger,
            size=self._entries,
            root=self._roots.get(size, EMPTY_ROOT),
            findings=tuple(self._findings.kept),
            total=self._findings.total,
            counts=counts,
            holds=(*self._holds(), *self._witnesses.holds()),
            not_protected=(*self._lacks(given), *self._witnesses.lacks()),
            newest_checkpoint=newest,
        )

    def _begin(self, head: ReceiptHead | None) -> None:
        if head is None:
            self._findings.add("unreadable", None, "the head of a receipt", "the first line is none")
        elif head.format != FORMAT:
            self._findings.add("unreadable", None, f"format {FORMAT}", f"format {head.format[:50]!a}")
        self._ledger = None if head is None else head.ledger
        vkey = None if head is None else head.vkey
        claimed = [] if vkey is None else [vkey] if isinstance(vkey, str) else vkey
        if self._level >= 3:
            trusted = list(filter(self._is_key, dict.fromkeys(self._trusted)))
            own = [key for key in dict.fromkeys(claimed) if key in trusted or self._is_key(key)]
            self._keys = trusted or own
            for key in trusted:
                if own and key not in own:
                    self._findings.add("vkey", None, f"a key of the receipt: {', '.join(own)}", key)

    def _is_key(self, text: str) -> bool:
        try:
            note.parse_vkey(text)
        except NoteError as fault:
            self._findings.add("vkey", None, "an Ed25519 verifier key (C2SP vkey)", str(fault))
            return False
        return True

    def _misplaced(self, number: int, what: str) -> None:
        self._findings.unreadable(SourceFault(None, f"line {number}: {what}"))

    def _enter(self, raw: bytes) -> None:
        self._leave()
        try:
            place = None if too_deep(raw) else lenient(raw).seq
        except (msgspec.MsgspecError, ValueError, RecursionError):
            place = None
        entry = readable_entry(raw, place, self._findings)
        self._item = _Item(place, leaf_hash(raw), entry)
        self._entries += 1
        if entry is None:
            return
        self._ledger = self._ledger or entry.ledger
        if entry.ledger != self._ledger:
            self._findings.add("other-ledger", place, f"ledger {self._ledger}", f"ledger {entry.ledger}")
        if entry.seq <= self._last:
            self._findings.add("seq", place, f"an entry after {self._last}", f"entry {entry.seq}")
        before = genesis_prev(LedgerId(self._ledger)) if entry.seq == 0 else None
        if entry.seq - 1 in self._leaves:
            before = self._leaves[entry.seq - 1].hex()
        if before is not None and entry.prev != before and is_hash(entry.prev):
            self._findings.add("prev", place, before, entry.prev)
        self._leaves[entry.seq] = self._item.leaf
        self._last = max(self._last, entry.seq)

    def _leave(self) -> None:
        """Judge the entry whose lines have all been read."""
        item, self._item = self._item, None
        if item is None:
            return
        if item.entry is not None:
            self._left_out += len({ref.commit for ref in item.entry.bodies.values()} - item.seen)
        if self._level >= 3:
            fault = self._proof_fault(item)
            self._proven += fault is None
            if fault is not None:
                self._findings.add(fault[0], item.seq, *fault[1:])

    def _check_body(self, number: int, line: BodyLine, item: _Item) -> None:
        body = raw_body(number, line)
        if isinstance(body, SourceFault):
            self._findings.unreadable(body)
            return
        commit, media_type, salt, data = body
        assert data is not None
        if not is_hash(commit):
            self._findings.add("body-mismatch", item.seq, "a commitment of 64 lower-case hex", ascii(commit)[:100])
            return
        refs = [] if item.entry is None else _cited(item.entry, commit)
        if not refs or commit in item.seen:
            found = "a second copy" if commit in item.seen else "it does not"
            self._findings.add("body-unreferenced", item.seq, "a body the entry before cites", found, body=commit)
        item.seen.add(commit)
        fit = media_type.isascii() and len(salt) == _SALT_BYTES
        recomputed = commitment(salt, media_type, data) if fit else f"type {media_type!a}, a salt of {len(salt)} bytes"
        if recomputed != commit:
            self._findings.add("body-mismatch", item.seq, commit, recomputed, body=commit)
        elif any((ref.size, ref.type) != (len(data), media_type) for ref in refs):
            stated = f"{len(data)} bytes of {media_type}"
            self._findings.add("body-mismatch", item.seq, "size and type as cited", stated, body=commit)
        else:
            self._matching += 1

    def _proof_fault(self, item: _Item) -> tuple[Code, str, str] | None:
        if item.proof is None:
            return "checkpoint-format", "a C2SP tlog-proof after the entry", "none"
        try:
            proof = parse_inclusion(item.proof)
        except NoteError as fault:
            return "checkpoint-format", "a C2SP tlog-proof", str(fault)
        if item.entry is not None and proof.index != item.seq:
            return "seq", f"the proof of entry {item.seq}", f"the proof of entry {proof.index}"
        head = self._judged(proof.note)
        if not isinstance(head, Checkpoint):
            return head
        known = self._roots.get(head.size, head.root)
        if known != head.root:
            return "checkpoint-root", f"root {known.hex()}, as another proof says", f"root {head.root.hex()}"
        if not verify_inclusion(proof.index, head.size, item.leaf, proof.hashes, head.root):
            expected = f"a proof that leads to root {head.root.hex()} over {head.size} entries"
            return "checkpoint-root", expected, f"leaf {item.leaf.hex()} does not"
        if head.size not in self._roots:
            self._witnesses.look(note.parse(proof.note), head.size, item.seq)
        self._roots[head.size] = head.root
        self._newest = max(self._newest, (head.size, proof.note), key=lambda item: item[0])
        return None

    def _judged(self, text: str) -> Checkpoint | tuple[Code, str, str]:
        if text not in self._notes:
            self._notes[text] = self._judge(text)
        return self._notes[text]

    def _judge(self, text: str) -> Checkpoint | tuple[Code, str, str]:
        """Return the checkpoint of a signed note once its origin and signature hold, else what is wrong with it."""
        try:
            head = parse_checkpoint(note.parse(text).text)
        except NoteError as fault:
            return "checkpoint-format", "a C2SP checkpoint as a signed note", str(fault)
        if head.origin != origin_of(self._ledger or ""):
            return "checkpoint-origin", origin_of(self._ledger or ""), head.origin
        if self._keys:
            try:
                note.verify(text, self._keys)
            except NoteError as fault:
                return "checkpoint-signature", "a good signature by a known key of this ledger", str(fault)
        return head

    def _holds(self) -> Iterator[str]:
        if self._findings.total:
            return
        yield f"entries: {self._entries} are canonical"
        if self._level >= 2:
            yield f"bodies: {self._matching} match their commitments"
        if self._level >= 3:
            signed = "signed " if self._keys else ""
            yield f"proofs: {self._proven} entries stand under a {signed}checkpoint"
        if self._covered is not None:
            yield f"kept: a proof leads to the checkpoint of size {self._covered} that was kept elsewhere"

    def _lacks(self, given: int) -> Iterator[str]:
        if self._level < 3:
            yield "place: not proven at this level"
        elif not self._keys:
            yield "signatures: not checked, no verifier key is known"
        elif not self._trusted:
            yield "signer: the verifier key came with the receipt; compare it with one from its owner"
        if given and self._level >= 3 and self._covered is None:
            yield f"kept: none of the {given} given checkpoints has the size of a proof's; nothing was compared"
        if self._left_out:
            yield f"bodies: {self._left_out} are not in the receipt"
        yield "rest: what else the ledger holds, and whether it still holds these, is not shown"
        yield "content: integrity is not truth; that an entry is unchanged does not make it right"


def _cited(entry: Entry, commit: str) -> list[BodyRef]:
    """Return the well-formed references of an entry to a commitment."""
    return [ref for ref in entry.bodies.values() if ref.commit == commit and 0 <= ref.size < 2**63]
