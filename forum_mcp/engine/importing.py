"""Taking over a ``forum-engine`` ledger: checked by its own rules, then kept entry by entry, as it was written.

Nothing is translated: each original entry becomes a body, its payload another, under a ``ledger.imported`` that states
the hashes the original gives itself. The time of our entry is that of the import; the original's own stays in its body.
All of it is one transaction: an import that fails leaves nothing behind.

Nothing is scrubbed: a text without its secret would no longer have the hash that the original states. What a scrubber
knows is counted instead, so that its owner can redact it, on record.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.scrubbing import Scrubber
from forum_mcp.engine.views import View
from forum_mcp.errors import LedgerUnreadable, RequestRefused
from forum_mcp.ledger.entry import PARENTS_MAX, BodyRef, Draft, NewBody, decode
from forum_mcp.ledger.forum_engine import Fault, Original, check
from forum_mcp.ledger.kinds.custody import LedgerImported
from forum_mcp.ledger.members import is_hash
from forum_mcp.stores.base import Transaction
from forum_mcp.stores.forum_engine import ForeignLedger, open_foreign

__all__ = ["ImportFault", "ImportView", "import_ledger"]

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_SHOWN: Final = 200
_KIND: Final = b'"kind":"ledger.imported"'


class ImportFault(View, frozen=True, kw_only=True):
    """What the original's own rules find at a place (0-based) of it; None is all of it."""

    place: int | None
    what: str


class ImportView(View, frozen=True, kw_only=True):
    """What an import did, or would do. ``imported``: whether anything was recorded.

    ``entries`` are those of the original; ``absent`` counts payloads it names and does not hold, which its rules
    permit. ``head`` is the hash of its last entry. ``first`` and ``last`` are our seqs. ``secrets`` counts by rule what
    would have been scrubbed from a new text, and ``secrets_at`` names the first places that hold some.
    """

    imported: bool
    format: str
    entries: int
    absent: int
    head: str | None
    clean: bool
    faults: list[ImportFault]
    faults_total: int
    first: int | None
    last: int | None
    secrets: dict[str, int]
    secrets_at: list[int]


def import_ledger(
    ledger: Ledger,
    path: str | Path,
    *,
    by: str,
    damaged: bool = False,
    dry_run: bool = False,
    scrubber: Scrubber | None = None,
) -> ImportView:
    """Check a ``forum-engine`` ledger and record all of it.

    Args:
        ledger: where to.
        path: its directory of JSON Lines, or its SQLite file.
        by: the actor that is recorded.
        damaged: record it although its own rules find faults; they are recorded with it.
        dry_run: check and count only.
        scrubber: knows secrets; those of well-known shape unless given.

    Raises:
        LedgerMissing, LedgerUnreadable: nothing there, or no such ledger.
        RequestRefused: all of it was imported before.
        LedgerReadOnly: the ledger cannot be written.
    """
    with open_foreign(Path(path).expanduser()) as original:
        faults = [Fault(None, what) for what in original.damaged_payloads()]
        faults += check(original.entries(), original.payload)
        entries, absent, head = _count(original)
        if entries == 0:
            raise LedgerUnreadable("there is nothing to import: it has no entry")
        _refuse_twice(ledger, LedgerImported(format=original.format, entries=entries, entry_hash=head))
        secrets, places = _secrets(original, Scrubber() if scrubber is None else scrubber)
        placed: tuple[int, int] | None = None
        if not dry_run and (damaged or not faults):
            whole = LedgerImported(format=original.format, entries=entries, faults=len(faults), entry_hash=head)
            placed = ledger.store.transact(_recording(original, whole, faults, by, ledger.now_us))
        return ImportView(
            imported=placed is not None,
            format=original.format,
            entries=entries,
            absent=absent,
            head=head,
            clean=not faults,
            faults=[ImportFault(place=fault.place, what=fault.what) for fault in faults[:_SHOWN]],
            faults_total=len(faults),
            first=None if placed is None else placed[0],
            last=None if placed is None else placed[1],
            secrets=secrets,
            secrets_at=places,
        )


