"""What a family of resources is: URIs of one shape, how they are listed and how one is read.

Every resource has a tool that tells the same (most clients show resources to people only). A URI is matched whole and
its variable parts are checked before anything is read: a URI that cannot name anything is simply not found.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum

__all__ = ["ALWAYS_S", "JSON", "RUN_ID", "SEQ", "Content", "Family", "Listed", "Reader"]

JSON: Final = "application/json"

SEQ: Final = "0|[1-9][0-9]{0,14}"
"""What a seq looks like in a URI: one spelling each."""

RUN_ID: Final = "[0-9a-f]{32}"

ALWAYS_S: Final = 86_400
"""How long a client may keep what never changes, seconds: a day."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a resource holds: text, or bytes that are not text, and its media type."""

    body: str | bytes
    media_type: str


Reader = Callable[["Forum", str], Awaitable[Content]]
"""(orchestrator, the URI's variable part or "") -> content; raises NotFound when there is no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Resources of one shape.

    Attributes:
        uri: a URI, or a template with one variable in braces.
        name: short and unique.
        title: for people.
        description: for whoever chooses a resource.
        media_type: of every member, or None when they differ.
        variable: regular expression that the variable part matches, or None for a single resource.
        read: reads one.
        fresh_s: how long a client may keep what it read, seconds; 0 is not at all.
    """

    uri: str
    name: str
    title: str
    description: str
    media_type: str | None
    read: Reader
    variable: str | None = None
    fresh_s: int = 0

    @property
    def variable_name(self) -> str | None:
        """The name in the braces, or None for a single resource."""
        return None if self.variable is None else self.uri[self.uri.index("{") + 1 : self.uri.index("}")]

    def match(self, uri: str) -> str | None:
        """Return the variable part of ``uri`` ("" for a single resource), or None when it is not of this family."""
        if self.variable is None:
            return "" if uri == self.uri else None
        stem, _, tail = self.uri.replace("}", "{").split("{")
        rest = uri[len(stem) : len(uri) - len(tail)]
        whole = uri == f"{stem}{rest}{tail}"
        return rest if whole and re.fullmatch(self.variable, rest) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One concrete resource of a listing; ``size`` in bytes where it never changes, ``modified_us`` wall clock."""

    uri: str
    name: str
    title: str
    media_type: str
    description: str | None = None
    size: int | None = None
    modified_us: int | None = None
