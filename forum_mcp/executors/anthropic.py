"""The Messages API as an executor: Anthropic's own, or any server that speaks it.

``url`` is the API's base, with or without ``/v1`` (see ``chat.py``); without one it is Anthropic's. The key is a
reference, by default ``env:ANTHROPIC_API_KEY`` where the server is Anthropic's.
"""

import os
from collections.abc import Mapping
from typing import Final

from forum_mcp.configs.secrets import resolve_secret
from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.executors.messages import MessagesWire
from forum_mcp.executors.server import CutReplies, ModelServer

__all__ = ["API_URL", "AnthropicExecutor", "build"]

API_URL: Final = "https://api.anthropic.com/v1"
_API_KEY: Final = "env:ANTHROPIC_API_KEY"


class AnthropicExecutor:
    """One model of one server. The connection is made by the first call."""

    type = "anthropic"

    def __init__(
        self,
        url: str = API_URL,
        *,
        model: str,
        api_key: str | None = None,
        egress: Egress | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        stream: bool = True,
        cut_replies: CutReplies = "fail",
    ) -> None:
        self.model = model
        self._wire = MessagesWire(model, max_tokens, temperature, stream)
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
            "stream": wire.stream,
            "cut_replies": self._cut_replies,
        }

    async def perform(self, call: Call) -> Outcome:
        """Send one request and judge the answer."""
        return await self._server.perform(call)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._server.aclose()


def build(name: str, settings: ExecutorSettings) -> AnthropicExecutor:
    """Return the executor of an ``anthropic`` section.

    Raises:
        ConfigRefused: an unusable url, or an api_key that leads to no key.
    """
    assert settings.model is not None
    what = f"api_key of executor {name!r}"
    key = settings.api_key or (_API_KEY if settings.url is None else None)
    try:
        return AnthropicExecutor(
            settings.url or API_URL,
            model=settings.model,
            api_key=None if key is None else resolve_secret(key, environ=os.environ, what=what),
            egress=settings.egress,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            stream=settings.stream,
            cut_replies=settings.cut_replies or "fail",
        )
    except ConfigRefused as fault:
        raise ConfigRefused(f"executor {name!r}: {fault}") from None
