"""What a line of stdin, or the body of a POST, is: a message for the session, an error to answer at once, or nothing.

The SDK drops what it cannot parse, which leaves a client waiting for ever. Here every line that is not a message gets
one JSON-RPC error (JSON-RPC 2.0, section 5.1), with the id of the request where it can be read. Responses are never
answered, so that two peers cannot answer each other for ever.
"""

import json
from collections.abc import Iterator
from typing import Final, cast

from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

__all__ = ["BUSY", "LINE_MAX", "busy", "invalid", "oversized", "read_line"]

BUSY: Final = -32000
"""Code of a request that was not taken in: of the range that is the server's own."""

LINE_MAX: Final = 16 * 1024 * 1024
"""Most bytes of one message."""

_DIGITS_MAX: Final = 300
"""Longest integer that is read as one; the longest that a float can hold, and far from quadratic conversions."""

_ID_MAX: Final = 2**63

_DEPTH_MAX: Final = 200
"""Deepest nesting of a message; the parsers behind us recurse."""


class _Unfit:
    """Stands for a number that is not JSON or too long to read."""


def oversized() -> SessionMessage:
    """Return the answer to a line longer than ``LINE_MAX``."""
    return _error(INVALID_REQUEST, f"the message is longer than {LINE_MAX} bytes; send less", None)


def invalid(why: str, message: SessionMessage | None) -> SessionMessage:
    """Return the answer to a request that may not be made."""
    request = None if message is None else message.message
    return _error(INVALID_REQUEST, why, request.id if isinstance(request, JSONRPCRequest) else None)


def busy(message: SessionMessage) -> SessionMessage | None:
    """Return the answer to a request that cannot be taken in; a notification gets none."""
    if not isinstance(message.message, JSONRPCRequest):
        return None
    return _error(BUSY, "too many requests wait for an answer; wait for some and send it again", message.message.id)


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
        return None, _error(PARSE_ERROR, f"the message is not JSON: {exc}; send one JSON object", None)
    if not isinstance(message, dict):
        what = "a batch" if isinstance(message, list) else "not an object"
        return None, _error(INVALID_REQUEST, f"the message is {what}; send one JSON-RPC object", None)
    fields = cast("dict[str, object]", message)
    # Walking a large message costs more than parsing it, so it is walked only when its bytes give a reason.
    if b"\\u" in line:
        unfit += _surrogates(fields)
    if line.count(b"{") + line.count(b"[") > _DEPTH_MAX:
        unfit += _depths(fields)
    return _read_object(fields, unfit)


def _read_object(message: dict[str, object], unfit: list[str]) -> tuple[SessionMessage | None, SessionMessage | None]:
    request_id = message.get("id")
    readable = _is_id(request_id)
    answer_to = cast("int | str", request_id) if readable else None
    if "method" not in message and ("result" in message or "error" in message):
        return _response(message), None
    if unfit:
        return None, _error(INVALID_REQUEST, f"the message holds {unfit[0]}", answer_to)
    if "id" in message and not readable:
        return None, _error(INVALID_REQUEST, "the id is neither a string nor an integer", None)
    fault = _fault(message)
    if fault is not None:
        return None, _error(INVALID_REQUEST, fault, answer_to)
    if "id" in message and (fault := _misshapen_call(message)) is not None:
        return None, _error(INVALID_PARAMS, fault, answer_to)
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


def _misshapen_call(message: dict[str, object]) -> str | None:
    """Return what is wrong with the shape of a tool call; the session would only say that something is."""
    params = message.get("params")
    if message["method"] != "tools/call" or not isinstance(params, dict):
        return None
    members = cast("dict[str, object]", params)
    if not isinstance(members.get("name"), str):
        return "params.name of a tools/call is not a string; send the name of a tool, see tools/list"
    match members.get("arguments"):
        case None | dict():
            return None
        case str():
            return "params.arguments of a tools/call is a string; send a JSON object, not its text"
        case _:
            return "params.arguments of a tools/call is not an object; send one, {} for none"


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return _is_unicode(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _ID_MAX


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _surrogates(message: object) -> list[str]:
    found = any(isinstance(item, str) and not _is_unicode(item) for item, _ in _walk(message))
    return ["a lone surrogate, which is not text"] if found else []


def _depths(message: object) -> list[str]:
    found = any(depth > _DEPTH_MAX for _, depth in _walk(message))
    return [f"more than {_DEPTH_MAX} levels of nesting"] if found else []


def _walk(value: object) -> Iterator[tuple[object, int]]:
    """Yield each value and member name with its depth, without recursion."""
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        yield item, depth
        if isinstance(item, dict):
            members = cast("dict[str, object]", item)
            waiting.extend((part, depth + 1) for pair in members.items() for part in pair)
        elif isinstance(item, list):
            waiting.extend((part, depth + 1) for part in cast("list[object]", item))


def _error(code: int, message: str, request_id: int | str | None) -> SessionMessage:
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message)))
