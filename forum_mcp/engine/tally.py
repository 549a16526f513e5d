"""Counting entries: one pass, each entry once, in any ledger. What an entry lacks or holds wrongly counts nowhere."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from forum_mcp.engine.views import View
from forum_mcp.ledger.entry import Entry

__all__ = ["ModelCalls", "Tally", "TaskFigures"]

_UNFINISHED = "unfinished"
_STEPS: Final = {
    "route.decided": ("routed by", "by"),
    "answer.intent": ("covered", "passed"),
    "answer.judged": ("intent", "verdict"),
    "answer.delivery": ("concise", "passed"),
    "answer.revised": ("revised", "accepted"),
    "answer.verified": ("verification", "verdict"),
}
"""Kind of an entry -> what its outcome is counted as, and the member that tells it."""

_NO_MODEL = "(no model named)"


class ModelCalls(View, frozen=True, kw_only=True):
    """The calls one model served; ``model`` is what the provider says ran, else what was sent or requested.

    ``cost_usd`` is over the calls that have a price, None when none has. Times are in seconds.
    """

    model: str
    calls: int
    errors: int
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    seconds: float
    longest_seconds: float


class TaskFigures(View, frozen=True, kw_only=True):
    """One task of a run: how it ended, its last verdict, and what its calls took."""

    id: str
    lane: str | None
    state: str
    verdict: str | None
    calls: int
    tokens: int | None
    seconds: float


@dataclass(slots=True)
class _Sum:
    """A sum of what was told; None until something was."""

    total: int | None = None
    untold: int = 0

    def add(self, value: int | None) -> None:
        if value is None:
            self.untold += 1
        else:
            self.total = value + (self.total or 0)


@dataclass(slots=True)
class _Calls:
    calls: int = 0
    errors: int = 0
    tokens_in: _Sum = field(default_factory=_Sum)
    tokens_out: _Sum = field(default_factory=_Sum)
    cost: _Sum = field(default_factory=_Sum)
    ms: int = 0
    longest_ms: int = 0


@dataclass(slots=True)
class _Task:
    lane: str | None = None
    state: str = _UNFINISHED
    verdict: str | None = None
    calls: int = 0
    tokens: _Sum = field(default_factory=_Sum)
    ms: int = 0


class Tally:
    """Figures of the entries added so far.

    Attributes:
        entries: how many.
        kinds: entries of each kind.
        verdicts: verdicts on tasks, by word.
        steps: what routing and the steps after the answer came to, as ``step word``.
        errors: calls that failed, by error class.
        microusd: cost told so far, millionths of a US dollar, or None.
    """

    def __init__(self, *, keep_tasks: bool) -> None:
        self.entries = 0
        self.first_at: int | None = None
        self.last_at: int | None = None
        self.kinds: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.served_other = 0
        self.active_ms = 0
        self.lane: str | None = None
        self.request_commit: str | None = None
        self._total = _Calls()
        self._by_model: dict[str, _Calls] = {}
        self._open: dict[str | None, dict[int, Entry]] = {}
        self._run_ms: dict[str, int] = {}
        self._ended: Counter[str] = Counter()
        self._tasks_ended: Counter[str] = Counter()
        self._tasks: dict[str | None, dict[str, _Task]] = {}
        self._keep_tasks = keep_tasks

    def add(self, entry: Entry) -> None:
        """Count one entry; entries come in the order of their seq."""
        self.entries += 1
        self.kinds[entry.kind] += 1
        self.first_at = entry.at if self.first_at is None else min(self.first_at, entry.at)
        self.last_at = entry.at if self.last_at is None else max(self.last_at, entry.at)
        if entry.run is not None:
            self._add_time(entry.run, _whole(entry, "t_ms"))
        if (step := _STEPS.get(entry.kind)) is not None:
            self._add_step(step, entry)
        match entry.kind:
            case "run.started":
                request = entry.bodies.get("request")
                self.request_commit = None if request is None else request.commit
            case "run.finished":
                self._ended[_word(entry, "state") or _UNFINISHED] += 1
                self._close(entry.run)
            case "route.decided":
                self.lane = _word(entry, "chosen")
            case "call.started":
                self._open.setdefault(entry.run, {})[entry.seq] = entry
                self._total.calls += 1
            case "call.finished":
                self._finish_call(entry)
            case "task.started" | "task.judged" | "task.finished" | "task.skipped" | "task.reused":
                self._add_task(entry)
            case _:
                pass

    def _add_step(self, step: tuple[str, str], entry: Entry) -> None:
        name, member = step
        value = entry.data.get(member)
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if isinstance(value, str):
            self.steps[f"{name} {value}"] += 1

    @property
    def tokens_in(self) -> int | None:
        """Tokens read, over the calls that told them."""
        return self._total.tokens_in.total

    @property
    def tokens_out(self) -> int | None:
        """Tokens written, over the calls that told them."""
        return self._total.tokens_out.total

    @property
    def tokens_untold(self) -> int:
        """Calls that ended without saying how many tokens they took."""
        return max(self._total.tokens_in.untold, self._total.tokens_out.untold)

    @property
    def microusd(self) -> int | None:
        """Cost of the calls that have a price."""
        return self._total.cost.total

    @property
    def unpriced(self) -> int:
        """Calls that ended without a price."""
        return self._total.cost.untold

    @property
    def call_ms(self) -> int:
        """Time of the calls, added up, milliseconds."""
        return self._total.ms

    def models(self) -> list[ModelCalls]:
        """Return what each model served, the busiest first."""
        named = sorted(self._by_model.items(), key=lambda item: (-item[1].calls, item[0]))
        return [
            ModelCalls(
                model=model,
                calls=each.calls,
                errors=each.errors,
                tokens_in=each.tokens_in.total,
                tokens_out=each.tokens_out.total,
                cost_usd=None if each.cost.total is None else each.cost.total / 1_000_000,
                seconds=each.ms / 1000,
                longest_seconds=each.longest_ms / 1000,
            )
            for model, each in named
        ]

    def run_states(self) -> dict[str, int]:
        """Return runs by how they ended."""
        return _with_rest(self._ended, self.kinds["run.started"] - self._ended.total())

    def task_states(self) -> dict[str, int]:
        """Return tasks by how they ended; one that ran again counts as it ended last."""
        states = Counter(task.state for tasks in self._tasks.values() for task in tasks.values()) + self._tasks_ended
        return dict(sorted(states.items()))

    def task_list(self) -> list[TaskFigures]:
        """Return the tasks in the order they began, or nothing where they are not kept."""
        if not self._keep_tasks:
            return []
        return [
            TaskFigures(
                id=name,
                lane=task.lane,
                state=task.state,
                verdict=task.verdict,
                calls=task.calls,
                tokens=task.tokens.total,
                seconds=task.ms / 1000,
            )
            for tasks in self._tasks.values()
            for name, task in tasks.items()
        ]

    def _add_time(self, run: str, t_ms: int | None) -> None:
        if t_ms is not None and t_ms > self._run_ms.get(run, 0):
            self.active_ms += t_ms - self._run_ms.get(run, 0)
            self._run_ms[run] = t_ms

    def _close(self, run: str | None) -> None:
        """Forget a run that is over, so that a ledger of any length is counted in little memory."""
        self._open.pop(run, None)
        if not self._keep_tasks:
            self._tasks_ended.update(task.state for task in self._tasks.pop(run, {}).values())

    def _finish_call(self, entry: Entry) -> None:
        call = _whole(entry, "call")
        started = None if call is None else self._open.get(entry.run, {}).pop(call, None)
        requested = None if started is None else _word(started, "model")
        ran = _word(entry, "served_model") or _word(entry, "sent_model") or requested
        served = _word(entry, "served_model")
        self.served_other += requested is not None and served is not None and served != requested
        executor = None if started is None else _word(started, "executor")
        of_model = self._by_model.setdefault(ran or executor or _NO_MODEL, _Calls())
        of_model.calls += 1
        error = _word(entry, "error")
        if error is not None:
            self.errors[error] += 1
        tokens = (_whole(entry, "tokens_in"), _whole(entry, "tokens_out"))
        ms = _whole(entry, "duration_ms") or 0
        for each in (of_model, self._total):
            each.errors += error is not None
            each.tokens_in.add(tokens[0])
            each.tokens_out.add(tokens[1])
            each.cost.add(_whole(entry, "cost_microusd"))
            each.ms += ms
            each.longest_ms = max(each.longest_ms, ms)
        name = None if started is None else _word(started, "task")
        if name is not None:
            task = self._tasks.setdefault(entry.run, {}).setdefault(name, _Task())
            task.calls += 1
            task.ms += ms
            for told in tokens:
                if told is not None:
                    task.tokens.add(told)

    def _add_task(self, entry: Entry) -> None:
        name = _word(entry, "task")
        if name is None:
            return
        task = self._tasks.setdefault(entry.run, {}).setdefault(name, _Task())
        match entry.kind:
            case "task.started":
                task.lane, task.state = _word(entry, "lane"), _UNFINISHED
            case "task.finished":
                task.state = _UNFINISHED if _word(entry, "error") is None else "failed"
            case "task.judged":
                word = _word(entry, "verdict") or "undecided"
                self.verdicts[word] += 1
                task.verdict = word
                task.state = "succeeded" if entry.data.get("ok") is True else "failed"
            case "task.reused":
                task.state = "succeeded"
            case _:
                task.state = "skipped"


def _whole(entry: Entry, name: str) -> int | None:
    value = entry.data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _word(entry: Entry, name: str) -> str | None:
    value = entry.data.get(name)
    return value if isinstance(value, str) and value else None


def _with_rest(counts: Counter[str], rest: int) -> dict[str, int]:
    found = Counter(counts)
    if rest > 0:
        found[_UNFINISHED] += rest
    return dict(sorted(found.items()))
