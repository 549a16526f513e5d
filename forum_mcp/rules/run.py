"""The state of a run: what ``evolve`` builds from entries and ``decide`` reads.

These are plain records. A state belongs to the one fold that builds it: ``evolve`` changes it in place and returns it,
so that a step costs what changed and not what the run holds.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from forum_mcp.ledger.entry import BodyRef, RunId
from forum_mcp.ledger.kinds.base import Amounts, Seen
from forum_mcp.ledger.kinds.call import CallFinished
from forum_mcp.ledger.kinds.run import Fork
from forum_mcp.ledger.kinds.task import TaskRecalled
from forum_mcp.rules.contract import Contract, members
from forum_mcp.rules.failures import NOT_BEGUN
from forum_mcp.rules.finding import Finding
from forum_mcp.rules.plan import Plan, PlannedTask
from forum_mcp.rules.roster import Roster

__all__ = [
    "CONTEXT",
    "Attempts",
    "ContextState",
    "Gate",
    "OpenCall",
    "Phase",
    "Progress",
    "Review",
    "RunState",
    "Spend",
    "TaskState",
    "TaskStatus",
    "Timer",
    "done_once",
    "effects_of",
]

Progress = Literal["idle", "open", "replied", "refused", "deferred", "due", "redo"]
"""Where the attempts of one purpose stand: nothing asked yet; an attempt open; its outcome waiting for a decision; a
wait decided; the wait over; the attempt lost without an outcome. ``refused``: the reply was recorded as unusable."""

CONTEXT: Final = "context:"
"""What the purpose, and the executor, of a call that reads a provider begins with; its name follows."""

Phase = Literal["route", "context", "plan", "rest", "tasks", "answer", "review", "seal", "finished"]

TaskStatus = Literal["pending", "gated", "ready", "working", "judging", "retiring", "doomed", "ok", "failed", "skipped"]
"""pending: dependencies not settled; gated: an approval is asked for; ready: may start; working: attempts under way;
judging: an output to judge; retiring: this rung is over and the next one is to be chosen; doomed: will be skipped; the
last three are settled."""


@dataclass(slots=True)
class Attempts:
    """The attempts of one purpose on its ladder."""

    purpose: str
    ladder: list[str]
    progress: Progress = "idle"
    rung: int = 0
    attempt: int = 0
    repaired: bool = False
    call_seq: int = -1
    """Seq of the newest call.started."""
    seq: int = -1
    """Seq of the newest call.finished."""
    cause: int = -1
    """Seq of the entry that makes the next call necessary, when it is not the outcome before it."""
    outcome: CallFinished | None = None
    reply: str = ""
    reply_ref: BodyRef | None = None
    problem: str | None = None
    """Why the last reply could not be used."""
    barred: frozenset[str] = frozenset()
    """Executors that may not be asked."""
    seat: int = 0
    """Which of several that are asked the same: a check, a panelist."""
    words: int = 0
    """Words of the newest prompt."""


@dataclass(slots=True)
class TaskState:
    """One task of the accepted plan."""

    plan: PlannedTask
    index: int
    wave: int
    work: Attempts
    verdict_calls: Attempts
    waits_for: int
    dependants: list[str] = field(default_factory=list[str])
    status: TaskStatus = "pending"
    checking: list[Attempts] = field(default_factory=list[Attempts])
    """The outside checks of the result, one after the other."""
    panel: list[Attempts] = field(default_factory=list[Attempts])
    """The panelists, each with attempts of its own."""
    found: list[Finding] | None = field(default=None, compare=False)
    """What the checks say of the result, once they were made: kept so that they are made once."""
    refused: list[tuple[int, frozenset[int]]] = field(default_factory=list[tuple[int, frozenset[int]]])
    """Results that were not taken: (seq of the verdict, sketch), oldest first."""
    objection: str | None = None
    """Why the result of the rung below was not taken."""
    n: int = 0
    calls: int = 0
    """Attempts made for the task's own work."""
    spend: "Spend" = field(default_factory=lambda: Spend())
    """What all its calls took, its verdicts' included."""
    output: str = ""
    output_ref: BodyRef | None = None
    instruction_commit: str = ""
    criteria_commit: str | None = None
    recalled_seq: int = -1
    """Seq of task.recalled."""
    recalled: TaskRecalled | None = None
    """What task.recalled found, of the same key."""
    recalled_ref: BodyRef | None = None
    recalled_output: str | None = None
    reused_from: int = -1
    """Seq, in another run, that settled the output this task reuses."""
    started_seq: int = -1
    outcome_seq: int = -1
    """Seq of the newest task.finished."""
    settled_seq: int = -1
    """Seq of the entry that settled the task: its verdict, its failed outcome or its skip."""
    verdict: str | None = None
    because: str = ""
    """Why a doomed or skipped task does not run."""
    doomed_by: int = -1
    """Seq of the rejection of a task that is doomed by a gate."""
    reason: str | None = None
    """The verdict's words."""
    error: str | None = None
    upstream: str | None = None
    executor: str | None = None
    served: str | None = None


