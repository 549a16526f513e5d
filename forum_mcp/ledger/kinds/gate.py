"""Entries of approvals: a gate is opened by a decision and resolved by a person, or by its deadline."""

from forum_mcp.ledger.kinds.base import Kind, Payload

__all__ = ["KINDS", "GateOpened", "GateResolved"]


class GateOpened(Payload, frozen=True, kw_only=True):
    """The run waits for approval.

    ``subject`` is the class of what is asked: ``run``, ``wave``, ``lane:NAME``, ``cost`` or ``in-doubt``; ``key`` is
    this one of the class. The body ``subject`` says what is approved, and its commitment is the digest an approval
    must name. A gate that nobody resolves is rejected at ``deadline_us`` (wall clock, microseconds since the epoch).
    """

    subject: str
    key: str
    deadline_us: int
    task: str | None = None


class GateResolved(Payload, frozen=True, kw_only=True):
    """Somebody, the actor, approved or rejected the gate ``gate`` (a seq) whose subject has the commitment ``digest``.

    ``scope``: ``once`` (this key), ``run`` (the class, in this run) or ``class`` (the class in every run of the
    project, until ``until_us``). ``how`` says how it is known who decided: ``terminal``, ``tool``, ``elicitation``,
    ``api``, or ``standing`` for an approval of the class that the entry ``standing`` gave.
    """

    gate: int
    approved: bool
    digest: str
    how: str
    scope: str = "once"
    until_us: int | None = None
    standing: int | None = None
    scrubbed: dict[str, int] = {}


KINDS = (
    Kind("gate.opened", "decision", GateOpened, ("subject",), "what the approval is for"),
    Kind("gate.resolved", "event", GateResolved, ("reason",), "gate.opened; the standing approval if any"),
)
