"""The Messages API as an executor: Anthropic's own, or any server that speaks it.

``url`` is the API's base, with or without ``/v1`` (see ``chat.py``); without one it is Anthropic's. The key is a
reference, by default ``env:ANTHROPIC_API_KEY`` where the server is Anthropic's.
"""

from typing import Final

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors.base import Egress
from forum_mcp.executors.messages import MessagesWire
from forum_mcp.executors.server import CutReplies, ModelServer, server_of

__all__ = ["API_URL", "AnthropicExecutor", "build"]

API_URL: Final = "https://api.anthropic.com/v1"
_API_KEY: Final = "env:ANTHROPIC_API_KEY"


class AnthropicExecutor(ModelServer):
    """One model of one server."""

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
        wire = MessagesWire(model, max_tokens, temperature, stream)
        super().__init__(url, wire, model=model, api_key=api_key, egress=egress, cut_replies=cut_replies)


def build(name: str, settings: ExecutorSettings) -> AnthropicExecutor:
    """Return the executor of an ``anthropic`` section.

    Raises:
        ConfigRefused: an unusable url, or an api_key that leads to no key.
    """
    key = _API_KEY if settings.url is None else None
    return server_of(name, settings, AnthropicExecutor, settings.url or API_URL, key)
