"""Approvals: the events that resolve a gate, and approvals that stand for a whole class of gates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypedDict

import msgspec

from forum_mcp.engine.accounts import kept_seq
from forum_mcp.errors import AppendRefused, EntryRefused, GateClosed, NotFound, RequestRefused
from forum_mcp.ledger.entry import BodyRef, Draft, Entry, NewBody, RunId
from forum_mcp.ledger.kinds.gate import GateResolved
from forum_mcp.ledger.kinds.run import TimerFired
from forum_mcp.rules.calls import TEXT
from forum_mcp.rules.contract import Contract
from forum_mcp.rules.run import Gate, RunState

if TYPE_CHECKING:
    from forum_mcp.engine.accounts import Accounts
    from forum_mcp.engine.outcomes import Event
    from forum_mcp.stores.base import Store

__all__ = [
    "HOW",
    "SCOPES",
    "ResolutionTerms",
    "check_scope",
    "class_approval",
    "gate_deadline",
    "keep_standing_approval",
    "open_gate",
    "resolution",
    "standing_resolution",
]

SCOPES: Final = ("once", "run", "class")
HOW: Final = ("terminal", "tool", "elicitation", "api")
"""How it can be known who decided: at a terminal, by a tool's argument, asked through the client, by a program."""


class ResolutionTerms(TypedDict, total=False):
    """The terms of a resolution; all may be left out.

    Members:
        how: how it is known who decided, of ``HOW``; ``api`` unless given.
        scope: this gate (``once``, unless given), its class in this run (``run``), or its ``class`` until a time.
        until_us: the time until which an approval of a ``class`` stands, microseconds since the epoch.
        digest: commitment of what was read, 64 hex; it must be that of the gate's subject.
        reason: in words.
    """

    how: str
    scope: str
    until_us: int | None
    digest: str | None
    reason: str


def resolution(
    gate_seq: int,
    *,
    approved: bool,
    by: str,
    now_us: Callable[[], int],
    how: str = "api",
    scope: str = "once",
    until_us: int | None = None,
    digest: str | None = None,
    reason: str = "",
) -> Event:
    """Return the event that resolves a gate, unless its deadline has passed: then it is rejected, whoever runs.

    See ``ResolutionTerms`` for what is said of it; an approval is of what was read.
    """

    def event(state: RunState) -> Draft:
        gate = open_gate(state, gate_seq)
        if now_us() >= gate.deadline_us:
            raise GateClosed(
                f"gate {gate_seq} was to be answered earlier and counts as rejected; fork the run to ask again"
            )
        if digest is not None and digest != gate.digest:
            raise AppendRefused(
                f"gate {gate_seq} asks for approval of {gate.digest[:16]}..., not of {digest[:16]}...; read it again"
            )
        payload = GateResolved(
            gate=gate_seq, approved=approved, digest=gate.digest, how=how, scope=scope, until_us=until_us
        )
        bodies: dict[str, NewBody | BodyRef] = {}
        if reason:
            bodies["reason"] = NewBody(TEXT, reason.encode("utf-8", "replace"))
        return Draft("gate.resolved", by[:200], msgspec.to_builtins(payload), bodies, (gate_seq,))

    return event


def open_gate(state: RunState, gate_seq: int) -> Gate:
    """Return the open gate.

    Raises:
        GateClosed: it is resolved, its deadline has passed, or the run never opened it.
    """
    gate = state.gates.get(gate_seq)
    if gate is None or state.phase == "finished" or state.cancelled_seq >= 0:
        raise GateClosed(f"gate {gate_seq} is not open any more; list the open ones with: forum-mcp gate list")
    return gate


def gate_deadline(state: RunState, due_us: int, gate_seq: int) -> Draft:
    """Return the event of a gate's deadline."""
    open_gate(state, gate_seq)
    return Draft("timer.fired", "engine", msgspec.to_builtins(TimerFired(due_us=due_us)), {}, (gate_seq,))


def keep_standing_approval(tx: Accounts, project: str, subject: str, resolved: Entry) -> None:
    """Keep an approval of a class where the next gate of the class finds it."""
    if resolved.data.get("approved") and resolved.data.get("scope") == "class":
        tx.set_account(_name(project, subject), str(resolved.seq).encode())


def standing_resolution(
    tx: Accounts, store: Store, project: str, gate_seq: int, gate: Gate, at_us: int
) -> Draft | None:
    """Return the resolution of a gate by an approval of its class that still stands, or None.

    What is kept outside the chain is only where to look; the entry itself must say it.
    """
    kept = kept_seq(tx.account(_name(project, gate.subject)))
    given = None if kept is None else class_approval(store, kept, project, gate.subject, at_us)
    if given is None or given.seq >= gate_seq:
        return None
    payload = GateResolved(
        gate=gate_seq,
        approved=True,
        digest=gate.digest,
        how="standing",
        until_us=msgspec.convert(given.data, GateResolved).until_us,
        standing=given.seq,
    )
    return Draft("gate.resolved", given.actor, msgspec.to_builtins(payload), {}, (given.seq, gate_seq))


def class_approval(store: Store, seq: int, project: str, subject: str, at_us: int) -> Entry | None:
    """Return the entry if it approves the project's class of that subject beyond a time, else None."""
    try:
        given = store.entry(seq).entry
        approval = msgspec.convert(given.data, GateResolved)
        opened = store.entry(approval.gate).entry
    except (NotFound, EntryRefused, msgspec.ValidationError):
        return None
    approves = given.kind == "gate.resolved" and approval.approved and approval.scope == "class"
    same = opened.kind == "gate.opened" and opened.run == given.run and opened.data.get("subject") == subject
    if not (approves and same and approval.how != "standing" and (approval.until_us or 0) > at_us):
        return None
    return given if given.run is not None and _project(store, given.run) == project else None


def _project(store: Store, run: RunId) -> str | None:
    """Return the project whose run it is, or None when its contract is gone."""
    for stored in store.run_entries(run):
        ref = stored.entry.bodies.get("contract")
        body = store.body(ref.commit) if ref is not None else None
        if body is None:
            return None
        try:
            return Contract.from_json(body.data).project
        except (msgspec.MsgspecError, ValueError):
            return None
    return None


def check_scope(scope: str, until_us: int | None, now_us: int) -> None:
    """Check what an approval is for.

    Raises:
        RequestRefused: an unknown scope, a class without an end, or an end in the past.
    """
    if scope not in SCOPES:
        raise RequestRefused(f"scope {scope[:40]!r} is not known; expected one of: {', '.join(SCOPES)}")
    if (scope == "class") != (until_us is not None):
        raise RequestRefused("an approval of a class needs a time until which it stands, and no other has one")
    if until_us is not None and until_us <= now_us:
        raise RequestRefused("the approval would end before it begins; give a time that is to come")


def _name(project: str, subject: str) -> str:
    return f"approval:{project}:{subject}"
