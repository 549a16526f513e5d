"""The Messages wire format of Anthropic, without a connection: request bytes out, reply bytes judged.

Follows ``POST /v1/messages``, version 2023-06-01, in one piece or as events. llama.cpp's server, Ollama and LM Studio
speak it too. A schema is not passed on: the roles that want one say so in the prompt.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, cast

from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.reading import as_count, as_name, as_object, error_text
from forum_mcp.executors.wire import decoded_object
from forum_mcp.rules.failures import ErrorClass

__all__ = ["MAX_TOKENS_DEFAULT", "MessagesReading", "MessagesWire"]

MAX_TOKENS_DEFAULT: Final = 8_192
"""Most tokens of a reply when nobody says: the API wants a number."""
_VERSION: Final = "2023-06-01"
_CUT: Final = frozenset({"max_tokens", "model_context_window_exceeded"})
_CLASSES: Final[Mapping[str, ErrorClass]] = {
    "rate_limit_error": "rate-limit",
    "authentication_error": "auth",
    "permission_error": "auth",
    "billing_error": "auth",
    "invalid_request_error": "bad-request",
    "not_found_error": "bad-request",
    "request_too_large": "bad-request",
    "timeout_error": "timeout",
}


@dataclass(frozen=True, slots=True)
class MessagesWire:
    """The dialect of one model: its parameters, and whether the reply is asked for as events."""

    model: str
    max_tokens: int | None = None
    temperature: float | None = None
    stream: bool = True

    endpoint: ClassVar[str] = "/messages"

    def parameters(self) -> Mapping[str, object]:
        """Return what shapes a reply, as the record tells it."""
        return {
            "max_tokens": self.max_tokens,
            "temperature": None if self.temperature is None else repr(self.temperature),
            "stream": self.stream,
        }

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        """Return the API's version, and the header that holds the key, if there is one."""
        return {"anthropic-version": _VERSION} | ({"x-api-key": api_key} if api_key else {})

    def body(self, call: Call) -> bytes:
        """Return the JSON bytes of the request.

        Raises:
            ValueError: a text of the call is not UTF-8.
        """
        body: dict[str, object] = {
            "model": self.model,
            "max_tokens": call.max_tokens or self.max_tokens or MAX_TOKENS_DEFAULT,
            "messages": [{"role": "user", "content": call.prompt.decode()}],
            "stream": self.stream,
        }
        if call.system:
            body["system"] = call.system.decode()
        if self.temperature is not None:
            body["temperature"] = self.temperature
        return json.dumps(body, ensure_ascii=False).encode()

    def read(self, data: bytes) -> Outcome:
        """Return the outcome of the body of a successful response."""
        body = decoded_object(data)
        if isinstance(body, str):
            return Outcome(error="bad-response", sent_model=self.model, detail=f"the response body is {body}")
        content = body.get("content")
        if body.get("type") != "message" or not isinstance(content, list):
            reason = error_text(body) or "the response is not a message with content"
            return Outcome(error="bad-response", sent_model=self.model, detail=reason)
        blocks = [as_object(block) for block in cast("list[object]", content)]
        texts = [block.get("text") for block in blocks if block.get("type") == "text"]
        said = _with_usage(Outcome(sent_model=self.model), body)
        text = "".join(text for text in texts if isinstance(text, str))
        return _finished(said, text, as_name(body.get("stop_reason")))

    def reading(self) -> "MessagesReading":
        """Return what reads an answer in events."""
        return MessagesReading(self.model)


class MessagesReading:
    """A reply as events from ``message_start`` to ``message_stop``."""

    def __init__(self, model: str) -> None:
        self._said = Outcome(sent_model=model)
        self._texts: list[str] = []
        self._stop_reason: str | None = None
        self._failure: Outcome | None = None
        self._unread = False
        self.ended = False

    def take(self, event: str, data: str) -> None:
        """Take in one event; its name stands in its data as well."""
        del event
        said = decoded_object(data.encode())
        if isinstance(said, str):
            self._unread = True
            return
        match said.get("type"):
            case "message_start":
                self._said = _with_usage(self._said, as_object(said.get("message")))
            case "content_block_delta":
                if isinstance(text := as_object(said.get("delta")).get("text"), str):
                    self._texts.append(text)
            case "message_delta":
                self._stop_reason = as_name(as_object(said.get("delta")).get("stop_reason")) or self._stop_reason
                self._said = _with_usage(self._said, said)
            case "message_stop":
                self.ended = True
            case "error":
                kind = as_name(as_object(said.get("error")).get("type")) or ""
                detail = error_text(said) or "the server reports an error"
                self._failure = Outcome(error=_CLASSES.get(kind, "server-error"), detail=detail)
                self.ended = True
            case _:
                pass

    def outcome(self) -> Outcome:
        """Return what the events so far make."""
        said = _finished(self._said, "".join(self._texts), self._stop_reason)
        if self._failure is not None:
            return replace(said, error=self._failure.error, detail=self._failure.detail)
        if self._stop_reason is None and not self.ended:
            lost: ErrorClass = "bad-response" if self._unread else "connection-lost"
            return replace(said, error=lost, detail="the stream ended before the reply did")
        return said


def _with_usage(said: Outcome, body: Mapping[str, object]) -> Outcome:
    """Return the outcome with the model and the usage this body tells; what it does not tell stays.

    Tokens read from a cache or written to it are tokens of the prompt as well.
    """
    usage = as_object(body.get("usage"))
    parts = [as_count(usage.get(name)) for name in ("cache_creation_input_tokens", "cache_read_input_tokens")]
    tokens_in, tokens_out = as_count(usage.get("input_tokens")), as_count(usage.get("output_tokens"))
    return replace(
        said,
        served_model=as_name(body.get("model")) or said.served_model,
        tokens_in=said.tokens_in if tokens_in is None else tokens_in + sum(part or 0 for part in parts),
        tokens_out=said.tokens_out if tokens_out is None else tokens_out,
    )


def _finished(said: Outcome, text: str, stop_reason: str | None) -> Outcome:
    """Return the outcome of a reply that came to its end, for the reason the server names."""
    said = replace(
        said, reply=text.encode("utf-8", "replace") or None, finish_reason=stop_reason, truncated=stop_reason in _CUT
    )
    if stop_reason == "refusal":
        return replace(said, error="refused", detail="the model declined the request")
    return said if text.strip() else replace(said, error="empty-reply", detail="the message has no text")
