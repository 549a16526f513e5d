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
    from forum_mcp.engine.orchestrator import Orchestrator

__all__ = ["JSON", "Content", "Family", "Listed", "Reader"]

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Content:
    """What a resource holds: text, or bytes that are not text, and its media type."""

    body: str | bytes
    media_type: str


Reader = Callable[["Orchestrator", str], Awaitable[Content]]
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
    """

    uri: str
    name: str
    title: str
    description: str
    media_type: str | None
    read: Reader
    variable: str | None = None

    def match(self, uri: str) -> str | None:
        """Return the variable part of ``uri`` ("" for a single resource), or None when it is not of this family."""
        if self.variable is None:
            return "" if uri == self.uri else None
        stem = self.uri[: self.uri.index("{")]
        rest = uri[len(stem) :]
        return rest if uri.startswith(stem) and re.fullmatch(self.variable, rest) else None


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
