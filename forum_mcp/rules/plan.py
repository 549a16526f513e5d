"""The plan: a validated DAG of tasks.

An author (the Coordinator, the caller, the rules) writes tasks; ``accept`` turns them into a ``Plan`` or says what is
wrong in words its author can use. The canonical plan is one body of the record.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from forum_mcp.errors import PlanRefused
from forum_mcp.roles.coordinator import DependencyReply, PlanReply, TaskReply
from forum_mcp.roles.reply import DEPTH_MAX, fault_of, nesting
from forum_mcp.rules.criteria import CRITERIA_MAX, fault
from forum_mcp.rules.policy import Policy, refusal
from forum_mcp.rules.roster import Roster
from forum_mcp.rules.schema import refused

__all__ = [
    "INSTRUCTION_CHARS",
    "TASKS_MAX",
    "VERSION",
    "Dependency",
    "Plan",
    "PlannedTask",
    "accept",
    "decode",
    "from_json",
    "read",
    "single",
]

VERSION: Final = 1
TASKS_MAX: Final = 2_000
INSTRUCTION_CHARS: Final = 100_000
"""Most characters of one task's instruction and done criteria."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


class Dependency(msgspec.Struct, frozen=True):
    """A typed edge to an earlier task: ``data`` hands its result on, ``order`` only waits for it."""

    id: str
    type: str = "data"


class PlannedTask(msgspec.Struct, frozen=True, kw_only=True):
    """One task.

    ``effects`` None means the default of the executor that runs it; ``context`` None means what concerns its lane.
    """

    id: str
    lane: str
    instruction: str
    depends_on: tuple[Dependency, ...] = ()
    done_when: tuple[str, ...] = ()
    effects: str | None = None
    schema: dict[str, object] | None = None
    context: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks in the author's order, and their waves: each wave depends only on earlier ones."""

    tasks: tuple[PlannedTask, ...]
    waves: tuple[tuple[str, ...], ...]

    @property
    def edges(self) -> int:
        """Number of dependencies."""
        return sum(len(task.depends_on) for task in self.tasks)

    def to_json(self) -> bytes:
        """Return the canonical bytes that are recorded."""
        return msgspec.json.encode({"tasks": self.tasks}, order="sorted")


class _Recorded(msgspec.Struct, frozen=True):
    tasks: tuple[PlannedTask, ...]


def from_json(data: bytes) -> Plan:
    """Return the plan of recorded bytes, which were accepted once.

    Raises:
        one of ``UNREADABLE``: not a recorded plan.
        PlanRefused: no plan that could have been accepted.
    """
    tasks = msgspec.json.decode(data, type=_Recorded).tasks
    known = {task.id for task in tasks}
    if len(known) != len(tasks) or any(edge.id not in known for task in tasks for edge in task.depends_on):
        raise PlanRefused("the recorded plan holds a task twice, or depends on one that it does not hold")
    return Plan(tasks, _waves(tasks))


def read(value: object) -> PlanReply:
    """Return a plan as its author wrote it, from decoded JSON.

    Raises:
        PlanRefused: the shape is wrong.
    """
    try:
        return msgspec.convert(value, PlanReply, strict=True)
    except msgspec.ValidationError as error:
        raise PlanRefused(
            f"the plan does not have the shape of a plan: {fault_of(error)}; expected "
            f'{{"tasks": [{{"id", "lane", "instruction", "depends_on": [], "done_when": [], '
            f'"effects": "none|idempotent|once", "schema": {{}}, "context": []}}]}}'
        ) from None