@dataclass(slots=True)
class OpenCall:
    """A started attempt without an outcome. ``type`` is the executor's, or ``barred`` when the contract refuses it."""

    seq: int
    purpose: str
    task: str | None
    executor: str
    type: str
    reserve: Amounts
    seat: int = 0
    offered_seq: int = -1
    taken_seq: int = -1
    taken_by: str = ""
    lease_until_us: int = 0
    day: str = ""
    """The day (UTC) whose account it is charged to."""


@dataclass(frozen=True, slots=True)
class Gate:
    """An open gate; ``digest`` is the commitment of its subject, ``task`` the task that is on the agenda for it."""

    subject: str
    key: str
    digest: str
    deadline_us: int
    task: str | None


@dataclass(frozen=True, slots=True)
class Timer:
    """A deadline in active milliseconds of the run, and whose attempts wait for it."""

    due_ms: int
    purpose: str
    task: str | None
    seat: int = 0


@dataclass(slots=True)
class Spend:
    """Settled amounts. The booleans say whether every outcome told its tokens and its cost.

    An outcome that did not tell is settled with what was reserved for it, which is nothing where nothing is limited.
    """

    calls: int = 0
    tokens: int = 0
    microusd: int = 0
    tokens_known: bool = True
    cost_known: bool = True


@dataclass(slots=True)
class ContextState:
    """One context provider: its reading, and what it gave. ``seq`` and ``text`` are of the newest reading that did."""

    attempts: Attempts
    settled: bool = False
    seq: int = -1
    chars: int = 0
    text: str = ""
    commit: str = ""
    error: str | None = None


@dataclass(slots=True)
class Review:
    """What was found out about the answer; seqs are -1 and findings None while a step has not come to them."""

    answer: str = ""
    """The answer as it stands, revised or not; empty while no step looks at it."""
    by: str = ""
    """Who made the answer: ``rules`` or ``synthesizer``."""
    judging: Attempts = field(default_factory=lambda: Attempts("judge", []))
    revising: Attempts = field(default_factory=lambda: Attempts("revise", []))
    verifying: Attempts = field(default_factory=lambda: Attempts("verify", []))
    intent_seq: int = -1
    covered: bool | None = None
    missing: list[str] = field(default_factory=list[str])
    judged_seq: int = -1
    intent: str | None = None
    intent_reason: str | None = None
    delivery_seq: int = -1
    faults: list[str] | None = None
    revised_seq: int = -1
    revised: bool | None = None
    verified_seq: int = -1
    verified: str | None = None
    verified_reason: str | None = None


