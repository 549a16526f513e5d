"""Entries of routing and planning."""

from forum_mcp.ledger.kinds.base import Kind, Payload

__all__ = ["KINDS", "PlanAccepted", "PlanRejected", "RouteDecided"]


class RouteDecided(Payload, frozen=True, kw_only=True):
    """The lane that drives the run. ``lane`` is None when the router abstained; ``chosen`` is then the fallback.

    Scores, margin and confidence are parts per million; ``by`` is ``rules``, ``caller`` or ``classifier``.
    """

    chosen: str
    by: str
    lane: str | None = None
    score_ppm: int = 0
    margin_ppm: int = 0
    confidence_ppm: int = 0


class PlanAccepted(Payload, frozen=True, kw_only=True):
    """The plan (a body) is a valid DAG; ``by`` is ``caller``, ``single``, ``rules`` or ``coordinator``."""

    by: str
    tasks: int
    edges: int
    waves: int


class PlanRejected(Payload, frozen=True, kw_only=True):
    """A plan was refused; the body ``problem`` says why in words that its author can use. ``by``: who made the plan."""

    by: str
    reason: str


KINDS = (
    Kind(
        "route.decided",
        "decision",
        RouteDecided,
        ("explanation",),
        "run.started, the classifier's call.finished if any",
    ),
    Kind(
        "plan.accepted",
        "decision",
        PlanAccepted,
        ("plan",),
        "route.decided, the coordinator's call.finished if any",
    ),
    Kind(
        "plan.rejected",
        "decision",
        PlanRejected,
        ("problem",),
        "route.decided, the coordinator's call.finished if any",
    ),
)
