"""Any OpenAI-compatible chat server as an executor.

``url`` is the API's base, with or without ``/v1``: a URL without a path gets ``/v1``, any other path is taken as it
stands, so ``http://127.0.0.1:8080``, ``https://api.example/openai/v1`` and ``.../v1/chat/completions`` all work.
``unix:/path/to.sock`` reaches a server on a unix socket.
"""

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.executors.base import Egress
from forum_mcp.executors.server import CutReplies, ModelServer, server_of
from forum_mcp.executors.wire import ChatWire

__all__ = ["ChatExecutor", "build"]


class ChatExecutor(ModelServer):
    """One model of one server."""

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
        wire = ChatWire(model, max_tokens, temperature, seed, stream)
        super().__init__(url, wire, model=model, api_key=api_key, egress=egress, cut_replies=cut_replies)


def build(name: str, settings: ExecutorSettings) -> ChatExecutor:
    """Return the executor of a ``chat`` section.

    Raises:
        ConfigRefused: an unusable url, or an api_key that leads to no key.
    """
    assert settings.url is not None
    return server_of(name, settings, ChatExecutor, settings.url, None, seed=settings.seed)
