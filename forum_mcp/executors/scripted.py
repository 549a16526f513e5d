"""An executor whose replies are written beforehand: for tests, examples and the demo, never a default.

From a JSON file::

    {"replies": [{"purpose": "task", "task": "t1", "contains": "schema", "attempt": 1,
                  "reply": "...", "error": "timeout", "delay_ms": 0, "served_model": "m-1"}, ...],
     "default": {"reply": "..."}}

The first element whose conditions all hold answers: ``purpose``, ``task`` and ``attempt`` equal the call's, the text
``contains`` occurs in its system text or prompt; a condition that is left out holds. ``reply`` is a string, or any
other JSON value, which is then answered as JSON text. The remaining members are those of ``Outcome`` that a script
may set (``error detail finish_reason served_model tokens_in tokens_out exit_code http_status retry_after_ms``).
``default`` (an element without conditions, or just a reply) answers the rest; without it such a call is ``refused``.

Or from a Python callable, which gets the ``Call`` and returns an ``Outcome``, a text, or an awaitable of either.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import cast

import anyio
import msgspec

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.rules.failures import ERROR_CLASSES, ErrorClass

__all__ = ["Answer", "ScriptedExecutor", "build", "read_script"]

Answer = Callable[[Call], "Outcome | str | Awaitable[Outcome | str]"]


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One element of a script: conditions, then what is answered."""

    purpose: str | None = None
    task: str | None = None
    contains: str | None = None
    attempt: int | None = None
    reply: msgspec.Raw = msgspec.Raw()
    error: str | None = None
    detail: str | None = None
    delay_ms: int = 0
    finish_reason: str | None = None
    served_model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    exit_code: int | None = None
    http_status: int | None = None
    retry_after_ms: int | None = None

    def fits(self, call: Call) -> bool:
        """Return whether all conditions hold for the call."""
        return (
            self.purpose in (None, call.purpose)
            and self.task in (None, call.task)
            and self.attempt in (None, call.attempt)
            and (
                self.contains is None or self.contains.encode() in call.prompt or self.contains.encode() in call.system
            )
        )

    def outcome(self) -> Outcome:
        """Return the outcome this element stands for."""
        return Outcome(
            error=cast("ErrorClass | None", self.error),
            reply=_text(self.reply),
            detail=self.detail,
            finish_reason=self.finish_reason,
            served_model=self.served_model,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            exit_code=self.exit_code,
            http_status=self.http_status,
            retry_after_ms=self.retry_after_ms,
        )


class _Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    replies: list[_Line] = []
    default: _Line | str | None = None


def _text(reply: msgspec.Raw) -> bytes | None:
    """Return the reply a JSON value stands for; None when the member is null or left out."""
    value: object = msgspec.json.decode(reply) if reply else None
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else bytes(reply)


class ScriptedExecutor:
    """Answers from a callable. ``received`` holds every call, oldest first, and is the only state."""

    type = "scripted"

    def __init__(
        self, answer: Answer, *, model: str | None = None, egress: Egress = "none", source: str = "callable"
    ) -> None:
        self.model = model
        self.egress: Egress = egress
        self.received: list[Call] = []
        self._answer = answer
        self._source = source

    def identity(self) -> Mapping[str, object]:
        """Return the model and where the replies come from."""
        return {"type": self.type, "model": self.model, "source": self._source}

    async def perform(self, call: Call) -> Outcome:
        """Answer as written, within the call's time limit."""
        self.received.append(call)
        with anyio.move_on_after(call.timeout_ms / 1000):
            try:
                answer = self._answer(call)
                if inspect.isawaitable(answer):
                    answer = await answer
            except Exception as fault:
                return Outcome(error="executor-crashed", detail=f"{type(fault).__name__} in the script: {fault}")
            if isinstance(answer, Outcome):
                return answer
            return Outcome(reply=answer.encode(), sent_model=self.model)
        return Outcome(error="timeout", detail=f"ended after {call.timeout_ms} ms, the time limit of the attempt")

    async def aclose(self) -> None:
        """Do nothing: there is nothing to end."""


def read_script(data: bytes) -> Answer:
    """Return the callable of a script's JSON bytes.

    Raises:
        ConfigRefused: not a script; the message names the member.
    """
    try:
        script = msgspec.json.decode(data, type=_Script)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise ConfigRefused(f"not a script: {fault}") from None
    default = script.default
    if isinstance(default, str):
        default = _Line(reply=msgspec.Raw(msgspec.json.encode(default)))
    lines = [*script.replies, *([] if default is None else [default])]
    for number, line in enumerate(lines):
        if line.error is not None and line.error not in ERROR_CLASSES:
            raise ConfigRefused(
                f"reply {number} of the script has error {line.error!r}, which is not an error class"
                f" (one of: {', '.join(sorted(ERROR_CLASSES))})"
            )

    async def answer(call: Call) -> Outcome:
        line = next((line for line in lines if line.fits(call)), None)
        if line is None:
            detail = f"the script has no reply for purpose {call.purpose!r}, task {call.task!r}"
            return Outcome(error="refused", detail=f"{detail}, attempt {call.attempt}")
        await anyio.sleep(line.delay_ms / 1000)
        return line.outcome()

    return answer


def build(name: str, settings: ExecutorSettings) -> ScriptedExecutor:
    """Return the executor of a ``scripted`` section.

    Raises:
        ConfigRefused: no script, or one that cannot be read or is not a script.
    """
    if settings.script is None:
        raise ConfigRefused(f"executor {name!r} of type 'scripted' has no script; name a JSON file")
    try:
        data = Path(settings.script).expanduser().read_bytes()
    except OSError as fault:
        reason = (fault.strerror or "unreadable").lower()
        raise ConfigRefused(f"the script of executor {name!r} cannot be read: {reason}") from None
    try:
        answer = read_script(data)
    except ConfigRefused as fault:
        raise ConfigRefused(f"executor {name!r}: {fault}") from None
    return ScriptedExecutor(
        answer, model=settings.model, egress=settings.egress or "none", source=Path(settings.script).name
    )
