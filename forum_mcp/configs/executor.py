"""The shape of one executor's settings, ``[executors.NAME]``: which members there are and which go together."""

from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from forum_mcp.configs.section import AMOUNT_MAX, RecordedSection, Section, check_members

__all__ = ["ExecutorSettings", "PriceSettings", "ResourceSettings"]

_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "command": (),
    "chat": ("url", "model"),
    "anthropic": ("model",),
    "local": ("file",),
    "scripted": (),
    "host": (),
    "sampling": (),
}
_SERVERS: Final = ("chat", "anthropic")
_OWNERS: Final[dict[str, tuple[str, ...]]] = {
    "argv": ("command",),
    "profile": ("command",),
    "env": ("command",),
    "pass_env": ("command",),
    "cwd": ("command",),
    "repo": ("command",),
    "sandbox": ("command",),
    "limits": ("command",),
    "readable": ("command",),
    "writable": ("command",),
    "network": ("command",),
    "allow_nested": ("command",),
    "url": _SERVERS,
    "api_key": _SERVERS,
    "stream": _SERVERS,
    "cut_replies": (*_SERVERS, "local"),
    "file": ("local",),
    "memory_mb": ("local",),
    "script": ("scripted",),
}


class PriceSettings(Section):
    """What calls cost: US dollars per million tokens, and per call beside them."""

    input: float = Field(default=0.0, ge=0, le=1_000_000)
    output: float = Field(default=0.0, ge=0, le=1_000_000)
    call: float = Field(default=0.0, ge=0, le=1_000_000)


class ResourceSettings(Section):
    """What a command may take under any sandbox but ``none``; see docs/how-to/isolate-a-command.md for who holds it."""

    cpu_s: int = Field(default=3_600, gt=0, le=31_536_000)
    memory_mb: int = Field(default=4_096, gt=0, le=AMOUNT_MAX)
    processes: int = Field(default=512, ge=0, le=100_000)
    file_mb: int = Field(default=1_024, gt=0, le=AMOUNT_MAX)
    open_files: int = Field(default=1_024, ge=16, le=AMOUNT_MAX)


class ExecutorSettings(RecordedSection):
    """One way to run calls; which members apply depends on ``type`` (see configs/forum.toml)."""

    type: Literal["command", "chat", "anthropic", "local", "scripted", "sampling", "host"]
    argv: list[str] = []
    profile: Literal["claude", "codex", "gemini", "opencode", "llm", "ollama"] | None = None
    env: dict[str, str] = {}
    pass_env: list[str] = []
    cwd: Literal["empty", "worktree"] = "empty"
    repo: str | None = None
    sandbox: Literal["none", "rlimits", "landlock", "bwrap"] = "none"
    limits: ResourceSettings = ResourceSettings()
    readable: list[str] = []
    writable: list[str] = []
    network: bool = True
    allow_nested: bool = False
    url: str | None = None
    model: str | None = None
    api_key: str | None = None
    stream: bool = True
    cut_replies: Literal["keep", "fail"] | None = None
    file: str | None = None
    memory_mb: int | None = Field(default=None, gt=0, le=AMOUNT_MAX)
    script: str | None = None
    egress: Literal["none", "lan", "internet"] | None = None
    timeout_s: float = Field(default=300.0, gt=0, le=86_400)
    max_tokens: int | None = Field(default=None, gt=0, le=AMOUNT_MAX)
    max_parallel: int = Field(default=4, gt=0, le=64)
    attempts: int = Field(default=2, ge=1, le=10)
    context_tokens: int | None = Field(default=None, gt=0, le=AMOUNT_MAX)
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = Field(default=None, ge=-(2**53) + 1, le=2**53 - 1)
    price: PriceSettings | None = None
    per_minute: int | None = Field(default=None, gt=0, le=1_000_000)

    @field_validator("api_key")
    @classmethod
    def _is_a_reference(cls, value: str | None) -> str | None:
        scheme, colon, rest = (value or "").partition(":")
        if value is not None and (scheme not in ("env", "file") or not colon or not rest):
            raise ValueError("expected a reference, env:NAME or file:PATH, never the key itself")
        return value

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://", "unix:/")):
            raise ValueError("expected a URL that begins with http://, https:// or unix:/")
        return value

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        check_members(self, self.type, _NEEDS, _OWNERS)
        if self.type == "command":
            self._fits_as_a_command()
        return self

    def _fits_as_a_command(self) -> None:
        if not self.argv and self.profile is None:
            raise ValueError("type 'command' needs 'argv' or 'profile'")
        if (self.cwd == "worktree") != (self.repo is not None):
            raise ValueError("'repo' and cwd = \"worktree\" go together: the repository whose worktree a task gets")
        if "limits" in self.model_fields_set and self.sandbox == "none":
            raise ValueError('\'limits\' hold only in a sandbox; add sandbox = "rlimits", "landlock" or "bwrap"')
        if (self.readable or self.writable) and self.sandbox not in ("landlock", "bwrap"):
            raise ValueError("'readable' and 'writable' mean something only with sandbox = \"landlock\" or \"bwrap\"")
