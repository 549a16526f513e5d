"""The resources that clients see: one file per family, registered here and nowhere else.

Resources are views of the record for people and for clients that attach them; each has a tool that tells the same.
"""

from typing import Final

from forum_mcp.resources import advice, ledger, roster, runs, status
from forum_mcp.resources.base import JSON, Family, Listed

__all__ = ["FAMILIES", "FIXED", "find"]

FAMILIES: Final[tuple[Family, ...]] = (
    *status.FAMILIES,
    *roster.FAMILIES,
    *advice.FAMILIES,
    *runs.FAMILIES,
    *ledger.FAMILIES,
)

FIXED: Final = tuple(
    Listed(uri=f.uri, name=f.name, title=f.title, media_type=f.media_type or JSON, description=f.description)
    for f in FAMILIES
    if f.variable is None
)
"""The resources that every forum has."""


def find(uri: str) -> tuple[Family, str] | None:
    """Return the family a URI belongs to and its variable part, or None."""
    for family in FAMILIES:
        variable = family.match(uri)
        if variable is not None:
            return family, variable
    return None
