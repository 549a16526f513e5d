"""What a line of stdin is: a message for the session, an error to answer at once, or nothing.

The SDK drops what it cannot parse, which leaves a client waiting for ever. Here every line that is not a message gets
one JSON-RPC error (JSON-RPC 2.0, section 5.1), with the id of the request where it can be read. Responses are never
answered, so that two peers cannot answer each other for ever.
"""

import json
from typing import Final, cast

from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, jsonrpc_message_adapter
from pydantic import ValidationError

__all__ = ["LINE_MAX", "oversized", "read_line"]

LINE_MAX: Final = 16 * 1024 * 1024
"""Most bytes of one message."""

_DIGITS_MAX: Final = 300
"""Longest integer that is read as one; the longest that a float can hold, and far from quadratic conversions."""

_ID_MAX: Final = 2**63


class _Unfit:
    """Stands for a number that is not JSON or too long to read."""


def oversized() -> SessionMessage:
    """Return the answer to a line longer than ``LINE_MAX``."""
    return _error(INVALID_REQUEST, f"the message is longer than {LINE_MAX} bytes; send less", None)


def read_line(line: bytes) -> tuple[SessionMessage | None, SessionMessage | None]:
    """Return (message for the session, answer to the peer); at most one of them is not None."""
    line = line.removeprefix(b"\xef\xbb\xbf").strip()
    if not line:
        return None, None
    unfit: list[str] = []

    def integer(text: str) -> int | _Unfit:
        if len(text) <= _DIGITS_MAX:
            return int(text)
        unfit.append(f"an integer of {len(text)} digits")
        return _Unfit()

    def constant(text: str) -> _Unfit:
        unfit.append(f"{text}, which is not JSON")
        return _Unfit()

    try:
        message: object = json.loads(line.decode(), parse_int=integer, parse_constant=constant)
    except UnicodeDecodeError as exc:
        return None, _error(PARSE_ERROR, f"the message is not UTF-8 at byte {exc.start}", None)
    except RecursionError:
        return None, _error(INVALID_REQUEST, "the message is nested too deeply", None)
    except ValueError as exc:
        return None, _error(PARSE_ERROR, f"the message is not JSON: {exc}; send one JSON object per line", None)
    if not isinstance(message, dict):
        what = "a batch" if isinstance(message, list) else "not an object"
        return None, _error(INVALID_REQUEST, f"the message is {what}; send one JSON-RPC object per line", None)
    return _read_object(cast("dict[str, object]", message), unfit)


def _read_object(message: dict[str, object], unfit: list[str]) -> tuple[SessionMessage | None, SessionMessage | None]:
    request_id = message.get("id")
    readable = _is_id(request_id)
    answer_to = cast("int | str", request_id) if readable else None
    if "method" not in message and ("result" in message or "error" in message):
        return _response(message), None
    if unfit:
        return None, _error(PARSE_ERROR, f"the message holds {unfit[0]}", answer_to)
    if not _is_unicode(message):
        return None, _error(INVALID_REQUEST, "the message holds a lone surrogate, which is not text", answer_to)
    if "id" in message and not readable:
        return None, _error(INVALID_REQUEST, "the id is neither a string nor an integer", None)
    fault = _fault(message)
    if fault is not None:
        return None, _error(INVALID_REQUEST, fault, answer_to)
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_python(message, by_name=False)), None
    except (ValidationError, RecursionError):
        return None, _error(INVALID_REQUEST, "the message is not a JSON-RPC request or notification", answer_to)


def _response(message: dict[str, object]) -> SessionMessage | None:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_python(message, by_name=False))
    except (ValidationError, RecursionError):
        return None


def _fault(message: dict[str, object]) -> str | None:
    if message.get("jsonrpc") != "2.0":
        return 'the member jsonrpc is not "2.0"'
    if not isinstance(message.get("method"), str):
        return "the member method is missing or not a string"
    if not isinstance(message.get("params", {}), dict | None):
        return "the member params is not an object"
    return None


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return _is_unicode(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _ID_MAX


def _is_unicode(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    except RecursionError:
        return True
    return True


def _error(code: int, message: str, request_id: int | str | None) -> SessionMessage:
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message)))
