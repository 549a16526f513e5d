"""The members of an entry: what a writer must refuse and a verifier must find, from one table of rules."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from forum_mcp.errors import EntryRefused
from forum_mcp.ledger.canonical import INTEGER_MAX, subset_fault
from forum_mcp.ledger.entry import ENTRY_MAX_BYTES, PARENTS_MAX, BodyRef, Entry, encode
from forum_mcp.ledger.finding import Code

__all__ = ["VERSION", "MemberFault", "is_hash", "is_kind", "is_ledger_id", "is_media_type", "member_faults", "seal"]

MemberFault = tuple[Code, str, str]
"""Code, what was expected, what was found."""

VERSION = 1
_HEX_32 = re.compile(r"[0-9a-f]{32}")
_KIND = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)+")
_MEDIA_TYPE = re.compile(r"(?:[!-@\[-~]|(?<=;) )+")


def seal(entry: Entry) -> bytes:
    """Return the canonical bytes of an entry that keeps every rule one entry can keep by itself.

    Its place (``seq``, ``prev``, ``ledger``) is the caller's to give right.

    Raises:
        EntryRefused: a member breaks the format, or the bytes are too many.
    """
    for _, expected, found in member_faults(entry):
        raise EntryRefused(f"entry of kind {entry.kind[:100]!a} refused: {found}; expected {expected}")
    raw = encode(entry)
    if len(raw) > ENTRY_MAX_BYTES:
        raise EntryRefused(
            f"entry of kind {entry.kind[:100]!a} refused: {len(raw)} bytes; expected at most {ENTRY_MAX_BYTES}, "
            "so put long text into a body"
        )
    return raw


def member_faults(entry: Entry) -> Iterator[MemberFault]:
    """Yield what breaks the table of members: types and ranges, the subset of JSON, parents, body references."""
    if entry.v != VERSION:
        yield "version", f"v {VERSION}", f"v {entry.v}"
    if not 1 <= len(entry.actor) <= 200:
        yield "member", "actor of 1 to 200 characters", f"{len(entry.actor)} characters"
    if not -INTEGER_MAX <= entry.at <= INTEGER_MAX:
        yield "not-canonical", "at within 2^53 - 1", "a larger number"
    if not is_kind(entry.kind):
        yield "member", "kind of dotted lower-case words", f"kind {entry.kind[:100]!a}"
    if not is_ledger_id(entry.ledger):
        yield "member", "ledger id of 32 lower-case hex", f"ledger {entry.ledger[:64]!a}"
    if not is_hash(entry.prev):
        yield "prev", "prev of 64 lower-case hex", f"prev {entry.prev[:80]!a}"
    if entry.run is not None and not is_ledger_id(entry.run):
        yield "member", "run of 32 lower-case hex, or null", f"run {entry.run[:64]!a}"
    if not 0 <= entry.seq <= INTEGER_MAX:
        yield "seq", "seq from 0 to 2^53 - 1", f"seq {entry.seq}"
    if entry.parents:
        yield from _parent_faults(entry)
    if not entry.actor.isascii() and (fault := subset_fault(entry.actor)) is not None:
        yield "not-canonical", "the entry's subset of JSON", f"actor: {fault}"
    if entry.data and (fault := subset_fault(entry.data)) is not None:
        yield "not-canonical", "the entry's subset of JSON", f"data: {fault}"
    for name, ref in entry.bodies.items():
        yield from _reference_faults(name, ref)


def is_hash(text: str) -> bool:
    """State whether the text is 64 lower-case hex."""
    try:
        return len(text) == 64 and bytes.fromhex(text).hex() == text
    except ValueError:
        return False


# A ledger repeats the same few ids, kinds and types in all of its entries: a lookup costs a fifth of a match.
@lru_cache(maxsize=256)
def is_ledger_id(text: str) -> bool:
    """State whether the text is 32 lower-case hex, as the ids of ledgers (and of runs) are."""
    return _HEX_32.fullmatch(text) is not None


@lru_cache(maxsize=256)
def is_media_type(text: str) -> bool:
    """State whether the text can be a body's type: lower-case printable ASCII, a space only after a semicolon."""
    return len(text) <= 100 and _MEDIA_TYPE.fullmatch(text) is not None


@lru_cache(maxsize=256)
def is_kind(text: str) -> bool:
    """State whether the text can be a kind: dotted lower-case words, at most 100 characters."""
    return len(text) <= 100 and _KIND.fullmatch(text) is not None


def _parent_faults(entry: Entry) -> Iterator[MemberFault]:
    parents = entry.parents
    if len(parents) > PARENTS_MAX:
        yield "parents", f"at most {PARENTS_MAX} parents", f"{len(parents)} parents"
    elif any(later <= earlier for earlier, later in pairwise(parents)):
        yield "parents", "parents ascending, each once", f"parents {parents[:20]}"
    elif parents[0] < 0 or parents[-1] >= entry.seq:
        yield "parents", f"parents from 0 to {entry.seq - 1}", f"parents {parents[:20]}"


def _reference_faults(name: str, ref: BodyRef) -> Iterator[MemberFault]:
    if not name.isascii() or not name:
        yield "not-canonical", "names of bodies in ASCII", f"name {name[:80]!a}"
    if not is_hash(ref.commit):
        yield (
            "body-ref",
            "a commitment of 64 lower-case hex",
            f"body {name[:80]!a} has commit {ref.commit[:80]!a}",
        )
    if not 0 <= ref.size <= INTEGER_MAX:
        yield "body-ref", "a size from 0 to 2^53 - 1", f"body {name[:80]!a} has size {ref.size}"
    if not is_media_type(ref.type):
        yield (
            "body-ref",
            "a lower-case media type of 1 to 100 characters",
            f"body {name[:80]!a}: {ref.type[:120]!a}",
        )
