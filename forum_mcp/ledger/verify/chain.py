"""Level 1: every entry by itself, its link to the one before, and the tree over all of them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec

from forum_mcp.ledger.entry import ENTRY_MAX_BYTES, Entry, LedgerId, decode, encode, genesis_prev
from forum_mcp.ledger.members import is_hash, member_faults
from forum_mcp.ledger.merkle import EMPTY_ROOT, Frontier, root_from_peaks
from forum_mcp.ledger.verify.cited import Citations
from forum_mcp.ledger.verify.findings import Findings, read
from forum_mcp.ledger.verify.source import Source, SourceFault
from forum_mcp.ledger.verify.strict import faultless
from forum_mcp.ledger.verify.tree import ComputedNodes

__all__ = ["SignedNote", "Walked", "readable_entry", "walk"]


_RECENT = 1024
_NOTED = ("checkpoint.signed", "checkpoint.cosigned", "checkpoint.anchored")


@dataclass(frozen=True, slots=True)
class SignedNote:
    """An entry that holds a checkpoint: its seq, the size it states, and the commitment of its body ``note``."""

    seq: int
    size: object
    commit: str


@dataclass(slots=True)
class Walked:
    """What one pass over the entries leaves for the deeper levels.

    Attributes:
        ledger: the ledger's id, None when nothing tells it.
        size: entries read.
        root: root over them.
        whole: every entry stood at its place, so that the tree is the ledger's.
        keys: (seq, vkey) of ``ledger.opened`` and ``key.rotated``, oldest first.
        signed: the record's own checkpoints.
        redacted: commitment -> seq of its ``body.redacted``.
        cited: every reference to a body.
        roots: tree size -> root, for the sizes that were asked for or are likely to be.
        nodes: the inner nodes the entries give.
    """

    ledger: str | None
    size: int = 0
    root: bytes = EMPTY_ROOT
    whole: bool = True
    keys: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    signed: list[SignedNote] = field(default_factory=list[SignedNote])
    redacted: dict[str, int] = field(default_factory=dict[str, int])
    cited: Citations = field(default_factory=Citations)
    roots: dict[int, bytes] = field(default_factory=dict[int, bytes])
    nodes: ComputedNodes = field(default_factory=ComputedNodes)


def walk(source: Source, findings: Findings, sizes: set[int]) -> Walked:
    """Check every entry and its place; keep the roots at ``sizes`` and wherever a checkpoint was signed."""
    walked = Walked(source.ledger_id)
    frontier = Frontier()
    place = _Place()
    recent: deque[list[bytes]] = deque(maxlen=_RECENT)
    for item in read(source.read_entries()):
        if isinstance(item, SourceFault):
            findings.unreadable(item)
            walked.whole = False
            place.skip(item.seq)
            continue
        position, raw, leaf, entry = item
        if entry is None:
            entry = _examined(raw, position, findings)
        if entry is not None and walked.ledger is None:
            walked.ledger = entry.ledger
        place.check(position, entry, leaf, walked.ledger, findings)
        if position != frontier.size:
            walked.whole = False
        if entry is not None:
            if frontier.size in sizes:
                walked.roots[frontier.size] = frontier.root()
            if entry.kind in _NOTED:
                _keep_signed(entry.data.get("size"), frontier.size, recent, walked)
            _gather(entry, position, walked, findings)
        elif frontier.size in sizes:
            walked.roots[frontier.size] = frontier.root()
        completed = frontier.append(leaf)
        recent.append(frontier.peaks())
        if walked.whole and completed:
            walked.nodes.add(completed)
    walked.size, walked.root = frontier.size, frontier.root()
    walked.roots[walked.size] = walked.root
    if source.claimed_size is not None and source.claimed_size != walked.size:
        findings.add("size", None, f"{source.claimed_size} entries, as the head says", f"{walked.size} entries")
    return walked


def _keep_signed(stated: object, size: int, recent: Sequence[list[bytes]], walked: Walked) -> None:
    """Keep the root a checkpoint was signed over: of the tree before its entry, or of one not much smaller.

    ``recent`` ends with the peaks at ``size``. An older tree than these is reached by a second reading.
    """
    # After a gap the sizes are those of no tree of the ledger's: only a second reading, which ends there, may tell.
    earlier = stated if walked.whole and type(stated) is int else size
    for wanted in {size, earlier}:
        if 0 <= size - wanted < len(recent):
            walked.roots[wanted] = root_from_peaks(recent[wanted - size - 1])


class _Place:
    """Where the next entry belongs. After a fault it follows what is there: one fault is one finding."""

    def __init__(self) -> None:
        self._position = 0
        self._shift = 0
        self._previous: bytes | None = None
        self._known = True

    def skip(self, seq: int | None) -> None:
        """An entry could not be read: what the next one links to is not known."""
        self._known = False
        if seq is not None:
            self._position = seq + 1

    def check(self, position: int, entry: Entry | None, leaf: bytes, ledger: str | None, findings: Findings) -> None:
        """Check position, seq, ledger id and link of the next entry, then move on."""
        if position != self._position:
            findings.add("seq", position, f"entry {self._position}", f"entry {position}")
            self._known = self._previous is not None and position > self._position
        if entry is not None:
            shift = position - entry.seq
            if shift not in (0, self._shift):
                findings.add("seq", position, f"seq {position}", f"seq {entry.seq}")
            self._shift = shift
            if entry.ledger != ledger:
                findings.add("other-ledger", position, f"ledger {ledger}", f"ledger {entry.ledger}")
            if self._known:
                self._check_link(position, entry, ledger, findings)
        self._position, self._previous, self._known = position + 1, leaf, True

    def _check_link(self, position: int, entry: Entry, ledger: str | None, findings: Findings) -> None:
        if self._previous is None:
            expected, means = genesis_prev(LedgerId(ledger or entry.ledger)), "given by the ledger id"
        else:
            expected, means = self._previous.hex(), f"leaf hash of the entry before {position} as it stands"
        if entry.prev != expected and is_hash(entry.prev):
            findings.add("prev", position, f"{expected} ({means})", entry.prev)


def readable_entry(raw: bytes, position: int | None, findings: Findings) -> Entry | None:
    """Decode one entry and check all that can be told from it alone; None when it is none."""
    return faultless(raw) or _examined(raw, position, findings)


def _examined(raw: bytes, position: int | None, findings: Findings) -> Entry | None:
    if len(raw) > ENTRY_MAX_BYTES:
        findings.add("too-large", position, f"at most {ENTRY_MAX_BYTES} bytes", f"{len(raw)} bytes")
    try:
        entry = decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        _explain(raw, position, fault, findings)
        return None
    # A typed decode lets duplicate keys, -0 and other spellings pass; only the same bytes again are canonical.
    if _encoded(entry) != raw:
        findings.add("not-canonical", position, "the one canonical spelling (RFC 8785)", _shown(raw))
    for code, expected, found in member_faults(entry):
        findings.add(code, position, expected, found)
    return entry


def _explain(raw: bytes, position: int | None, fault: Exception, findings: Findings) -> None:
    try:
        value: object = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        findings.add("unreadable", position, "JSON in UTF-8", f"{_shown(raw)} ({fault})")
        return
    version = cast("dict[str, object]", value).get("v") if isinstance(value, dict) else None
    if isinstance(version, int) and version != 1:
        findings.add("version", position, "v 1", f"v {version}")
    else:
        findings.add("member", position, "exactly the members of an entry, each of its type", str(fault))


def _gather(entry: Entry, position: int, walked: Walked, findings: Findings) -> None:
    """Keep what the deeper levels need to know of this entry."""
    for ref in entry.bodies.values():
        if is_hash(ref.commit) and 0 <= ref.size < 2**63:
            walked.cited.add(ref.commit, position, ref.size, ref.type)
    if (entry.kind == "ledger.opened" and position == 0) or entry.kind == "key.rotated":
        vkey = entry.data.get("vkey")
        if isinstance(vkey, str):
            walked.keys.append((position, vkey))
    elif entry.kind in _NOTED and "note" in entry.bodies:
        walked.signed.append(SignedNote(position, entry.data.get("size"), entry.bodies["note"].commit))
    elif entry.kind == "body.redacted":
        commit = entry.data.get("commit")
        if isinstance(commit, str) and is_hash(commit):
            walked.redacted.setdefault(commit, position)
        else:
            findings.add("body-ref", position, "data.commit of 64 lower-case hex", ascii(commit))


def _encoded(entry: Entry) -> bytes | None:
    try:
        return encode(entry)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


def _shown(raw: bytes) -> str:
    return ascii(raw[:120])
