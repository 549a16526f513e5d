"""A body as a caller may give it, made what a draft takes."""

from typing import Final

from forum_mcp.errors import EntryRefused
from forum_mcp.ledger.entry import BodyRef, NewBody

__all__ = ["TEXT", "BodyGiven", "body_of"]

TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"

BodyGiven = NewBody | BodyRef | str | bytes
"""Text, bytes, bytes of another media type, or the reference of an earlier entry."""


def body_of(name: str, body: BodyGiven) -> NewBody | BodyRef:
    """Return the body ``name`` of a draft.

    Raises:
        EntryRefused: a text holds a lone surrogate.
    """
    if isinstance(body, bytes):
        return NewBody(_BYTES, body)
    if not isinstance(body, str):
        return body
    try:
        return NewBody(TEXT, body.encode())
    except UnicodeEncodeError as error:
        raise EntryRefused(
            f"body {name[:80]!a} holds a lone surrogate at character {error.start}, which UTF-8 has not; give bytes"
        ) from error