@dataclass(slots=True)
class RunState:
    """Everything ``decide`` may look at."""

    run: RunId
    phase: Phase = "route"
    started_seq: int = -1
    last_seq: int = -1
    t_ms: int = 0
    started_us: int = 0
    at_us: int = 0
    """Wall clock of the newest entry, microseconds since the epoch."""
    fence: int = 0
    seed: str = ""
    mode: str = "submit"
    rules: dict[str, int] = field(default_factory=dict[str, int])
    environment: dict[str, str] = field(default_factory=dict[str, str])
    incomplete: bool = False
    """A body the state rests on is gone (redacted): decisions from here on cannot be derived again."""
    limits: Amounts = field(default_factory=Amounts)
    request: str = ""
    request_ref: BodyRef | None = None
    contract: Contract | None = None
    roster: Roster | None = None
    given_plan: bytes | None = None
    given_lane: str | None = None
    fork_of: Fork | None = None
    lane: str = ""
    route_lane: str | None = None
    route_by: str | None = None
    route_seq: int = -1
    classifying: Attempts = field(default_factory=lambda: Attempts("classify", []))
    contexts: dict[str, ContextState] = field(default_factory=dict[str, ContextState])
    planning: Attempts = field(default_factory=lambda: Attempts("plan", []))
    plan: Plan | None = None
    plan_by: str | None = None
    plan_seq: int = -1
    refusal_seq: int = -1
    """Seq of the newest plan.rejected."""
    tasks: dict[str, TaskState] = field(default_factory=dict[str, TaskState])
    ready: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Heap of (index, id): tasks whose dependencies are settled ok."""
    agenda: dict[str, None] = field(default_factory=dict[str, None])
    """Ids of tasks that need a decision, oldest first (an ordered set)."""
    gates: dict[int, Gate] = field(default_factory=dict[int, Gate])
    """Open gates by the seq of their gate.opened."""
    gated: dict[str, str] = field(default_factory=dict[str, str])
    """Tasks that an open gate keeps, oldest first: id -> key of the gate."""
    granted: set[str] = field(default_factory=set[str])
    """Keys, and classes for the whole run, that were approved."""
    denied: dict[str, int] = field(default_factory=dict[str, int])
    """Key or class that was rejected -> seq of what rejected it."""
    slots: int = 0
    """Tasks started and not settled."""
    unsettled: int = 0
    unsettled_in: list[int] = field(default_factory=list[int])
    """Unsettled tasks of each wave."""
    wave_seq: int = -1
    """Seq of the newest entry that settled a wave."""
    unoffered: deque[int] = field(default_factory=deque[int])
    open: dict[int, OpenCall] = field(default_factory=dict[int, OpenCall])
    timers: dict[int, Timer] = field(default_factory=dict[int, "Timer"])
    """Deadlines that have not passed, by the seq of the entry that set them."""
    time_up: bool = False
    spend: Spend = field(default_factory=Spend)
    seen: Seen | None = None
    """The account of the project's day as the newest append saw it; None where the day is not limited."""
    result_chars: int = 0
    """Characters of the outputs that settled ok."""
    quiet: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """Executor -> (active ms until which its server wants no call, seq of the call.started that was told so)."""
    starts: dict[str, deque[tuple[int, int]]] = field(default_factory=dict[str, deque[tuple[int, int]]])
    """Executor with a rate -> (active ms, seq) of its newest calls, at most as many as it may have in a minute."""
    stopped: str | None = None
    stopped_seq: int = -1
    answering: Attempts = field(default_factory=lambda: Attempts("synthesize", []))
    answer_seq: int = -1
    answer_ref: BodyRef | None = None
    """The answer as it stands, revised or not."""
    review: Review = field(default_factory=Review)
    cancelled_seq: int = -1
    resumed_seq: int = -1
    end: str | None = None
    """succeeded, failed or cancelled once sealed."""
    error: str | None = None
    finished_seq: int = -1


def effects_of(state: RunState, held: TaskState) -> str:
    """Return what running the task twice does: the plan's word, else the default of the executor at its rung."""
    assert state.contract is not None
    if held.plan.effects is not None:
        return held.plan.effects
    rung = held.work.ladder[held.work.rung]
    name = held.executor if held.executor in members(rung) else None
    return (state.contract.executors[name] if name is not None else state.contract.terms(rung)).effects


def done_once(state: RunState, held: TaskState, error: str | None) -> bool:
    """Tell whether an attempt that ended so (None: without error) may have had effects it may have only once."""
    return effects_of(state, held) == "once" and error not in NOT_BEGUN
