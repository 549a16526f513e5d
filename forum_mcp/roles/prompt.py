"""What a role hands to an executor."""

from dataclasses import dataclass

__all__ = ["Prompt"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call's text: standing instructions, user content, and the JSON Schema (bytes) of the reply if it has one."""

    system: str
    user: str
    schema: bytes | None = None
