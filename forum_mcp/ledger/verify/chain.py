"""Level 1: every entry by itself, its link to the one before, and the tree over all of them.

A ledger in order goes through in pages, with as little done for an entry as its checks need. Whatever is not in order
leaves that path for the functions that say what is wrong.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import msgspec

from forum_mcp.ledger.entry import ENTRY_MAX_BYTES, BodyRef, Entry, LedgerId, decode, encode, genesis_prev
from forum_mcp.ledger.faultless import READ_DEPTH_MAX, faultless, too_deep
from forum_mcp.ledger.members import is_hash, member_faults
from forum_mcp.ledger.merkle import EMPTY_ROOT, Frontier
from forum_mcp.ledger.verify.cited import Citations
from forum_mcp.ledger.verify.findings import Findings
from forum_mcp.ledger.verify.meeting import Meeting
from forum_mcp.ledger.verify.source import Page, Source, SourceFault, read
from forum_mcp.ledger.verify.tree import check_kept

__all__ = ["SignedNote", "Walked", "lenient", "readable_entry", "walk"]

_HASH_BYTES: Final = 32
_PAGES_KEPT: Final = 32
"""A checkpoint is signed over a tree at most one transaction older than its entry: few have 2,000 entries."""
_NOTED: Final = ("checkpoint.signed", "checkpoint.cosigned", "checkpoint.anchored")
_KEPT_BY_LATER_LEVELS: Final = frozenset(("ledger.opened", "key.rotated", "body.redacted", *_NOTED))


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
        cited: every reference to a body that was not met on the way.
        roots: tree size -> root, for the sizes that were asked for or are likely to be.
        nodes: how many inner nodes of the tree the container stores.
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
    nodes: int = 0


def walk(
    source: Source,
    findings: Findings,
    sizes: set[int],
    meeting: Meeting | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Walked:
    """Check every entry and its place; keep the roots at ``sizes`` and wherever a checkpoint was signed.

    ``meeting`` takes the references whose bodies it has at hand; the others are kept in ``Walked.cited``.
    ``on_progress`` is told after each page how many entries are checked.
    """
    walked = Walked(source.ledger_id)
    tree, place = _Tree(), _Place()
    for item in read(source.pages()):
        if isinstance(item, SourceFault):
            findings.unreadable(item)
            walked.whole = False
            place.skip(item.seq)
            continue
        walked.whole = walked.whole and item.start == tree.size
        before = tree.size
        joined = tree.extend(item.leaves)
        entries = place.check(item, walked, findings)
        for within in sizes.intersection(range(before, tree.size)) if sizes else ():
            walked.roots[within] = tree.root_at(within)
        for position, entry in _gather(entries, item.start, walked, meeting):
            _keep(entry, position, walked, findings)
            if entry.kind in _NOTED:
                _keep_signed(entry.data.get("size"), before + position - item.start, tree, walked)
        if item.kept is not None:
            _check_hashes(item, joined, walked, findings)
        if on_progress is not None:
            on_progress(tree.size)
    walked.size, walked.root = tree.size, tree.root_at(tree.size)
    walked.roots[walked.size] = walked.root
    if walked.size == 0 and not findings.any_of("unreadable"):
        findings.add("unreadable", None, "a ledger of at least one entry", "none")
    if source.claimed_size is not None and source.claimed_size != walked.size:
        findings.add("size", None, f"{source.claimed_size} entries, as the head says", f"{walked.size} entries")
    return walked


def _check_hashes(page: Page, joined: Sequence[bytes], walked: Walked, findings: Findings) -> None:
    kept = page.kept or ()
    walked.nodes += sum(map(len, kept)) // _HASH_BYTES - len(kept)
    if not walked.whole:  # after a gap the tree is not known; the gap itself is a finding
        kept, joined = [hashes[:_HASH_BYTES] for hashes in kept], page.leaves
    if kept != joined:
        check_kept(page.start, kept, joined, findings)


def _keep_signed(stated: object, size: int, tree: "_Tree", walked: Walked) -> None:
    """Keep the root a checkpoint was signed over: of the tree before its entry, or of one not much smaller.

    A tree older than the pages that ``_Tree`` keeps is reached by a second reading.
    """
    # After a gap the sizes are those of no tree of the ledger's: only a second reading, which ends there, may tell.
    earlier = stated if walked.whole and type(stated) is int else size
    for wanted in {size, earlier}:
        if tree.reaches(wanted) and wanted <= size:
            walked.roots[wanted] = tree.root_at(wanted)


class _Tree:
    """The tree so far, and what it takes to know its root anywhere in the newest pages."""

    def __init__(self) -> None:
        self._frontier = Frontier()
        self._pages: deque[tuple[Frontier, Sequence[bytes]]] = deque(maxlen=_PAGES_KEPT)

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._frontier.size

    def extend(self, leaves: Sequence[bytes]) -> list[bytes]:
        """Append the leaves of a page; see ``Frontier.extend``."""
        self._pages.append((self._frontier.copy(), leaves))
        return self._frontier.extend(leaves)

    def reaches(self, size: int) -> bool:
        """State whether ``root_at`` knows the tree of that size."""
        return self._pages[0][0].size <= size <= self.size if self._pages else size == 0

    def root_at(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves, which ``reaches``."""
        if size == self.size:
            return self._frontier.root()
        before, leaves = next(page for page in reversed(self._pages) if page[0].size <= size)
        frontier = before.copy()
        frontier.extend(leaves[: size - frontier.size])
        return frontier.root()


