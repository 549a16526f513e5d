"""Entries that wrap every call of every role and task, and the hand-over of work to the calling assistant."""

from forum_mcp.ledger.kinds.base import Amounts, Kind, Payload

__all__ = [
    "KINDS",
    "CallDeferred",
    "CallFinished",
    "CallStarted",
    "WorkExpired",
    "WorkOffered",
    "WorkProgressed",
    "WorkReturned",
    "WorkTaken",
]


class CallStarted(Payload, frozen=True, kw_only=True):
    """The intent to make one attempt: an *open attempt* until its call.finished.

    ``rung`` counts from 0 on the purpose's ladder, ``attempt`` from 1 on that rung, ``n`` is the task's execution
    (1, or more when an upstream result changed). ``repair`` marks a call that shows the model what was wrong with its
    last reply; ``seat`` counts, from 0, those who are asked the same side by side: a task's checks, the panelists.
    ``words`` of the prompt are the fewest tokens it can have. ``context``: seqs of the context.provided entries that
    the prompt holds. ``reserve`` is taken from the budget until the outcome settles it.
    """

    purpose: str
    executor: str
    type: str
    rung: int
    attempt: int
    timeout_ms: int
    reserve: Amounts
    egress: str
    task: str | None = None
    n: int | None = None
    model: str | None = None
    max_tokens: int | None = None
    repair: bool = False
    seat: int = 0
    words: int = 0
    context: list[int] = []


class CallFinished(Payload, frozen=True, kw_only=True):
    """The outcome of the open attempt ``call`` (a seq). ``error`` None is success; unknown figures are left out.

    ``isolation`` names what held around a command, weakest first; ``truncated`` marks a reply that was cut.
    """

    call: int
    error: str | None = None
    duration_ms: int | None = None
    finish_reason: str | None = None
    sent_model: str | None = None
    served_model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    cost_microusd: int | None = None
    price_source: str | None = None
    exit_code: int | None = None
    http_status: int | None = None
    retry_after_ms: int | None = None
    truncated: bool = False
    isolation: list[str] = []
    scrubbed: dict[str, int] = {}


class CallDeferred(Payload, frozen=True, kw_only=True):
    """The next attempt of ``purpose`` may start at ``not_before_ms``, active milliseconds.

    ``call`` is the seq of the call.started that makes the wait necessary: the attempt before it, or another call of
    the same executor when ``reason`` is ``rate``.
    """

    call: int
    purpose: str
    not_before_ms: int
    reason: str
    task: str | None = None
    seat: int = 0


class WorkOffered(Payload, frozen=True, kw_only=True):
    """The open attempt ``call`` is to be done by the calling assistant; ``call`` is also the work item's id."""

    call: int


class WorkTaken(Payload, frozen=True, kw_only=True):
    """An assistant took the item until ``lease_until_us`` (wall clock, microseconds since the epoch)."""

    call: int
    lease_until_us: int


class WorkProgressed(Payload, frozen=True, kw_only=True):
    """The assistant that has the item is still at it, and keeps it until ``lease_until_us``."""

    call: int
    lease_until_us: int
    scrubbed: dict[str, int] = {}


class WorkReturned(Payload, frozen=True, kw_only=True):
    """An assistant handed the item back; the call.finished that follows carries the outcome."""

    call: int


class WorkExpired(Payload, frozen=True, kw_only=True):
    """The lease on the item ran out; it is on offer again."""

    call: int


KINDS = (
    Kind(
        "call.started",
        "decision",
        CallStarted,
        ("system", "prompt", "schema"),
        "what asked for the call; the outcome before it on a retry",
    ),
    Kind(
        "call.finished",
        "event",
        CallFinished,
        ("reply", "stderr", "detail", "patch"),
        "call.started; work.returned for an assistant's work",
    ),
    Kind("call.deferred", "decision", CallDeferred, (), "the call.finished that made a wait necessary"),
    Kind("work.offered", "decision", WorkOffered, (), "call.started"),
    Kind("work.taken", "event", WorkTaken, (), "work.offered"),
    Kind("work.progressed", "event", WorkProgressed, ("note",), "work.taken, or the work.progressed before it"),
    Kind("work.returned", "event", WorkReturned, (), "work.taken, or work.offered when nobody took it first"),
    Kind("work.expired", "event", WorkExpired, (), "work.taken"),
)
