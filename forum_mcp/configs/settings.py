"""The shape of the configuration, whatever its origin (flags, environment, files).

Shapes only: where values come from is ``configs/load.py``. Unknown keys are refused. Secrets are references
(``env:NAME``, ``file:PATH``), resolved when an executor is built and never recorded.
"""

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from forum_mcp.configs.custody import CustodySettings, custody_of

__all__ = [
    "AmountSettings",
    "ExecutorSettings",
    "LimitSettings",
    "PolicySettings",
    "PriceSettings",
    "RoleSettings",
    "Settings",
    "StepSettings",
]

_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "command": ("argv",),
    "chat": ("url", "model"),
    "local": ("file",),
    "scripted": (),
    "host": (),
}
_OWNERS: Final[dict[str, tuple[str, ...]]] = {
    "argv": ("command",),
    "env": ("command",),
    "pass_env": ("command",),
    "url": ("chat",),
    "api_key": ("chat",),
    "file": ("local",),
    "script": ("scripted",),
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PriceSettings(_Section):
    """What calls cost: US dollars per million tokens, and per call beside them."""

    input: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    output: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    call: float = Field(default=0.0, ge=0, allow_inf_nan=False)


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
    timeout_s: float = Field(default=300.0, gt=0, le=86_400)
    max_tokens: int | None = Field(default=None, gt=0)
    max_parallel: int = Field(default=4, gt=0, le=64)
    attempts: int = Field(default=2, ge=1, le=10)
    context_tokens: int | None = Field(default=None, gt=0)
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = None
    price: PriceSettings | None = None
    per_minute: int | None = Field(default=None, gt=0)

    @field_validator("api_key")
    @classmethod
    def _is_a_reference(cls, value: str | None) -> str | None:
        scheme, colon, rest = (value or "").partition(":")
        if value is not None and (scheme not in ("env", "file") or not colon or not rest):
            raise ValueError("expected a reference, env:NAME or file:PATH, never the key itself")
        return value

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("expected a URL that begins with http:// or https://")
        return value

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        for name in _NEEDS[self.type]:
            if not getattr(self, name):
                raise ValueError(f"type {self.type!r} needs {name!r}")
        for name, owners in _OWNERS.items():
            if name in self.model_fields_set and self.type not in owners:
                raise ValueError(f"{name!r} belongs to type {' or '.join(owners)}, not to {self.type!r}")
        return self


class RoleSettings(_Section):
    """Executor names per role, first rung first; ``rules`` is the deterministic implementation."""

    coordinator: list[str] = Field(default=["rules"], min_length=1)
    worker: list[str] = Field(default=["host"], min_length=1)
    validator: list[str] = Field(default=["rules"], min_length=1)
    synthesizer: list[str] = Field(default=["rules"], min_length=1)
    classifier: list[str] = Field(default=["rules"], min_length=1)
    panelists: list[str] = []
    judge: list[str] = Field(default=["rules"], min_length=1)
    reviser: list[str] = Field(default=["rules"], min_length=1)
    verifier: list[str] = []

    @field_validator("worker")
    @classmethod
    def _can_work(cls, value: list[str]) -> list[str]:
        if "rules" in value:
            raise ValueError("'rules' cannot do tasks; name an executor, or 'host'")
        return value


class StepSettings(_Section):
    """Steps beyond plan, task, verdict and answer; what each does stands in ``names.STEPS``."""

    classify: bool = False
    escalate: bool = False
    panel: bool = False
    intent: bool = False
    delivery: bool = False
    verification: bool = False
    reuse: bool = False


class AmountSettings(_Section):
    """Amounts; None is no limit."""

    calls: int | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class LimitSettings(_Section):
    """Ceilings of one run, which a request may only lower; of each of its tasks; of the project's day, in UTC."""

    calls: int = Field(default=200, gt=0)
    seconds: float = Field(default=3600.0, gt=0, allow_inf_nan=False)
    tokens: int | None = Field(default=None, gt=0)
    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    task: AmountSettings = AmountSettings()
    day: AmountSettings = AmountSettings()


class PolicySettings(_Section):
    """What a plan may use. An empty allow list permits every lane."""

    allow_lanes: list[str] = []
    deny_lanes: list[str] = []
    allow_categories: list[str] = []
    deny_categories: list[str] = []
    max_tasks: int = Field(default=2000, gt=0, le=2000)
    undecided: Literal["pass", "escalate", "fail"] = "pass"


class Settings(_Section):
    """Everything an ``Orchestrator`` is opened with; ``ledger`` and ``roster`` None are the default ones."""

    ledger: str | None = None
    roster: str | None = None
    executors: dict[str, ExecutorSettings] = {}
    roles: RoleSettings = RoleSettings()
    steps: StepSettings = StepSettings()
    limits: LimitSettings = LimitSettings()
    policy: PolicySettings = PolicySettings()
    max_parallel: int = Field(default=4, gt=0, le=64)
    local_only: bool = False
    project: str = Field(default="default", min_length=1, max_length=100)
    custody: CustodySettings = CustodySettings()

    @field_validator("custody", mode="before")
    @classmethod
    def _custody(cls, value: object) -> CustodySettings:
        return value if isinstance(value, CustodySettings) else custody_of(value, "the settings")