class _Place:
    """Where the next entry belongs. After a fault it follows what is there: one fault is one finding."""

    def __init__(self) -> None:
        self._position: int = 0
        self._shift: int = 0
        self._previous: str | None = None
        self._known: bool = True

    def skip(self, seq: int | None) -> None:
        """An entry could not be read: what the next one links to is not known."""
        self._known = False
        if seq is not None:
            self._position = seq + 1

    def check(self, page: Page, walked: Walked, findings: Findings) -> list[Entry | None]:
        """Check seq, ledger id and link of each entry of a page; return the entries, those with faults decoded too."""
        found: list[Entry | None] = []
        links, position = [leaf.hex() for leaf in page.leaves], page.start
        for raw, entry, link in zip(page.raws, page.entries, links, strict=True):
            if (
                entry is None
                or entry.prev != self._previous
                or entry.seq != position
                or entry.ledger != walked.ledger
                or position != self._position
                or self._shift
                or not self._known
            ):
                if entry is None:
                    entry = _examined(raw, position, findings)
                if entry is not None and walked.ledger is None:
                    walked.ledger = entry.ledger
                self._look(position, entry, walked.ledger, findings)
            found.append(entry)
            position += 1
            self._position, self._previous, self._known = position, link, True
        return found

    def _look(self, position: int, entry: Entry | None, ledger: str | None, findings: Findings) -> None:
        if position != self._position:
            findings.add("seq", position, f"entry {self._position}", f"entry {position}")
            self._known = self._previous is not None and position > self._position
        if entry is None:
            return
        shift = position - entry.seq
        if shift not in (0, self._shift):
            findings.add("seq", position, f"seq {position}", f"seq {entry.seq}")
        self._shift = shift
        if entry.ledger != ledger:
            findings.add("other-ledger", position, f"ledger {ledger}", f"ledger {entry.ledger}")
        if self._known:
            self._look_at_link(position, entry, ledger, findings)

    def _look_at_link(self, position: int, entry: Entry, ledger: str | None, findings: Findings) -> None:
        if self._previous is None:
            expected, means = genesis_prev(LedgerId(ledger or entry.ledger)), "given by the ledger id"
        else:
            expected, means = self._previous, f"leaf hash of the entry before {position} as it stands"
        if entry.prev != expected and is_hash(entry.prev):
            findings.add("prev", position, f"{expected} ({means})", entry.prev)


def lenient(raw: bytes) -> Entry:
    """Decode an entry as far as its types go; of a member that stands twice, the last one counts.

    Raises:
        msgspec.MsgspecError: not JSON, or not an entry by its members and types.
        ValueError: a text that is no UTF-8.
        RecursionError: nested too deep.
    """
    try:
        return decode(raw)
    except msgspec.ValidationError:
        # The typed decoder stumbles over the first of two; whoever reads JSON by the book sees the last alone.
        return msgspec.convert(msgspec.json.decode(raw), Entry)


def readable_entry(raw: bytes, position: int | None, findings: Findings) -> Entry | None:
    """Decode one entry and check all that can be told from it alone; None when it is none."""
    return faultless(raw) or _examined(raw, position, findings)


def _examined(raw: bytes, position: int | None, findings: Findings) -> Entry | None:
    if len(raw) > ENTRY_MAX_BYTES:
        findings.add("too-large", position, f"at most {ENTRY_MAX_BYTES} bytes", f"{len(raw)} bytes")
    if too_deep(raw):
        deepest = f"JSON of at most {READ_DEPTH_MAX} levels"
        findings.add("unreadable", position, deepest, f"{_shown(raw)}, nested deeper")
        return None
    try:
        entry = lenient(raw)
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


def _gather(
    entries: Sequence[Entry | None], start: int, walked: Walked, meeting: Meeting | None
) -> list[tuple[int, Entry]]:
    """Meet or keep every reference to a body; return the entries of a page that deeper levels need to know."""
    found: list[tuple[int, Entry]] = []
    for position, entry in enumerate(entries, start):
        if entry is None:
            continue
        for ref in entry.bodies.values():
            if meeting is None or not meeting.meets(ref):
                _cite(ref, position, walked)
        if entry.kind in _KEPT_BY_LATER_LEVELS:
            found.append((position, entry))
    return found


def _cite(ref: BodyRef, position: int, walked: Walked) -> None:
    if is_hash(ref.commit) and 0 <= ref.size < 2**63:
        walked.cited.add(ref.commit, position, ref.size, ref.type)


def _keep(entry: Entry, position: int, walked: Walked, findings: Findings) -> None:
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
