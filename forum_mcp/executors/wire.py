"""The chat-completions wire format, without a connection: request bytes out, reply bytes judged.

Follows the OpenAI ``POST /chat/completions`` contract as its compatible servers speak it, in one piece or as events.
Only what an outcome needs is read; members that are absent or of another type are ignored when the reply can do without
them (``usage``, ``model``, ``finish_reason``) and are a ``bad-response`` when it cannot.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar, Final, cast

import msgspec

from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.reading import DETAIL_MAX, as_count, as_name, as_object, error_text
from forum_mcp.rules.failures import ErrorClass

__all__ = ["RETRY_AFTER_MAX_MS", "ChatReading", "ChatWire", "decoded_object", "read_error", "retry_after_ms"]

RETRY_AFTER_MAX_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class ChatWire:
    """The dialect of one model: its parameters, and whether the reply is asked for as events."""

    model: str
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stream: bool = True

    endpoint: ClassVar[str] = "/chat/completions"

    def parameters(self) -> Mapping[str, object]:
        """Return what shapes a reply, as the record tells it."""
        return {
            "max_tokens": self.max_tokens,
            "temperature": None if self.temperature is None else repr(self.temperature),
            "seed": self.seed,
            "stream": self.stream,
        }

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        """Return the header that holds the key, if there is one."""
        return {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def body(self, call: Call) -> bytes:
        """Return the JSON bytes of the request.

        Raises:
            ValueError: a text of the call is not UTF-8, or its schema is not JSON.
        """
        messages = [{"role": "user", "content": call.prompt.decode()}]
        if call.system:
            messages.insert(0, {"role": "system", "content": call.system.decode()})
        body: dict[str, object] = {"model": self.model, "messages": messages, "stream": self.stream}
        if self.stream:
            # Without it most servers leave the usage out of a stream.
            body["stream_options"] = {"include_usage": True}
        max_tokens = call.max_tokens or self.max_tokens
        optional = {"max_tokens": max_tokens, "temperature": self.temperature, "seed": self.seed}
        body |= {member: value for member, value in optional.items() if value is not None}
        if call.schema is not None:
            # No "strict": servers that know it then refuse schemas with optional members; others constrain anyway.
            schema: object = json.loads(call.schema)
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
        return json.dumps(body, ensure_ascii=False).encode()

    def read(self, data: bytes) -> Outcome:
        """Return the outcome of the body of a successful response."""
        body = decoded_object(data)
        if isinstance(body, str):
            return Outcome(error="bad-response", sent_model=self.model, detail=f"the response body is {body}")
        choices = body.get("choices")
        choice = as_object(cast("list[object]", choices)[0]) if isinstance(choices, list) and choices else None
        message = None if choice is None else choice.get("message")
        if choice is None or not isinstance(message, dict):
            reason = error_text(body) or "the response has no choices with a message"
            return Outcome(error="bad-response", sent_model=self.model, detail=reason)
        error, detail, reply = _content(as_object(cast("object", message)))
        said = Outcome(error=error, reply=reply, detail=detail, sent_model=self.model)
        return _finished(_with_usage(said, body), as_name(choice.get("finish_reason")))

    def reading(self) -> "ChatReading":
        """Return what reads an answer in events."""
        return ChatReading(self.model)


class ChatReading:
    """A reply as ``chat.completion.chunk`` events, up to ``[DONE]``."""

    def __init__(self, model: str) -> None:
        self._said = Outcome(sent_model=model)
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._finish_reason: str | None = None
        self._error: str | None = None
        self._unread = False
        self.ended = False

    def take(self, event: str, data: str) -> None:
        """Take in one event."""
        del event
        if data.strip() == "[DONE]":
            self.ended = True
            return
        chunk = decoded_object(data.encode())
        if isinstance(chunk, str):
            self._unread = True
            return
        if (error := error_text({"error": chunk.get("error")})) is not None:
            self._error, self.ended = error, True
        self._said = _with_usage(self._said, chunk)
        choices = chunk.get("choices")
        if isinstance(choices, list) and choices:
            choice = as_object(cast("list[object]", choices)[0])
            delta = as_object(choice.get("delta"))
            for name, into in (("content", self._texts), ("refusal", self._refusals)):
                if isinstance(text := delta.get(name), str):
                    into.append(text)
            self._finish_reason = as_name(choice.get("finish_reason")) or self._finish_reason

    def outcome(self) -> Outcome:
        """Return what the events so far make."""
        error, detail, reply = _content({"content": "".join(self._texts), "refusal": "".join(self._refusals)})
        said = replace(self._said, error=error, detail=detail, reply=reply)
        if self._error is not None:
            return replace(said, error="server-error", detail=self._error)
        if self._finish_reason is None and not self.ended:
            what = "which were not all JSON" if self._unread else "the reply has no end"
            lost: ErrorClass = "bad-response" if self._unread else "connection-lost"
            return replace(said, error=lost, detail=f"the stream ended among its events; {what}")
        if self._unread and reply is None:
            return replace(said, error="bad-response", detail="the events of the stream are not JSON")
        return _finished(said, self._finish_reason)


def decoded_object(data: bytes) -> Mapping[str, object] | str:
    """Return a JSON object (an empty one for any other value), or a word for what the bytes are instead."""
    try:
        decoded: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "HTML" if data[:512].lstrip()[:1] == b"<" else "not JSON" if data.strip() else "empty"
    return as_object(decoded)


def _with_usage(said: Outcome, body: Mapping[str, object]) -> Outcome:
    """Return the outcome with the model and the usage this body tells; what it does not tell stays."""
    usage = as_object(body.get("usage"))
    counts = as_count(usage.get("prompt_tokens")), as_count(usage.get("completion_tokens"))
    return replace(
        said,
        served_model=as_name(body.get("model")) or said.served_model,
        tokens_in=said.tokens_in if counts[0] is None else counts[0],
        tokens_out=said.tokens_out if counts[1] is None else counts[1],
    )


def _finished(said: Outcome, finish_reason: str | None) -> Outcome:
    """Return the outcome of a reply that came to its end, for the reason the server names."""
    said = replace(said, finish_reason=finish_reason, truncated=finish_reason == "length")
    if finish_reason == "content_filter" and said.error in (None, "empty-reply"):
        return replace(said, error="refused", detail="the provider's content filter withheld the reply or cut it")
    return said


def _content(message: Mapping[str, object]) -> tuple[ErrorClass | None, str | None, bytes | None]:
    """Return class, detail and reply of an assistant message."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [as_object(part) for part in cast("list[object]", content)]
        texts = [part.get("text") for part in parts if part.get("type") == "text"]
        content = "".join(text for text in texts if isinstance(text, str))
    if content is not None and not isinstance(content, str):
        return "bad-response", "the message's content is not a text", None
    reply = None if not content else content.encode()
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return "refused", refusal[:DETAIL_MAX], reply
    if reply is None or not reply.strip():
        return "empty-reply", "the message has no text", reply
    return None, None, reply


def read_error(data: bytes) -> str | None:
    """Return what the body of a failed response says, at most 300 characters, or None."""
    try:
        decoded: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return error_text(as_object(decoded))


def retry_after_ms(headers: Mapping[str, str], now: datetime) -> int | None:
    """Return how long the server asks to wait, milliseconds, at most a day; None when it does not say.

    ``Retry-After`` is seconds or an HTTP date (RFC 9110 10.2.3), the date being relative to the server's own ``Date``
    when it sent one; ``retry-after-ms``, which some providers send beside it, is finer and goes first.
    """
    fine = headers.get("retry-after-ms", "").strip()
    if re.fullmatch(r"[0-9]{1,12}", fine):
        return min(int(fine), RETRY_AFTER_MAX_MS)
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value):
        return min(round(float(value) * 1000), RETRY_AFTER_MAX_MS)
    until = _http_date(value)
    if until is None:
        return None
    wait = (until - (_http_date(headers.get("date", "")) or now)).total_seconds()
    return min(max(round(wait * 1000), 0), RETRY_AFTER_MAX_MS)


def _http_date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
