"""Entries that begin, hold, end and time a run."""

import msgspec

from forum_mcp.ledger.kinds.base import Amounts, Kind, Payload

__all__ = [
    "KINDS",
    "BudgetStopped",
    "Fork",
    "RunCancelled",
    "RunFinished",
    "RunInterrupted",
    "RunResumed",
    "RunStarted",
    "TimerFired",
]


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """The run a fork comes from, and its newest entry that counts."""

    run: str
    seq: int


class RunStarted(Payload, frozen=True, kw_only=True):
    """Everything the run will be decided from.

    ``mode`` is ``submit`` or ``plan`` (rests after the plan). ``seed`` is 32 random bytes in hex: the fence around
    untrusted text in each prompt is derived from it. ``rules`` maps each rules module to its version, ``environment``
    names the versions of what decisions also rest on: Unicode, the stemmer and the libraries whose words they quote.
    ``scrubbed``: rule -> how many secrets it took out of the bodies before they were committed to.
    """

    mode: str
    fence: int
    seed: str
    rules: dict[str, int]
    environment: dict[str, str]
    limits: Amounts = Amounts()
    lane: str | None = None
    fork: Fork | None = None
    scrubbed: dict[str, int] = {}


class RunResumed(Payload, frozen=True, kw_only=True):
    """A process took the run up again. ``in_doubt``: seqs of calls that were started and will have no outcome."""

    fence: int
    in_doubt: list[int] = []
    mode: str | None = None


class RunInterrupted(Payload, frozen=True, kw_only=True):
    """The process that held the run let it go in order; ``reason`` is a kebab word."""

    fence: int
    reason: str


class RunCancelled(Payload, frozen=True, kw_only=True):
    """Somebody, the actor, asked that the run end."""

    scrubbed: dict[str, int] = {}


class TimerFired(Payload, frozen=True, kw_only=True):
    """A deadline has passed: ``due_ms`` in active milliseconds of the run, or a gate's ``due_us`` of the wall clock."""

    due_ms: int | None = None
    due_us: int | None = None


class BudgetStopped(Payload, frozen=True, kw_only=True):
    """A call was refused: ``settled + reserved + asked`` would exceed ``limit - kept_back`` of ``currency``.

    ``scope`` is the account that has no room: ``run`` or ``day`` (the project's, as ``seen`` tells).
    ``unpriced``: nobody knows what the call costs, and US dollars are limited.
    """

    currency: str
    limit: int
    settled: int
    reserved: int
    asked: int
    kept_back: int = 0
    scope: str = "run"
    unpriced: bool = False


class RunFinished(Payload, frozen=True, kw_only=True):
    """The run is sealed. ``state``: succeeded, failed or cancelled; counts of tasks by how they ended."""

    state: str
    tasks_ok: int = 0
    tasks_failed: int = 0
    tasks_skipped: int = 0
    unvalidated: int = 0
    spent: Amounts = Amounts()
    error: str | None = None


KINDS = (
    Kind(
        "run.started",
        "event",
        RunStarted,
        ("request", "contract", "roster", "plan"),
        "none, or the entry a fork starts from",
    ),
    Kind("run.resumed", "event", RunResumed, (), "run.started"),
    Kind("run.interrupted", "event", RunInterrupted, (), "run.started"),
    Kind("run.cancelled", "event", RunCancelled, ("reason",), "run.started"),
    Kind("timer.fired", "event", TimerFired, (), "the entry that set the deadline"),
    Kind("budget.stopped", "decision", BudgetStopped, (), "what it refused"),
    Kind("run.finished", "decision", RunFinished, (), "the answer, or what left the run without one"),
)
