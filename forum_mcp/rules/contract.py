"""The contract of a run: every setting its decisions are made from, recorded as one body of ``run.started``.

The contract is what makes a decision derivable: nothing that shapes a run is looked up anywhere else. It holds no
secret; an executor's identity is what its behaviour depends on (argv, url, model, parameters).
"""

from typing import Final

import msgspec

from forum_mcp.ledger.kinds.base import Amounts
from forum_mcp.rules.policy import Policy
from forum_mcp.rules.prices import Price

__all__ = ["RULES", "VERSION", "ContextTerms", "Contract", "ExecutorTerms", "Gates", "LaneTerms", "Steps", "members"]

VERSION: Final = 1
RULES: Final = "rules"  # the name of the deterministic implementation in a role's ladder


def members(rung: str) -> list[str]:
    """Return the executors of a rung, in the order they take turns."""
    return rung.split("+")


class ExecutorTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the run may expect of one executor.

    Attributes:
        type: ``command``, ``chat``, ``local``, ``scripted`` or ``host``.
        model: model requested, when the executor knows one.
        egress: ``none``, ``lan`` or ``internet``.
        identity: what its behaviour depends on, without secrets.
        timeout_ms: longest one attempt may take.
        max_tokens: most tokens of a reply, or None.
        attempts: attempts per rung when the error may pass by itself.
        max_parallel: most open attempts of this run on it.
        input_bytes: most bytes (UTF-8) of untrusted text in one prompt.
        effects: default of tasks it runs: ``none``, ``idempotent`` or ``once``.
        price: what its calls cost, or None when nobody knows.
        per_minute: most calls of this run on it in any minute, or None.
        keeps_cut: a reply that ends at the token limit is taken as it is.
    """

    type: str
    model: str | None
    egress: str
    identity: dict[str, object]
    timeout_ms: int
    max_tokens: int | None
    attempts: int
    max_parallel: int
    input_bytes: int
    effects: str
    price: Price | None = None
    per_minute: int | None = None
    keeps_cut: bool = False


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """Which steps beyond plan, task, verdict and answer the run takes (``configs.names.STEPS`` says what each does)."""

    classify: bool = False
    escalate: bool = False
    panel: bool = False
    intent: bool = False
    delivery: bool = False
    verification: bool = False
    reuse: bool = False


class LaneTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What is special about one lane: ladders that stand for the roles', and criteria that each of its tasks has."""

    worker: list[str] = []
    validator: list[str] = []
    done_when: list[str] = []


class ContextTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may expect of one context provider; its reading is done by the executor ``context:NAME``.

    Attributes:
        max_chars: most characters of it that are kept and shown.
        lanes: lanes it concerns; empty for all of them and the Coordinator.
        always: whether a run has it without asking.
    """

    max_chars: int
    lanes: list[str] = []
    always: bool = False


class Gates(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for approval: the run, each wave, tasks of some lanes, each multiple of a cost; and for how long."""

    run: bool = False
    wave: bool = False
    lanes: list[str] = []
    cost_microusd: int | None = None
    timeout_ms: int = 86_400_000


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of a run.

    ``roles`` maps each role to its ladder, first rung first; a rung is an executor's name, or several joined by ``+``
    that take turns. Without the step ``escalate`` a ladder has one rung, the others were cut when the contract was
    made. ``lanes`` holds the lanes that differ, whatever setting made them: a lane, a category, a tier. ``local_only``
    bars every executor whose egress is not ``none``: its calls are recorded and end with ``egress-refused``.
    ``task_limits`` bind each task, ``day_limits`` what all runs of ``project`` take on one day (UTC); the run's own
    limits stand in ``run.started``. ``context``: the providers whose content the run is given. ``workers``: what the
    caller put in the place of the operator's ladders, lane -> executor; the ladders hold it.
    """

    version: int = VERSION
    executors: dict[str, ExecutorTerms]
    roles: dict[str, list[str]]
    policy: Policy
    max_parallel: int
    steps: Steps = Steps()
    lanes: dict[str, LaneTerms] = {}
    gates: Gates = Gates()
    single: bool = False
    local_only: bool = False
    task_limits: Amounts = Amounts()
    day_limits: Amounts = Amounts()
    project: str = "default"
    context: dict[str, ContextTerms] = {}
    workers: dict[str, str] = {}

    def bars(self, egress: str) -> bool:
        """Tell whether a call that travels so far is refused."""
        return self.local_only and egress != "none"

    def terms(self, rung: str) -> ExecutorTerms:
        """Return the terms of a rung; where several executors share it, what holds for whichever is asked."""
        first, *others = [self.executors[name] for name in members(rung)]
        if not others:
            return first
        every = [first, *others]
        return msgspec.structs.replace(
            first,
            attempts=max(len(every), *(each.attempts for each in every)),
            input_bytes=min(each.input_bytes for each in every),
        )

    def named(self) -> set[str]:
        """Return every executor that a ladder or a check names, and ``rules`` where a ladder does."""
        ladders = [*self.roles.values()]
        for lane in self.lanes.values():
            ladders += (lane.worker, lane.validator)
        return {name for ladder in ladders for rung in ladder for name in members(rung)} | set(
            self.policy.checks.values()
        )

    def ladder(self, role: str, lane: str) -> list[str]:
        """Return the ladder of a role for the tasks of a lane."""
        own: list[str] = getattr(self.lanes.get(lane), role, [])
        return own or self.roles[role]

    def to_json(self) -> bytes:
        """Return the canonical bytes that are recorded."""
        return msgspec.json.encode(self, order="sorted")

    @classmethod
    def from_json(cls, data: bytes) -> "Contract":
        """Return the contract of recorded bytes.

        Raises:
            one of ``UNREADABLE``: not a contract of this version.
        """
        return msgspec.json.decode(data, type=cls)
