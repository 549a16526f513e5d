"""The executor port: one call in, one outcome out.

An executor receives recorded bytes only, performs exactly one attempt (it never retries: a retry is a decision), and
answers with an ``Outcome`` for every failure it can name. It raises nothing but cancellation; on cancellation it has
ended everything it started before the exception leaves ``perform``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from forum_mcp.ledger.entry import RunId
from forum_mcp.rules.failures import ErrorClass

__all__ = ["Call", "Egress", "Executor", "Outcome"]

Egress = Literal["none", "lan", "internet"]


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of one role or task. Every bytes member is a recorded body.

    Attributes:
        run: the run.
        seq: seq of the ``call.started`` that recorded the intent.
        purpose: ``plan``, ``task``, ``validate``, ``synthesize`` ...
        task: task id, or None for a call of a role.
        attempt: 1, 2, 3 ... within the same rung.
        system: UTF-8 instructions of the role.
        prompt: UTF-8 user content.
        schema: JSON Schema of the expected reply, or None for free text.
        timeout_ms: milliseconds until the attempt is ended with ``timeout``.
        max_tokens: most tokens the reply may take, or None.
    """

    run: RunId
    seq: int
    purpose: str
    task: str | None
    attempt: int
    system: bytes
    prompt: bytes
    schema: bytes | None
    timeout_ms: int
    max_tokens: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt; every member that is not known is None.

    Attributes:
        error: None for success, else one class of ``rules/failures.py``.
        reply: the reply's exact bytes, also beside an error when there were some.
        detail: what a person should read about the error; no secrets.
        stderr: tail of what a command said there.
        patch: what a command changed in its git worktree, as ``git apply`` takes it.
        finish_reason: as the server names it (``stop``, ``length`` ...).
        sent_model: model named in the request that left.
        served_model: model the provider says it ran.
        retry_after_ms: how long the server asked to wait, milliseconds.
        truncated: the reply was cut, at the size cap or at the token limit.
        cost_microusd: what the executor itself says the attempt cost, millionths of a US dollar.
        isolation: what held around a command, in words (``docs/how-to/isolate-a-command.md``).
    """

    error: ErrorClass | None = None
    reply: bytes | None = None
    reply_type: str = "text/plain; charset=utf-8"
    detail: str | None = None
    stderr: bytes | None = None
    patch: bytes | None = None
    finish_reason: str | None = None
    sent_model: str | None = None
    served_model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    exit_code: int | None = None
    http_status: int | None = None
    retry_after_ms: int | None = None
    truncated: bool = False
    cost_microusd: int | None = None
    isolation: tuple[str, ...] = ()


class Executor(Protocol):
    """One configured way to run calls."""

    @property
    def type(self) -> str:
        """Kind of executor: ``command``, ``chat``, ``local``, ``scripted``, ``host``."""
        ...

    @property
    def model(self) -> str | None:
        """Model requested, when the executor knows one."""
        ...

    @property
    def egress(self) -> Egress:
        """How far the bytes of a call travel."""
        ...

    def identity(self) -> Mapping[str, object]:
        """Return what identifies the executor's behaviour (argv, url, model, parameters) as JSON without secrets."""
        ...

    async def perform(self, call: Call) -> Outcome:
        """Perform one attempt and return what came of it; raise nothing but cancellation."""
        ...

    async def aclose(self) -> None:
        """End every child and connection; closing twice is harmless."""
        ...
