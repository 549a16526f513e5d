"""The shape of the configuration, whatever its origin (flags, environment, files).

Shapes only: where values come from is ``configs/load.py``. Unknown keys are refused. Secrets are references
(``env:NAME``, ``file:PATH``), resolved when an executor is built and never recorded.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ExecutorSettings", "LimitSettings", "PolicySettings", "RoleSettings", "Settings"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExecutorSettings(_Section):
    """One way to run calls; which members apply depends on ``type`` (see configs/forum.toml)."""

    type: Literal["command", "chat", "local", "scripted", "host"]
    argv: list[str] = []
    env: dict[str, str] = {}
    pass_env: list[str] = []
    url: str | None = None
    model: str | None = None
    api_key: str | None = None
    file: str | None = None
    script: str | None = None
    egress: Literal["none", "lan", "internet"] | None = None
    timeout_s: float = Field(default=300.0, gt=0)
    max_tokens: int | None = Field(default=None, gt=0)
    max_parallel: int = Field(default=4, gt=0)
    attempts: int = Field(default=2, ge=1, le=10)
    context_tokens: int | None = Field(default=None, gt=0)
    temperature: float | None = None
    seed: int | None = None


class RoleSettings(_Section):
    """Executor names per role, first rung first; ``rules`` is the deterministic implementation."""

    coordinator: list[str] = ["rules"]
    worker: list[str] = ["host"]
    validator: list[str] = ["rules"]
    synthesizer: list[str] = ["rules"]


class LimitSettings(_Section):
    """Ceilings of one run; a request may only lower them."""

    calls: int = Field(default=200, gt=0)
    seconds: float = Field(default=3600.0, gt=0)


class PolicySettings(_Section):
    """What a plan may use. An empty allow list permits every lane."""

    allow_lanes: list[str] = []
    deny_lanes: list[str] = []
    allow_categories: list[str] = []
    deny_categories: list[str] = []
    max_tasks: int = Field(default=2000, gt=0, le=2000)
    undecided: Literal["pass", "escalate", "fail"] = "pass"


class Settings(_Section):
    """Everything an ``Orchestrator`` is opened with."""

    ledger: str | None = None
    roster: str | None = None
    executors: dict[str, ExecutorSettings] = {}
    roles: RoleSettings = RoleSettings()
    limits: LimitSettings = LimitSettings()
    policy: PolicySettings = PolicySettings()
    max_parallel: int = Field(default=4, gt=0, le=64)
