"""Any OpenAI-compatible chat server as an executor.

``url`` is the API's base, with or without ``/v1``: a URL without a path gets ``/v1``, any other path is taken as it
stands, so ``http://127.0.0.1:8080``, ``https://api.example/openai/v1`` and ``.../v1/chat/completions`` all work.
``unix:/path/to.sock`` reaches a server on a unix socket.
"""

import os
from collections.abc import Mapping

from forum_mcp.configs.secrets import resolve_secret
from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.executors.server import CutReplies, ModelServer
from forum_mcp.executors.wire import ChatWire

__all__ = ["ChatExecutor", "build"]


class ChatExecutor:
    """One model of one server. The connection is made by the first call."""

    type = "chat"

    def __init__(
        self,
        url: str,
        *,
        model: str,
        api_key: str | None = None,
        egress: Egress | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stream: bool = True,
        cut_replies: CutReplies = "fail",
    ) -> None:
        self.model = model
        self._wire = ChatWire(model, max_tokens, temperature, seed, stream)
        self._cut_replies: CutReplies = cut_replies
        self._server = ModelServer(
            url, self._wire, model=model, api_key=api_key, egress=egress, cut_replies=cut_replies
        )
        self.egress: Egress = self._server.egress

    def identity(self) -> Mapping[str, object]:
        """Return URL, model and parameters; the temperature as text, because the record holds no floats."""
        wire = self._wire
        return {
            "type": self.type,
            "url": self._server.address,
            "model": self.model,
            "max_tokens": wire.max_tokens,
            "temperature": None if wire.temperature is None else repr(wire.temperature),
            "seed": wire.seed,
            "stream": wire.stream,
            "cut_replies": self._cut_replies,
        }

    async def perform(self, call: Call) -> Outcome:
        """Send one request and judge the answer."""
        return await self._server.perform(call)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._server.aclose()


def build(name: str, settings: ExecutorSettings) -> ChatExecutor:
    """Return the executor of a ``chat`` section.

    Raises:
        ConfigRefused: an unusable url, or an api_key that leads to no key.
    """
    assert settings.url is not None
    assert settings.model is not None
    what = f"api_key of executor {name!r}"
    key = settings.api_key
    try:
        return ChatExecutor(
            settings.url,
            model=settings.model,
            api_key=None if key is None else resolve_secret(key, environ=os.environ, what=what),
            egress=settings.egress,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            seed=settings.seed,
            stream=settings.stream,
            cut_replies=settings.cut_replies or "fail",
        )
    except ConfigRefused as fault:
        raise ConfigRefused(f"executor {name!r}: {fault}") from None
