"""What every operation answers: the same facts over MCP, the CLI's ``--json`` and Python.

A view is plain data made from the record. ``to_dict`` gives its JSON form; a surface may leave members out of its
*text*, never out of its structured form.
"""

import msgspec

__all__ = [
    "Candidate",
    "ContextView",
    "DaemonView",
    "DaemonsView",
    "DescentView",
    "EntryView",
    "FindingView",
    "GateView",
    "GatesView",
    "Next",
    "Quote",
    "QuotedTask",
    "ReplayView",
    "Review",
    "RouteView",
    "RunLine",
    "RunView",
    "RunsView",
    "ShowView",
    "Spent",
    "TaskView",
    "TraceLine",
    "TraceView",
    "VerifyView",
    "View",
    "WorkItem",
    "WorkView",
]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every view."""

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form: objects, arrays, strings, numbers, booleans and null."""
        return msgspec.to_builtins(self)  # type: ignore[no-any-return]


class Next(View, frozen=True, kw_only=True):
    """The call to make now: a tool's name and its arguments."""

    tool: str
    arguments: dict[str, object]


class Candidate(View, frozen=True, kw_only=True):
    """One lane the router weighed. ``score``: 0..1; ``terms``: what of the request spoke for it, strongest first."""

    lane: str
    score: float
    terms: list[str]


class RouteView(View, frozen=True, kw_only=True):
    """Where a request goes. ``lane`` is None when the router abstains; ``chosen`` then is the fallback lane."""

    lane: str | None
    chosen: str
    category: str
    tier: str
    confidence: float
    margin: float
    candidates: list[Candidate]


class Spent(View, frozen=True, kw_only=True):
    """What a run has used. ``cost_usd`` is None while the price of some call is unknown."""

    calls: int
    seconds: float
    tokens: int | None
    cost_usd: float | None


class TaskView(View, frozen=True, kw_only=True):
    """One task of a run.

    ``state``: pending, running, waiting, succeeded, failed, skipped, cancelled. ``verdict``: passed, failed, undecided
    or None. ``served``: model the provider says ran, else the one requested, else None. ``reason``: the words of the
    verdict, or of the last call of a task that failed.
    """

    id: str
    lane: str
    state: str
    instruction: str
    depends_on: list[str]
    wave: int
    attempts: int
    verdict: str | None = None
    error: str | None = None
    executor: str | None = None
    served: str | None = None
    reason: str | None = None


class ContextView(View, frozen=True, kw_only=True):
    """What a run was given to read: ``entry`` is the seq it stands in (None: nothing was read), ``error`` why not."""

    name: str
    entry: int | None
    chars: int
    error: str | None


class Review(View, frozen=True, kw_only=True):
    """What the steps after the answer found; a step that was not taken, or not yet, is None.

    ``intent``: covered (by its words), unclear (its words do not tell, and nobody was asked), met, unmet, undecided.
    ``missing``: what of the request the answer does not hold. ``delivery``: what makes the answer longer than it need
    be, empty when nothing does; ``revised``: whether a shorter one stands in its place. ``verified``: passed, failed,
    undecided.
    """

    intent: str | None = None
    intent_reason: str | None = None
    missing: list[str] = []
    delivery: list[str] | None = None
    revised: bool | None = None
    verified: str | None = None
    verified_reason: str | None = None


class RunView(View, frozen=True, kw_only=True):
    """One run, as its record tells it.

    ``state``: pending, running, waiting, succeeded, failed, cancelled, interrupted. ``answer`` is None until there is
    one. ``unvalidated`` names tasks whose verdict is undecided. ``entries``: seqs [first, newest]. ``checkpoint`` is
    the newest signed note (text): keep it and hand it to ``ledger_verify`` later. ``route_by``: caller, rules or
    classifier. ``review`` is None for a run that takes none of the steps after the answer.
    """

    run_id: str
    state: str
    mode: str
    lane: str | None
    plan_by: str | None
    tasks: list[TaskView]
    waves: list[list[str]]
    answer: str | None
    unvalidated: list[str]
    failed: list[str]
    skipped: list[str]
    spent: Spent
    error: str | None
    entries: list[int]
    next: Next | None
    checkpoint: str | None
    request: str | None = None
    route_by: str | None = None
    context: list[ContextView] = []
    review: Review | None = None
    quote: "Quote | None" = None
    """Of a planned run: what it is likely to take."""
    gates: list[int] = []
    """Seqs of the gates that wait for an approval."""


