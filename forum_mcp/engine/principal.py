"""Who uses a shared server, and what it may do: principals and their scopes."""

from dataclasses import dataclass
from typing import Final

from forum_mcp.errors import AccessRefused

__all__ = ["ADMIN", "APPROVE", "READ", "SCOPES", "SUBMIT", "Principal"]

READ: Final = "forum:read"
SUBMIT: Final = "forum:submit"
APPROVE: Final = "forum:approve"
ADMIN: Final = "forum:admin"
SCOPES: Final = (READ, SUBMIT, APPROVE, ADMIN)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a token was given to.

    Attributes:
        name: unique among all principals of a server, fit for an entry's actor.
        scopes: what it may do, of ``SCOPES``; ``forum:admin`` may do and read everything.
    """

    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """The actor of the entries it causes."""
        return f"host:{self.name}"

    def may(self, scope: str) -> bool:
        """Tell whether it has a scope."""
        return scope in self.scopes or ADMIN in self.scopes

    def need(self, scope: str) -> None:
        """Refuse what it has no scope for.

        Raises:
            AccessRefused: it has not.
        """
        if not self.may(scope):
            raise AccessRefused(f"your token has no scope '{scope}'; ask for one that has it")
