"""The entry of what a run was given to read."""

from forum_mcp.ledger.kinds.base import Kind, Payload

__all__ = ["KINDS", "ContextProvided"]


class ContextProvided(Payload, frozen=True, kw_only=True):
    """What the provider ``context`` gave, at most as many characters as the contract lets it, or why nothing.

    ``chars``: length of what it gave; ``cut``: the body ``text`` holds only its head and tail. Prompts that held it
    name this entry in ``call.started``.
    """

    context: str
    chars: int = 0
    cut: bool = False
    error: str | None = None


KINDS = (Kind("context.provided", "decision", ContextProvided, ("text",), "the call.finished that read it"),)
