"""The chat-completions wire format, without a connection: request bytes out, reply bytes judged.

Follows the OpenAI ``POST /chat/completions`` contract as its compatible servers speak it. Only what an
outcome needs is read; members that are absent or of another type are ignored when the reply can do without
them (``usage``, ``model``, ``finish_reason``) and are a ``bad-response`` when it cannot.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast

import msgspec

from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.reading import DETAIL_MAX, as_count, as_name, as_object, error_text
from forum_mcp.rules.failures import ErrorClass

__all__ = ["RETRY_AFTER_MAX_MS", "read_error", "read_reply", "request_body", "retry_after_ms"]

RETRY_AFTER_MAX_MS: Final = 86_400_000


def request_body(
    call: Call, *, model: str, max_tokens: int | None, temperature: float | None, seed: int | None
) -> bytes:
    """Return the JSON bytes of the request.

    Raises:
        ValueError: a text of the call is not UTF-8, or its schema is not JSON.
    """
    messages = [{"role": "user", "content": call.prompt.decode()}]
    if call.system:
        messages.insert(0, {"role": "system", "content": call.system.decode()})
    body: dict[str, object] = {"model": model, "messages": messages, "stream": False}
    optional = {"max_tokens": call.max_tokens or max_tokens, "temperature": temperature, "seed": seed}
    body |= {member: value for member, value in optional.items() if value is not None}
    if call.schema is not None:
        # No "strict": servers that know it then refuse schemas with optional members; those that do not, constrain.
        schema: object = json.loads(call.schema)
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    return json.dumps(body, ensure_ascii=False).encode()


def read_reply(data: bytes, *, sent_model: str) -> Outcome:
    """Return the outcome of the body of a successful response."""
    try:
        decoded: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        what = "HTML" if data[:512].lstrip()[:1] == b"<" else "not JSON" if data.strip() else "empty"
        return Outcome(error="bad-response", sent_model=sent_model, detail=f"the response body is {what}")
    body = as_object(decoded)
    choices = body.get("choices")
    choice = as_object(cast("list[object]", choices)[0]) if isinstance(choices, list) and choices else None
    message = None if choice is None else choice.get("message")
    if choice is None or not isinstance(message, dict):
        reason = error_text(body) or "the response has no choices with a message"
        return Outcome(error="bad-response", sent_model=sent_model, detail=reason)
    usage = as_object(body.get("usage"))
    error, detail, reply = _content(as_object(cast("object", message)))
    finish_reason = as_name(choice.get("finish_reason"))
    if error == "empty-reply" and finish_reason == "content_filter":
        error, detail = "refused", "the provider's content filter withheld the reply"
    return Outcome(
        error=error,
        reply=reply,
        detail=detail,
        finish_reason=finish_reason,
        sent_model=sent_model,
        served_model=as_name(body.get("model")),
        tokens_in=as_count(usage.get("prompt_tokens")),
        tokens_out=as_count(usage.get("completion_tokens")),
    )


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
