"""The shape of the configuration, whatever its origin (flags, environment, files).

Shapes only: where values come from is ``configs/load.py``. Unknown keys are refused. Secrets are references
(``env:NAME``, ``file:PATH``), resolved when an executor is built and never recorded.
"""

from typing import Literal

from pydantic import Field, field_validator

from forum_mcp.configs.context import CONTEXT_NAME, ContextSettings
from forum_mcp.configs.custody import CustodySettings, custody_of
from forum_mcp.configs.executor import ExecutorSettings, PriceSettings
from forum_mcp.configs.section import AMOUNT_MAX, Section

__all__ = [
    "AmountSettings",
    "ExecutorSettings",
    "GateSettings",
    "LaneSettings",
    "LimitSettings",
    "LocalSettings",
    "PolicySettings",
    "PriceSettings",
    "RoleSettings",
    "Settings",
    "StepSettings",
]


class RoleSettings(Section):
    """Executor names per role, first rung first; ``rules`` is the deterministic implementation."""

    coordinator: list[str] = Field(default=["rules"], min_length=1)
    worker: list[str] = Field(default=["host"], min_length=1)
    validator: list[str] = Field(default=["rules"], min_length=1)
    synthesizer: list[str] = Field(default=["rules"], min_length=1)
    classifier: list[str] = Field(default=["rules"], min_length=1)
    panelists: list[str] = Field(default=[], max_length=32)
    judge: list[str] = Field(default=["rules"], min_length=1)
    reviser: list[str] = Field(default=["rules"], min_length=1)
    verifier: list[str] = []

    @field_validator("worker")
    @classmethod
    def _can_work(cls, value: list[str]) -> list[str]:
        if "rules" in value:
            raise ValueError("'rules' cannot do tasks; name an executor, or 'host'")
        return value


class StepSettings(Section):
    """Steps beyond plan, task, verdict and answer; what each does stands in ``names.STEPS``."""

    classify: bool = False
    escalate: bool = False
    panel: bool = False
    intent: bool = False
    delivery: bool = False
    verification: bool = False
    reuse: bool = False


class AmountSettings(Section):
    """Amounts; None is no limit."""

    calls: int | None = Field(default=None, gt=0, le=AMOUNT_MAX)
    tokens: int | None = Field(default=None, gt=0, le=1_000 * AMOUNT_MAX)
    usd: float | None = Field(default=None, gt=0, le=AMOUNT_MAX)


class LaneSettings(Section):
    """What is special about the tasks of a lane, a category or a tier: ladders in place of the roles', criteria."""

    worker: list[str] = []
    validator: list[str] = []
    done_when: list[str] = []


class LimitSettings(Section):
    """Ceilings of one run, which a request may only lower; of each of its tasks; of the project's day, in UTC."""

    calls: int = Field(default=200, gt=0, le=AMOUNT_MAX)
    seconds: float = Field(default=3600.0, gt=0, le=AMOUNT_MAX)
    tokens: int | None = Field(default=None, gt=0, le=1_000 * AMOUNT_MAX)
    usd: float | None = Field(default=None, gt=0, le=AMOUNT_MAX)
    task: AmountSettings = AmountSettings()
    day: AmountSettings = AmountSettings()


class GateSettings(Section):
    """What waits for approval, and how long: unanswered is rejected."""

    run: bool = False
    wave: bool = False
    lanes: list[str] = []
    above_usd: float | None = Field(default=None, gt=0, le=AMOUNT_MAX)
    timeout_s: float = Field(default=86_400.0, gt=0, le=31_536_000)
    allow_tool: bool = False


class PolicySettings(Section):
    """What a plan may use. An empty allow list permits every lane."""

    allow_lanes: list[str] = []
    deny_lanes: list[str] = []
    allow_categories: list[str] = []
    deny_categories: list[str] = []
    max_tasks: int = Field(default=2000, gt=0, le=2000)
    undecided: Literal["pass", "escalate", "fail"] = "pass"
    done_when: list[str] = []
    escalate_on: list[str] = []
    validator_differs: bool = False
    cut_prompt: Literal["flag", "fail"] = "flag"
    loop_after: int = Field(default=3, ge=0, le=1000)


class LocalSettings(Section):
    """What all ``local`` models of one process may take together; None is any amount."""

    memory_mb: int | None = Field(default=None, gt=0, le=AMOUNT_MAX)
    max_parallel: int | None = Field(default=None, gt=0, le=64)


class Settings(Section):
    """Everything an ``Orchestrator`` is opened with; ``ledger`` and ``roster`` None are the default ones."""

    ledger: str | None = None
    roster: str | None = None
    executors: dict[str, ExecutorSettings] = {}
    roles: RoleSettings = RoleSettings()
    steps: StepSettings = StepSettings()
    limits: LimitSettings = LimitSettings()
    gates: GateSettings = GateSettings()
    policy: PolicySettings = PolicySettings()
    checks: dict[str, str] = {}
    lanes: dict[str, LaneSettings] = {}
    categories: dict[str, LaneSettings] = {}
    tiers: dict[str, LaneSettings] = {}
    context: dict[str, ContextSettings] = Field(default={}, max_length=32)
    max_parallel: int = Field(default=4, gt=0, le=64)
    local_only: bool = False
    local: LocalSettings = LocalSettings()
    project: str = Field(default="default", min_length=1, max_length=100)
    custody: CustodySettings = CustodySettings()

    @field_validator("context")
    @classmethod
    def _has_names(cls, value: dict[str, ContextSettings]) -> dict[str, ContextSettings]:
        for name in value:
            if CONTEXT_NAME.fullmatch(name) is None:
                raise ValueError(f"{name[:80]!r} is no name for context; use 1 to 40 letters, digits, '-', '_' or '.'")
        return value

    @field_validator("custody", mode="before")
    @classmethod
    def _custody(cls, value: object) -> CustodySettings:
        return value if isinstance(value, CustodySettings) else custody_of(value, "the settings")
