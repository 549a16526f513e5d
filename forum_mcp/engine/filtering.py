"""Which entries a reader wants: by run, kind, actor, time, and text in their facts or bodies."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypedDict, cast

import msgspec

from forum_mcp.errors import LedgerUnreadable, RequestRefused
from forum_mcp.ledger.entry import Body, Entry, RunId, decode, leaf_hash
from forum_mcp.stores.base import Store, Stored

__all__ = ["EntryQuery", "Filter", "downwards", "make_filter", "matches", "upwards"]

_WINDOW: Final = 512
_SEARCHED_MAX: Final = 4_096
_DATE_CHARS: Final = len("2026-11-21")


class EntryQuery(TypedDict, total=False):
    """Which entries a caller wants; what is left out, or None, is "any".

    Members:
        run_id: of this run.
        kind: of a kind, or of those that begin with its words: ``call`` or ``call.*``.
        actor: by an actor, or by those that begin with its word: ``executor`` or ``executor:*``.
        since, until: recorded in between; ISO 8601, UTC unless they say otherwise, and a date means all of its day.
        text: with this in a fact or in a body's text, upper and lower case alike.
    """

    run_id: str | None
    kind: str | None
    actor: str | None
    since: str | None
    until: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """What an entry must have; None is "any". Made by ``make_filter``.

    Attributes:
        run: run id.
        kind: a kind, or its first words: ``call`` means ``call.started`` and ``call.finished``.
        actor: an actor, or its first word: ``executor`` means ``executor:gpt`` and every other.
        since_us: earliest ``at``, microseconds since the epoch.
        until_us: latest ``at``.
        text: folded text that must occur in a fact, or in a body's text.
    """

    run: RunId | None = None
    kind: str | None = None
    actor: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    text: str | None = None


def make_filter(
    *,
    run_id: str | None = None,
    kind: str | None = None,
    actor: str | None = None,
    since: str | None = None,
    until: str | None = None,
    text: str | None = None,
) -> Filter:
    """Return the filter of what is wanted; see ``EntryQuery``.

    Raises:
        RequestRefused: a time that is none, or an empty text, kind or actor.
    """
    for name, given in (("text", text), ("kind", kind), ("actor", actor)):
        if given is not None and not given.rstrip("*"):
            raise RequestRefused(f"{name} {given[:80]!a} is refused: every entry has it; leave it out")
    return Filter(
        None if run_id is None else RunId(run_id),
        None if kind is None else kind.removesuffix("*").removesuffix("."),
        None if actor is None else actor.removesuffix("*").removesuffix(":"),
        None if since is None else _moment(since),
        None if until is None else _moment(until, end=True),
        None if text is None else text.casefold(),
    )


def matches(store: Store, wanted: Filter) -> Callable[[Entry], bool]:
    """Return a test of entries of this store."""
    search = None if wanted.text is None else _Search(wanted.text, store.body)

    def wants(entry: Entry) -> bool:
        return (
            (wanted.run is None or entry.run == wanted.run)
            and (wanted.kind is None or _begins(entry.kind, wanted.kind, "."))
            and (wanted.actor is None or _begins(entry.actor, wanted.actor, ":"))
            and (wanted.since_us is None or entry.at >= wanted.since_us)
            and (wanted.until_us is None or entry.at <= wanted.until_us)
            and (search is None or search.finds(entry))
        )

    return wants


def upwards(store: Store, start: int) -> Iterator[Stored]:
    """Yield entries with seq >= start, oldest first, a window at a time."""
    while start < store.size():  # a window may be empty: a principal does not see every entry
        for seq, raw in store.raw_entries(start, start + _WINDOW):
            yield Stored(_decoded(seq, raw), raw, leaf_hash(raw))
        start += _WINDOW


def downwards(store: Store, stop: int, run: RunId | None = None) -> Iterator[Stored]:
    """Yield entries with seq < stop, newest first: of one run, or all of them a window at a time."""
    if run is not None:
        of_run = store.run_entries(run)
        yield from (stored for stored in reversed(of_run) if stored.entry.seq < stop)
        return
    while stop > 0:
        start = max(0, stop - _WINDOW)
        window = list(store.raw_entries(start, stop))
        for seq, raw in reversed(window):
            yield Stored(_decoded(seq, raw), raw, leaf_hash(raw))
        stop = start


@dataclass(slots=True)
class _Search:
    """One text, looked for in facts and bodies; what was found of a body is kept for its next entry."""

    text: str
    body: Callable[[str], Body | None]
    known: dict[str, bool] = field(default_factory=dict[str, bool])

    def finds(self, entry: Entry) -> bool:
        if any(self.text in word.casefold() for word in _words(entry.data)):
            return True
        return any(self._in_body(reference.commit) for reference in entry.bodies.values())

    def _in_body(self, commit: str) -> bool:
        found = self.known.get(commit)
        if found is None:
            body = self.body(commit)
            found = body is not None and self.text in body.data.decode("utf-8", "replace").casefold()
            if len(self.known) >= _SEARCHED_MAX:
                self.known.clear()
            self.known[commit] = found
        return found


def _decoded(seq: int, raw: bytes) -> Entry:
    try:
        return decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise LedgerUnreadable(
            f"entry {seq} cannot be decoded ({str(error)[:200]}); run `forum-mcp ledger verify` to see what is damaged"
        ) from error


def _words(value: object) -> Iterator[str]:
    """Yield the texts, numbers and member names of a JSON value."""
    if isinstance(value, Mapping):
        for name, member in cast("Mapping[str, object]", value).items():
            yield name
            yield from _words(member)
    elif isinstance(value, list):
        for member in cast("list[object]", value):
            yield from _words(member)
    elif value is not None:
        yield str(value)


def _begins(name: str, wanted: str, separator: str) -> bool:
    return name == wanted or name.startswith(wanted + separator)


def _moment(text: str, *, end: bool = False) -> int:
    """Return a time in microseconds since the epoch; ``end``: of a date its last one."""
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if end and len(text.strip()) <= _DATE_CHARS:
            moment += timedelta(days=1, microseconds=-1)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise RequestRefused(
            f"{text[:80]!a} is not a time; give one such as 2026-11-21 or 2026-11-21T14:30:00Z (UTC unless it says)"
        ) from None