def decode(data: bytes) -> PlanReply:
    """Return a plan as its author wrote it, from recorded bytes.

    Raises:
        PlanRefused: not JSON, or the shape is wrong.
    """
    try:
        if nesting(data.decode()) > DEPTH_MAX:
            raise PlanRefused(f"the plan is nested more than {DEPTH_MAX} deep; use plain values")
        return read(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlanRefused(f"the plan is not JSON: {error}") from None


def single(instruction: str, lane: str) -> PlanReply:
    """Return the plan of one task."""
    return msgspec.convert({"tasks": [{"id": "t1", "lane": lane, "instruction": instruction}]}, PlanReply)


def accept(reply: PlanReply, roster: Roster, policy: Policy, contexts: Collection[str] = ()) -> Plan:
    """Return the validated plan; ``contexts``: the context providers of the run.

    Raises:
        PlanRefused: empty or too large, a bad or doubled id, an unknown or forbidden lane, an empty or overlong
            instruction, a schema or a criterion that is not taken, a context that the run does not have, a dependency
            that is not in the plan, or a cycle.
    """
    limit = min(TASKS_MAX, policy.max_tasks)
    if not reply.tasks:
        raise PlanRefused("the plan has no tasks; give at least one")
    if len(reply.tasks) > limit:
        raise PlanRefused(f"the plan has {len(reply.tasks)} tasks; at most {limit} are permitted")
    ids = [task.id for task in reply.tasks]
    _check_ids(ids)
    known = set(ids)
    tasks: list[PlannedTask] = []
    for task in reply.tasks:
        _check_lane(task, roster, policy)
        _check_words(task, policy)
        _check_context(task, contexts)
        tasks.append(
            PlannedTask(
                id=task.id,
                lane=task.lane,
                instruction=task.instruction,
                depends_on=_dependencies(task.id, task.depends_on, known, ids),
                done_when=tuple(task.done_when),
                effects=task.effects,
                schema=task.schema,
                context=None if task.context is None else tuple(task.context),
            )
        )
    return Plan(tuple(tasks), _waves(tasks))


def _check_lane(task: TaskReply, roster: Roster, policy: Policy) -> None:
    lane = roster.lanes.get(task.lane)
    if lane is None:
        near = ", ".join(sorted(roster.lanes, key=lambda name: (not name.startswith(task.lane[:3]), name))[:5])
        raise PlanRefused(
            f"task {task.id!r} names lane {_short(task.lane)!r}, which is not in the roster; lanes are {near} ..."
        )
    if (why := refusal(policy, lane)) is not None:
        raise PlanRefused(f"task {task.id!r} names lane {task.lane!r}: {why}")


def _check_words(task: TaskReply, policy: Policy) -> None:
    """Check instruction, schema and criteria."""
    if not task.instruction.strip():
        raise PlanRefused(f"task {task.id!r} has an empty instruction; say what is to be done")
    if (length := len(task.instruction) + sum(map(len, task.done_when))) > INSTRUCTION_CHARS:
        raise PlanRefused(
            f"task {task.id!r} has {length} characters of instruction and criteria; at most {INSTRUCTION_CHARS} "
            "are taken: put long material in a file"
        )
    if task.schema is not None and (why := refused(task.schema)) is not None:
        raise PlanRefused(f"task {task.id!r} has a schema that {why}")
    if len(task.done_when) > CRITERIA_MAX:
        raise PlanRefused(f"task {task.id!r} has {len(task.done_when)} criteria; at most {CRITERIA_MAX} are taken")
    for line in task.done_when:
        if (why := fault(line, policy.checks)) is not None:
            raise PlanRefused(f"task {task.id!r}: {why}")


def _check_context(task: TaskReply, contexts: Collection[str]) -> None:
    for name in task.context or ():
        if name not in contexts:
            had = f"it has {', '.join(sorted(contexts))}" if contexts else "it has none"
            raise PlanRefused(
                f"task {task.id!r} names context {_short(name)!r}, which this run does not have ({had}); "
                "leave it out, or begin the run with that context"
            )


def _check_ids(ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for task in ids:
        if not _ID.match(task):
            raise PlanRefused(f"task id {_short(task)!r} is not usable; use 1 to 64 letters, digits, '-', '_' or '.'")
        if task in seen:
            raise PlanRefused(f"task id {task!r} stands twice in the plan; give each task its own id")
        seen.add(task)


def _dependencies(
    task: str, written: Sequence[str | DependencyReply], known: set[str], ids: Sequence[str]
) -> tuple[Dependency, ...]:
    edges: dict[str, Dependency] = {}
    for item in written:
        edge = Dependency(item) if isinstance(item, str) else Dependency(item.id, item.type)
        if edge.id not in known:
            listed = ", ".join(ids[:20]) + (" ..." if len(ids) > 20 else "")
            raise PlanRefused(
                f"task {task!r} depends on {_short(edge.id)!r}, which is not in the plan (tasks: {listed})"
            )
        if edge.id == task:
            raise PlanRefused(f"task {task!r} depends on itself; remove that dependency")
        if edge.id in edges:
            raise PlanRefused(f"task {task!r} names dependency {edge.id!r} twice; name it once")
        edges[edge.id] = edge
    return tuple(edges.values())


def _waves(tasks: Sequence[PlannedTask]) -> tuple[tuple[str, ...], ...]:
    """Return the waves (Kahn), ids in plan order within a wave."""
    left = {task.id: len(task.depends_on) for task in tasks}
    order = {task.id: index for index, task in enumerate(tasks)}
    dependants: dict[str, list[str]] = {task.id: [] for task in tasks}
    for task in tasks:
        for edge in task.depends_on:
            dependants[edge.id].append(task.id)
    wave = [task.id for task in tasks if left[task.id] == 0]
    waves: list[tuple[str, ...]] = []
    while wave:
        waves.append(tuple(wave))
        released: list[str] = []
        for done in wave:
            del left[done]
            for follower in dependants[done]:
                left[follower] -= 1
                if left[follower] == 0:
                    released.append(follower)
        wave = sorted(released, key=order.__getitem__)
    if left:
        raise PlanRefused(f"the plan has a cycle: {' -> '.join(_cycle(left, tasks))}; remove one of these dependencies")
    return tuple(waves)


def _cycle(left: Mapping[str, int], tasks: Sequence[PlannedTask]) -> list[str]:
    """Return one cycle among the tasks that no wave could take, its first id repeated at the end."""
    upstream = {task.id: [edge.id for edge in task.depends_on if edge.id in left] for task in tasks}
    path: list[str] = []
    at = next(iter(left))
    while at not in path:
        path.append(at)
        at = upstream[at][0]
    return [*path[path.index(at) :], at]


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