def _refuse_twice(ledger: Ledger, whole: LedgerImported) -> None:
    """Refuse what was imported before: as many entries of the same format, the last one of the same hash."""
    if whole.entry_hash is None:
        return
    for seq, raw in ledger.store.raw_entries():
        if _KIND not in raw:
            continue
        data = decode(raw).data
        if all(data.get(name) == getattr(whole, name) for name in ("format", "entries", "entry_hash")):
            raise RequestRefused(
                f"nothing is imported; entry {seq} says that this ledger was: its {whole.entries} entries follow it; "
                "read them with: forum-mcp ledger show --kind ledger.imported"
            )


def _secrets(original: ForeignLedger, scrubber: Scrubber) -> tuple[dict[str, int], list[int]]:
    """Return what a scrubber finds, by rule, and the first places where."""
    total: dict[str, int] = {}
    places: list[int] = []
    for one in original.entries():
        payload = None if one.row is None else original.payload_as_kept(one.row.payload_hash)
        found = [scrubber.scrub_bytes(text)[1] for text in (one.text, payload) if text is not None]
        for counts in found:
            total = {rule: total.get(rule, 0) + counts.get(rule, 0) for rule in {*total, *counts}}
        if any(found) and len(places) < _SHOWN:
            places.append(one.place)
    return dict(sorted(total.items())), places


def _count(original: ForeignLedger) -> tuple[int, int, str | None]:
    """Return (entries, payloads that are absent, hash of the last entry)."""
    entries, absent, head = 0, 0, None
    for one in original.entries():
        entries += 1
        if one.row is not None:
            absent += original.payload_as_kept(one.row.payload_hash) is None
            head = one.row.entry_hash if is_hash(one.row.entry_hash) else None
    return entries, absent, head


def _recording(
    original: ForeignLedger, whole: LedgerImported, faults: list[Fault], by: str, now_us: Callable[[], int]
) -> Callable[[Transaction], tuple[int, int]]:
    """Return the work that appends one entry for the whole and one for each original entry."""

    def work(transaction: Transaction) -> tuple[int, int]:
        told = "".join(f"{_where(fault.place)}: {fault.what}\n" for fault in faults).encode()
        bodies = {"faults": NewBody(_TEXT, told)} if told else {}
        first = last = _append(transaction, Draft("ledger.imported", by[:200], _data(whole), bodies), now_us())
        ours: dict[int, int] = {}
        for one in original.entries():
            last = _append(transaction, _draft(original, one, by, first, ours), now_us())
            ours[one.place] = last
        return first, last

    return work


def _draft(original: ForeignLedger, one: Original, by: str, first: int, ours: Mapping[int, int]) -> Draft:
    bodies: dict[str, NewBody | BodyRef] = {"entry": NewBody(_JSON, one.text)}
    parents = {first}
    facts = LedgerImported(format=original.format, place=one.place)
    if one.row is not None:
        payload = original.payload_as_kept(one.row.payload_hash)
        if payload is not None:
            bodies["payload"] = NewBody(_JSON, payload)
        cause = None if one.row.causal_parent is None else ours.get(one.row.causal_parent)
        if cause is not None:
            parents.add(cause)
        facts = msgspec.structs.replace(
            facts,
            entry_hash=one.row.entry_hash if is_hash(one.row.entry_hash) else None,
            payload_hash=one.row.payload_hash if is_hash(one.row.payload_hash) else None,
        )
    return Draft("ledger.imported", by[:200], _data(facts), bodies, tuple(sorted(parents))[:PARENTS_MAX])


def _where(place: int | None) -> str:
    return "the ledger" if place is None else f"entry {place}"


def _append(transaction: Transaction, draft: Draft, at_us: int) -> int:
    return transaction.append(draft, run=None, at_us=at_us).entry.seq


def _data(facts: LedgerImported) -> dict[str, object]:
    data: dict[str, object] = msgspec.to_builtins(facts)
    return data
