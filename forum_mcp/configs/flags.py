"""What the command line says, as the part of the settings it stands for.

A model flag is an executor plus the roles bound to it; single role flags bind a role back.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from forum_mcp.configs.models import executor_of
from forum_mcp.configs.names import ALL_ROLES, ROLES, STEPS
from forum_mcp.configs.paths import placed
from forum_mcp.errors import ConfigRefused

__all__ = ["Flags"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """Flags of one invocation; None is "not given".

    Attributes:
        ledger: path or ``:memory:``.
        roster: path of a roster that adds to the shipped one.
        config: path of a configuration file, in place of .forum/config.toml.
        cmd: a command line, split like a POSIX shell would and run without one.
        agent: an agent program by its profile: claude, codex, gemini, opencode, llm, ollama.
        sandbox: what keeps ``cmd`` or ``agent`` in: none, rlimits, landlock or bwrap.
        worktree: a git repository; each call of ``cmd`` or ``agent`` gets a worktree of it.
        chat_url: base URL of an OpenAI-compatible server; ``model`` goes with it.
        api: Anthropic's Messages API; ``model`` goes with it.
        api_url: base URL of another server that speaks it.
        model: of ``chat_url``, ``api``, ``api_url`` or ``agent``.
        api_key: ``env:NAME`` or ``file:PATH``; of a server.
        local: path of a GGUF file, or ``package:NAME`` of an installed package that carries one.
        scripted: path of a script of replies.
        max_tokens: most tokens of one reply, of a server or ``local``.
        roles: executors of every role but the worker, comma-separated, first rung first.
        coordinator: executors of this role alone; so for every other role.
        classify: whether this step is taken; so for every other step.
        max_parallel: calls at a time.
        allow_approvals: whether a tool call may resolve a gate.
        local_only: nothing leaves this machine.
    """

    ledger: str | None = None
    roster: str | None = None
    config: str | None = None
    cmd: str | None = None
    agent: str | None = None
    sandbox: str | None = None
    worktree: str | None = None
    chat_url: str | None = None
    api: bool | None = None
    api_url: str | None = None
    model: str | None = None
    api_key: str | None = None
    local: str | None = None
    scripted: str | None = None
    max_tokens: int | None = None
    roles: str | None = None
    coordinator: str | None = None
    worker: str | None = None
    validator: str | None = None
    synthesizer: str | None = None
    classifier: str | None = None
    panelists: str | None = None
    judge: str | None = None
    reviser: str | None = None
    verifier: str | None = None
    classify: bool | None = None
    escalate: bool | None = None
    panel: bool | None = None
    intent: bool | None = None
    delivery: bool | None = None
    verification: bool | None = None
    reuse: bool | None = None
    max_parallel: int | None = None
    local_only: bool | None = None
    allow_approvals: bool | None = None

    def over(self, weaker: "Flags") -> "Flags":
        """Return these flags with what they leave open taken from ``weaker``."""
        given = {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}
        return replace(weaker, **given)

    def settings(self, cwd: Path) -> dict[str, object]:
        """Return the settings these flags stand for, nested as in a file; relative paths are of ``cwd``.

        Raises:
            ConfigRefused: two model flags, a command line that cannot be split, a flag without its partner.
        """
        found: dict[str, object] = {}
        if self.ledger is not None:
            found["ledger"] = placed(self.ledger, cwd)
        if self.roster is not None:
            found["roster"] = placed(self.roster, cwd)
        if self.max_parallel is not None:
            found["max_parallel"] = self.max_parallel
        if self.allow_approvals is not None:
            found["gates"] = {"allow_tool": self.allow_approvals}
        if self.local_only is not None:
            found["local_only"] = self.local_only
        executors = executor_of(self, cwd)
        if executors:
            found["executors"] = executors
        roles = self._roles(next(iter(executors), None))
        if roles:
            found["roles"] = roles
        steps = {name: value for name in STEPS if (value := getattr(self, name)) is not None}
        if steps:
            found["steps"] = steps
        return found

    def _roles(self, executor: str | None) -> dict[str, object]:
        found: dict[str, object] = {} if executor is None else {role: [executor] for role in ROLES}
        if self.roles is not None:
            ladder = _ladder(self.roles, "--roles")
            found |= {role: ladder for role in ROLES if role != "worker"}
        for role in ALL_ROLES:
            value = getattr(self, role)
            if value is not None:
                found[role] = _ladder(value, f"--{role}")
        return found


def _ladder(value: str, flag: str) -> list[str]:
    names = [name.strip() for name in value.split(",")]
    if not all(names):
        raise ConfigRefused(
            f"{flag} is {value!r}; expected executor names separated by commas, such as rules or local,chat"
        )
    return names
