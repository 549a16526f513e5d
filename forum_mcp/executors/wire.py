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
from forum_mcp.rules.failures import ErrorClass

__all__ = ["RETRY_AFTER_MAX_MS", "class_of_status", "read_error", "read_reply", "request_body", "retry_after_ms"]

RETRY_AFTER_MAX_MS: Final = 86_400_000
_NAME_MAX: Final = 200
_DETAIL_MAX: Final = 300
_INTEGER_MAX: Final = 2**53 - 1


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
    body = _object(decoded)
    choices = body.get("choices")
    choice = _object(cast("list[object]", choices)[0]) if isinstance(choices, list) and choices else None
    message = None if choice is None else choice.get("message")
    if choice is None or not isinstance(message, dict):
        reason = _error_text(body) or "the response has no choices with a message"
        return Outcome(error="bad-response", sent_model=sent_model, detail=reason)
    usage = _object(body.get("usage"))
    error, detail, reply = _content(_object(cast("object", message)))
    finish_reason = _name(choice.get("finish_reason"))
    if error == "empty-reply" and finish_reason == "content_filter":
        error, detail = "refused", "the provider's content filter withheld the reply"
    return Outcome(
        error=error,
        reply=reply,
        detail=detail,
        finish_reason=finish_reason,
        sent_model=sent_model,
        served_model=_name(body.get("model")),
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
    )


def _content(message: Mapping[str, object]) -> tuple[ErrorClass | None, str | None, bytes | None]:
    """Return class, detail and reply of an assistant message."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [_object(part) for part in cast("list[object]", content)]
        texts = [part.get("text") for part in parts if part.get("type") == "text"]
        content = "".join(text for text in texts if isinstance(text, str))
    if content is not None and not isinstance(content, str):
        return "bad-response", "the message's content is not a text", None
    reply = None if not content else content.encode()
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return "refused", refusal[:_DETAIL_MAX], reply
    if reply is None or not reply.strip():
        return "empty-reply", "the message has no text", reply
    return None, None, reply


def class_of_status(status: int) -> ErrorClass | None:
    """Return the error class of an HTTP status, None for success."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return "redirect"
    if status in (401, 403):
        return "auth"
    if status == 429:
        return "rate-limit"
    if status == 408:
        return "timeout"
    if 400 <= status < 500:
        return "bad-request"
    return "server-error" if 500 <= status < 600 else "bad-response"


def read_error(data: bytes) -> str | None:
    """Return what the body of a failed response says, at most 300 characters, or None."""
    try:
        decoded: object = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return _error_text(_object(decoded))


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


def _object(value: object) -> Mapping[str, object]:
    """Return a JSON object as a mapping; anything else as an empty one."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _error_text(body: Mapping[str, object]) -> str | None:
    """Return the message of an error body, in whichever of the usual places it stands."""
    error = body.get("error")
    for candidate in (_object(error).get("message"), error, body.get("message"), body.get("detail")):
        if isinstance(candidate, str) and candidate.strip():
            return "".join(c if c.isprintable() else " " for c in candidate.strip()[:_DETAIL_MAX])
    return None


def _name(value: object) -> str | None:
    """Return a short printable name; what is none of that is not recorded as one."""
    return value if isinstance(value, str) and 0 < len(value) <= _NAME_MAX and value.isprintable() else None


def _count(value: object) -> int | None:
    """Return a token count inside the ledger's integers."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _INTEGER_MAX:
        return value
    return None
