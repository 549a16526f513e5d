"""Verify level 4: every recorded decision, derived again from the entries before it.

The state before a decision is folded from the run's entries; ``decide`` must give that very entry: kind, actor, data,
parents, and bodies that match their commitments. ``t_ms`` is time and ``seen`` what other runs did: neither is
decided here; the second is checked against all runs by ``rederive_accounts.py``, and what events cite by
``rederive_citations.py``.
"""

from collections.abc import Callable, Mapping

import msgspec

from forum_mcp.engine.folding import entry_bodies
from forum_mcp.engine.rederive_accounts import AccountAudit
from forum_mcp.engine.rederive_citations import Citations
from forum_mcp.ledger.entry import Draft, Entry, NewBody, RunId
from forum_mcp.ledger.finding import Finding
from forum_mcp.ledger.kinds import KINDS
from forum_mcp.ledger.kinds.base import Seen
from forum_mcp.rules.next import VERSIONS, decide, environment
from forum_mcp.rules.run import RunState
from forum_mcp.rules.state import evolve
from forum_mcp.stores.base import Store

__all__ = ["findings"]

_PAGE = 256
_RECORDERS = ("t_ms", "seen")
"""Members of a decision that the recorder adds: what the clock and the day's account said."""


def findings(store: Store, told: Callable[[int], None] | None = None) -> tuple[list[Finding], dict[str, int]]:
    """Return the decisions that the record does not give again, and counts.

    Counts: ``decisions`` derived, ``rules-not-available`` (made by versions not shipped any more, or over tables and
    libraries of other versions with another result) and
    ``not-rederivable`` (they rest on a body that is gone); the last two are not findings. ``told`` hears
    after each run how many entries are done.
    """
    found: list[Finding] = []
    counts = {"decisions": 0, "rules-not-available": 0, "not-rederivable": 0}
    accounts, citations = AccountAudit(), Citations(store)
    before: int | None = None
    done = 0
    while rows := store.runs(_PAGE, before):
        for row in rows:
            done += _run(store, row.run, found, counts, accounts, citations)
            if told is not None:
                told(done)
        before = rows[-1].first_seq
    found += accounts.findings()
    found.sort(key=lambda each: each.seq if each.seq is not None else -1)
    return found, counts


def _run(
    store: Store, run: RunId, found: list[Finding], counts: dict[str, int], accounts: AccountAudit, citations: Citations
) -> int:
    """Make the decisions of a run again; return how many entries it has."""
    state, entries = RunState(run), 0
    for entries, stored in enumerate(store.run_entries(run), start=1):  # noqa: B007 - how many there were
        entry = stored.entry
        kind = KINDS.get(entry.kind)
        state.seen = _seen(entry)
        accounts.before(state, entry)
        if kind is not None and kind.role == "decision":
            problem = None
            if state.rules != VERSIONS:
                outcome = "rules-not-available"
            elif state.incomplete:
                outcome = "not-rederivable"
            else:
                outcome = "decisions"
                problem = _problem(store, state, entry)
            if problem is not None and state.environment != environment():
                outcome = "rules-not-available"  # decided over other tables or in another library's words
            elif problem is not None:
                found.append(Finding("decision", entry.seq, None, *problem))
            counts[outcome] += 1
        elif state.rules == VERSIONS and (wrong := citations.problem(state, entry)) is not None:
            found.append(wrong)
        state = evolve(state, entry, entry_bodies(store, entry))
        accounts.after(state, entry)
    return entries


def _seen(entry: Entry) -> Seen | None:
    """Return the account of the day that the decision saw."""
    try:
        return msgspec.convert(entry.data.get("seen"), Seen | None)
    except msgspec.ValidationError:
        return None


def _problem(store: Store, state: RunState, entry: Entry) -> tuple[str, str] | None:
    try:
        draft = decide(state)
    except Exception as error:  # a forged record can hold what no rule was written for; that is a finding, not a crash
        return "a record that a decision can be made from", f"{type(error).__name__} before this entry"
    return _compare(store, draft, entry)


def _compare(store: Store, draft: Draft | None, entry: Entry) -> tuple[str, str] | None:
    """Return (expected, found) where the entry is not the decision that follows, else None."""
    if draft is None:
        return "no decision", entry.kind
    if draft.kind != entry.kind:
        return draft.kind, entry.kind
    if draft.actor != entry.actor:
        return f"actor {draft.actor}", f"actor {entry.actor}"
    if list(draft.parents) != entry.parents:
        return f"parents {list(draft.parents)}", f"parents {entry.parents}"
    recorded = {key: value for key, value in entry.data.items() if key not in _RECORDERS}
    if dict(draft.data) != recorded:
        return f"data {_short(draft.data)}", f"data {_short(recorded)}"
    if set(draft.bodies) != set(entry.bodies):
        return f"bodies {sorted(draft.bodies)}", f"bodies {sorted(entry.bodies)}"
    for name, body in draft.bodies.items():
        ref = entry.bodies[name]
        if not isinstance(body, NewBody):
            if body != ref:
                return f"body {name} {body.commit}", f"body {name} {ref.commit}"
            continue
        held = store.body(ref.commit)
        if held is not None and (held.type, held.data) != (body.type, body.data):
            return f"another {name} of {len(body.data)} bytes", f"{name} of {len(held.data)} bytes"
    return None


def _short(data: Mapping[str, object]) -> str:
    text = msgspec.json.encode(data, order="sorted").decode()
    return text if len(text) <= 300 else text[:297] + "..."
