"""The model of a connected MCP client as an executor, reached by MCP sampling (``sampling/createMessage``).

The client is found by ``sampler.py``; here a call becomes a question, and an answer, in plain JSON, an outcome. What a
client says of its model is recorded and believed no further. Its egress is ``internet`` unless the operator knows
better: where a client's model runs is not ours to know.
"""

from collections.abc import Mapping
from typing import Final, cast

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.executors.reading import as_name, as_object, error_text
from forum_mcp.executors.sampler import Question, Sampler
from forum_mcp.rules.failures import ErrorClass

__all__ = ["REPLY_MAX", "REPLY_TOKENS", "SamplingExecutor", "build", "read_failure", "read_message"]

REPLY_TOKENS: Final = 8_192
"""Most tokens of a reply where the settings say nothing; the protocol wants a number."""

REPLY_MAX: Final = 8_388_608
"""Most bytes of a reply that are kept."""

_CLASSES: Final[Mapping[int, ErrorClass]] = {
    -1: "refused",
    -32601: "sampling-missing",
    -32602: "bad-request",
    -32000: "connection-lost",
    -32001: "timeout",
}
"""By the code of the client's error: the person does not let its model be asked; no such method; the arguments; the
last two are the SDK's own. Any other is ``server-error``."""


class SamplingExecutor:
    """Asks the model of whichever client waits for the run."""

    type = "sampling"

    def __init__(
        self,
        sampler: Sampler,
        *,
        model: str | None = None,
        egress: Egress = "internet",
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> None:
        self.model = model
        self.egress: Egress = egress
        self._sampler = sampler
        self._max_tokens = max_tokens or REPLY_TOKENS
        self._temperature = temperature

    def identity(self) -> Mapping[str, object]:
        """Return the model wished for and the parameters; the temperature as text: the record holds no floats."""
        return {
            "type": self.type,
            "model": self.model,
            "max_tokens": self._max_tokens,
            "temperature": None if self._temperature is None else repr(self._temperature),
        }

    async def perform(self, call: Call) -> Outcome:
        """Have the question asked once. The schema of a reply is in the prompt: sampling has no member for it."""
        question = Question(
            key=f"sampling-{call.seq}",
            run=call.run,
            system=call.system.decode(),
            prompt=call.prompt.decode(),
            max_tokens=call.max_tokens or self._max_tokens,
            temperature=self._temperature,
            model=self.model,
        )
        return await self._sampler.ask(question, call.timeout_ms / 1000)

    async def aclose(self) -> None:
        """Do nothing: the connection is the client's."""


def build(name: str, settings: ExecutorSettings, sampler: Sampler | None = None) -> SamplingExecutor:
    """Return the executor of a ``sampling`` section; without a forum's ``sampler`` nobody can be asked."""
    return SamplingExecutor(
        sampler or Sampler(),
        model=settings.model,
        egress=settings.egress or "internet",
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
    )


def read_message(message: object) -> Outcome:
    """Return the outcome of a ``CreateMessageResult`` in plain JSON; only text counts as a reply."""
    fields = as_object(message)
    content = fields.get("content")
    parts = cast("list[object]", content) if isinstance(content, list) else [content]
    texts = [as_object(part).get("text") for part in parts if as_object(part).get("type") == "text"]
    reply = "".join(text for text in texts if isinstance(text, str)).encode("utf-8", "replace")
    stop = as_name(fields.get("stopReason"))
    error: ErrorClass | None = None
    detail: str | None = None
    if len(texts) < len(parts):
        error, detail = "bad-response", "the client's model answered with something else than text"
    elif len(reply) > REPLY_MAX:
        error, detail = "output-limit", f"the reply is larger than {REPLY_MAX} bytes"
        reply = reply[:REPLY_MAX].decode("utf-8", "ignore").encode()
    elif stop == "maxTokens":
        error, detail = "length", "the reply was cut at the token limit"
    return Outcome(
        error=error,
        detail=detail,
        reply=reply,
        finish_reason=stop,
        served_model=as_name(fields.get("model")),
        truncated=error in ("length", "output-limit"),
    )


def read_failure(code: int, message: str) -> Outcome:
    """Return the outcome of a question that the client answered with a JSON-RPC error."""
    said = error_text({"message": message}) or "nothing more"
    return Outcome(error=_CLASSES.get(code, "server-error"), detail=f"the client answered error {code}: {said}")