class QuotedTask(View, frozen=True, kw_only=True):
    """What a task is likely to take: medians of ``basis`` tasks before it; None is not known."""

    id: str
    lane: str
    executor: str
    basis: int
    calls: int | None = None
    seconds: float | None = None
    tokens: int | None = None
    cost_usd: float | None = None


class Quote(View, frozen=True, kw_only=True):
    """What a plan is likely to take, by the record's own history.

    Sums are over the tasks that have one; ``unknown`` names the others. ``seconds`` is the sum over waves of each
    wave's slowest task.
    """

    tasks: list[QuotedTask]
    unknown: list[str]
    calls: int
    tokens: float | None
    cost_usd: float | None
    seconds: float


class GateView(View, frozen=True, kw_only=True):
    """One open gate. ``gate`` is its seq, ``digest`` the commitment of ``asks``, which is what an approval approves.

    ``deadline_us``: wall clock, microseconds since the epoch; then it counts as rejected.
    """

    gate: int
    run_id: str
    subject: str
    key: str
    digest: str
    deadline_us: int
    asks: dict[str, object]


class GatesView(View, frozen=True, kw_only=True):
    """Gates that wait for somebody, the one that closes first in front."""

    gates: list[GateView]


class DaemonView(View, frozen=True, kw_only=True):
    """A process that holds runs for others: its id, its ledger, the runs, and how long it stays without one."""

    pid: int
    ledger: str
    runs: list[str]
    idle_s: float


class DaemonsView(View, frozen=True, kw_only=True):
    """The daemons of this user that answer."""

    daemons: list[DaemonView]


class RunLine(View, frozen=True, kw_only=True):
    """One run in a list. ``started_us``: wall clock, microseconds since the epoch."""

    run_id: str
    state: str
    started_us: int
    entries: list[int]
    request: str


class RunsView(View, frozen=True, kw_only=True):
    """Runs, newest first; ``before`` is the cursor of the next page or None."""

    runs: list[RunLine]
    before: int | None


class WorkItem(View, frozen=True, kw_only=True):
    """One piece of work for the calling assistant. ``prompt`` holds instructions and fenced inputs, complete.

    ``item`` is the id to hand back; ``schema`` is the JSON Schema of the result or None for text.
    """

    item: int
    run_id: str
    purpose: str
    task: str | None
    lane: str | None
    instructions: str
    prompt: str
    schema: dict[str, object] | None
    lease_seconds: int


class WorkView(View, frozen=True, kw_only=True):
    """Work handed out, or taken back; ``runs`` maps each run concerned to its state."""

    items: list[WorkItem]
    runs: dict[str, str]
    next: Next | None
    checkpoint: str | None


class FindingView(View, frozen=True, kw_only=True):
    """One fault. ``seq`` or ``body`` (commitment) says where; ``code`` is one of docs/ledger-format.md."""

    code: str
    seq: int | None
    body: str | None
    expected: str
    found: str


class VerifyView(View, frozen=True, kw_only=True):
    """What verification found, what holds and what does not."""

    clean: bool
    level: int
    ledger: str
    size: int
    root: str
    findings: list[FindingView]
    findings_total: int
    counts: dict[str, int]
    holds: list[str]
    not_protected: list[str]
    checkpoint: str | None


class EntryView(View, frozen=True, kw_only=True):
    """One entry as people read it: decoded members, leaf hash (hex), and short texts of its bodies on request."""

    seq: int
    at: int
    kind: str
    actor: str
    run: str | None
    parents: list[int]
    data: dict[str, object]
    bodies: dict[str, dict[str, object]]
    leaf: str


class ShowView(View, frozen=True, kw_only=True):
    """Entries, newest last; ``before`` is the cursor of the next older page or None."""

    entries: list[EntryView]
    size: int
    before: int | None
    checkpoint: str | None


class TraceLine(View, frozen=True, kw_only=True):
    """One ancestor: how far it is (0 is the entry asked for) and what it says."""

    seq: int
    depth: int
    kind: str
    actor: str
    parents: list[int]
    summary: str


class TraceView(View, frozen=True, kw_only=True):
    """The causal chain of an entry, newest first.

    ``reaches_request``: it ends at its run's start; ``more``: there is more than the lines.
    """

    seq: int
    lines: list[TraceLine]
    reaches_request: bool
    more: bool


class DescentView(View, frozen=True, kw_only=True):
    """An entry and what it led to, oldest first; ``depth`` counts steps of cause and effect, at the fewest.

    ``more``: there is more than the lines.
    """

    seq: int
    lines: list[TraceLine]
    more: bool


class ReplayView(View, frozen=True, kw_only=True):
    """The state rebuilt from the first ``size`` entries; runs nothing."""

    size: int
    root: str
    runs: list[RunView]
