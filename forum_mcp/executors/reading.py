"""Reading what somebody else's program or server said: every member may be missing or of another type."""

from collections.abc import Mapping
from typing import Final, cast

from forum_mcp.rules.failures import ErrorClass

__all__ = ["DETAIL_MAX", "as_count", "as_name", "as_object", "class_of_status", "error_text"]

DETAIL_MAX: Final = 300
_NAME_MAX: Final = 200
_INTEGER_MAX: Final = 2**53 - 1


def as_object(value: object) -> Mapping[str, object]:
    """Return a JSON object as a mapping; anything else as an empty one."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def as_name(value: object) -> str | None:
    """Return a short printable name; what is none of that is not recorded as one."""
    return value if isinstance(value, str) and 0 < len(value) <= _NAME_MAX and value.isprintable() else None


def as_count(value: object) -> int | None:
    """Return a token count inside the ledger's integers."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _INTEGER_MAX:
        return value
    return None


def error_text(body: Mapping[str, object]) -> str | None:
    """Return the message of an error body, in whichever of the usual places it stands, at most ``DETAIL_MAX``."""
    error = body.get("error")
    for candidate in (as_object(error).get("message"), error, body.get("message"), body.get("detail")):
        if isinstance(candidate, str) and candidate.strip():
            return "".join(c if c.isprintable() else " " for c in candidate.strip()[:DETAIL_MAX])
    return None


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
