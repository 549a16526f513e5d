"""The ledger of ``forum-engine``, checked by its own rules, so that one can be taken over without being believed.

An entry has eight members: ``seq ts actor kind causal_parent payload_hash prev_hash entry_hash``. Its hash is SHA-256
over the first seven as text, joined by U+001F: ``ts`` with six decimals, no causal parent as nothing. Entries are
numbered from 0 and linked by ``prev_hash``, sixty-four zeros at the start. A payload is kept apart under the SHA-256 of
its JSON with sorted names, without spaces, in ASCII; one that is not there is permitted.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, cast

__all__ = ["GENESIS", "MEMBERS", "Fault", "Original", "Row", "check", "entry_hash", "payload_hash", "row_of"]

GENESIS: Final = "0" * 64
MEMBERS: Final = ("seq", "ts", "actor", "kind", "causal_parent", "payload_hash", "prev_hash", "entry_hash")
_JOINT: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Row:
    """One decoded entry; ``ts`` is in seconds since the epoch."""

    seq: int
    ts: float
    actor: str
    kind: str
    causal_parent: int | None
    payload_hash: str
    prev_hash: str
    entry_hash: str


@dataclass(frozen=True, slots=True)
class Original:
    """An entry as it stands in its file: its place, its text, and the row it decodes to (None: it does not)."""

    place: int
    text: bytes
    row: Row | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a place (0-based) of the original, or anywhere in it (None)."""

    place: int | None
    what: str


def row_of(members: object) -> Row:
    """Return the row of a decoded JSON object.

    Raises:
        ValueError: a member is missing or of another type; says which.
    """
    if not isinstance(members, dict):
        raise ValueError("not an object")
    found = cast("dict[str, object]", members)
    missing = [name for name in MEMBERS if name not in found]
    if missing:
        raise ValueError(f"without {', '.join(missing)}")
    seq, ts, parent = found["seq"], found["ts"], found["causal_parent"]
    if not _is_whole(seq) or not isinstance(ts, int | float) or isinstance(ts, bool):
        raise ValueError("seq or ts is no number")
    if parent is not None and not _is_whole(parent):
        raise ValueError("causal_parent is no number")
    texts = [found[name] for name in ("actor", "kind", "payload_hash", "prev_hash", "entry_hash")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("actor, kind or a hash is no text")
    actor, kind, payload, previous, own = cast("list[str]", texts)
    return Row(cast("int", seq), float(ts), actor, kind, cast("int | None", parent), payload, previous, own)


def entry_hash(row: Row) -> str:
    """Return the hash of an entry by its rules, 64 lower-case hex."""
    parent = "" if row.causal_parent is None else str(row.causal_parent)
    facts = (str(row.seq), f"{row.ts:.6f}", row.actor, row.kind, parent, row.payload_hash, row.prev_hash)
    return sha256(_JOINT.join(facts).encode("utf-8", "surrogatepass")).hexdigest()


def payload_hash(text: bytes) -> str:
    """Return the hash of a payload given as JSON text, 64 lower-case hex.

    Raises:
        ValueError: it is not JSON.
    """
    value: object = json.loads(text)
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check(originals: Iterable[Original], payload: Callable[[str], bytes | None]) -> Iterator[Fault]:
    """Yield everything that breaks the rules: numbering, links, hashes of entries and of payloads.

    Args:
        originals: the entries in the order of the file.
        payload: the JSON text kept under a payload hash, or None.
    """
    previous: str | None = GENESIS
    checked: set[str] = set()
    for original in originals:
        row = original.row
        if row is None:
            yield Fault(original.place, f"cannot be read: {original.why}")
            previous = None
            continue
        if row.seq != original.place:
            yield Fault(original.place, f"says it is entry {row.seq}")
        if previous is not None and row.prev_hash != previous:
            yield Fault(original.place, "does not link to the entry before it")
        if entry_hash(row) != row.entry_hash:
            yield Fault(original.place, "its bytes do not have its hash")
        previous = row.entry_hash
        if row.payload_hash not in checked:
            checked.add(row.payload_hash)
            yield from _payload_fault(original.place, row.payload_hash, payload(row.payload_hash))


def _payload_fault(place: int, named: str, text: bytes | None) -> Iterator[Fault]:
    if text is None:
        return
    try:
        found = payload_hash(text)
    except (ValueError, RecursionError):
        found = ""
    if found != named:
        yield Fault(place, "its payload does not have its hash")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
