"""Entries of a task's life: started, finished, judged; escalated or skipped."""

from forum_mcp.ledger.kinds.base import Kind, Payload

__all__ = [
    "KINDS",
    "TaskEscalated",
    "TaskFinished",
    "TaskJudged",
    "TaskRecalled",
    "TaskReused",
    "TaskSkipped",
    "TaskStarted",
]


class TaskStarted(Payload, frozen=True, kw_only=True):
    """Execution ``n`` of the task begins: its dependencies are settled ok."""

    task: str
    n: int
    lane: str


class TaskFinished(Payload, frozen=True, kw_only=True):
    """The rung's attempts are over: an output to judge, or the error class of the last attempt."""

    task: str
    n: int
    rung: int
    error: str | None = None


class TaskRecalled(Payload, frozen=True, kw_only=True):
    """Somebody looked whether the task, of this key, was done before: ``found`` is the seq that settled it, in ``run``.

    ``age_ms`` is how long ago it was done: by the wall clocks of the two entries, and what the cited one says itself.
    """

    task: str
    n: int
    key: str
    found: int | None = None
    run: str | None = None
    age_ms: int | None = None


class TaskReused(Payload, frozen=True, kw_only=True):
    """The output that the entry ``found`` settled stands for the task: same key, passed there, not done again."""

    task: str
    n: int
    key: str
    found: int
    age_ms: int


class TaskJudged(Payload, frozen=True, kw_only=True):
    """The verdict: ``passed``, ``failed`` or ``undecided``; ``by`` is ``rules``, ``validator`` or ``panel``.

    ``checks`` maps each deterministic check to whether it passed. ``ok`` is how the verdict counts under the
    contract's policy. ``stop``: why no other rung is tried (``loop``). ``votes`` of a panel, by verdict;
    ``disagreement`` marks a panel that was not of one mind with itself and the Validator. The body ``reason`` holds
    the words, ``evidence`` what each check and each judge saw.
    """

    task: str
    n: int
    rung: int
    verdict: str
    ok: bool
    by: str
    checks: dict[str, bool] = {}
    stop: str | None = None
    votes: dict[str, int] = {}
    disagreement: bool = False


class TaskEscalated(Payload, frozen=True, kw_only=True):
    """The task goes on at rung ``rung`` of the ladder; ``because``: ``verdict`` or an error class."""

    task: str
    n: int
    rung: int
    because: str


class TaskSkipped(Payload, frozen=True, kw_only=True):
    """The task will not run; ``because``: ``upstream`` or ``budget``."""

    task: str
    because: str
    upstream: str | None = None


KINDS = (
    Kind(
        "task.started",
        "decision",
        TaskStarted,
        ("instruction", "done_when"),
        "plan.accepted and the verdicts of its dependencies",
    ),
    Kind("task.recalled", "event", TaskRecalled, ("output",), "task.started; what settled the task that was found"),
    Kind("task.reused", "decision", TaskReused, ("output",), "task.recalled"),
    Kind("task.finished", "decision", TaskFinished, ("output",), "call.finished"),
    Kind(
        "task.judged",
        "decision",
        TaskJudged,
        ("reason", "evidence"),
        "task.finished, the call.finished of each check and each judge that was asked, earlier verdicts of a loop",
    ),
    Kind("task.escalated", "decision", TaskEscalated, (), "task.judged, or task.finished on an error class"),
    Kind("task.skipped", "decision", TaskSkipped, (), "what made it impossible"),
)
