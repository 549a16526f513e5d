"""The shape of one context provider's settings, ``[context.NAME]``: what a run may be given to read."""

import re
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from forum_mcp.configs.section import RecordedSection, check_members

__all__ = ["CONTEXT_NAME", "ContextSettings"]

CONTEXT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")

_NEEDS: Final[dict[str, tuple[str, ...]]] = {"file": ("path",), "command": ("argv",), "resource": ("uri",)}
_OWNERS: Final[dict[str, tuple[str, ...]]] = {
    "path": ("file",),
    "argv": ("command", "resource"),
    "env": ("command", "resource"),
    "pass_env": ("command", "resource"),
    "egress": ("command", "resource"),
    "uri": ("resource",),
    "url": ("resource",),
}


class ContextSettings(RecordedSection):
    """One thing to read: a file, what a command prints, or a resource of another MCP server."""

    type: Literal["file", "command", "resource"]
    path: str | None = None
    argv: list[str] = []
    env: dict[str, str] = {}
    pass_env: list[str] = []
    uri: str | None = None
    url: str | None = None
    egress: Literal["none", "lan", "internet"] = "internet"
    always: bool = False
    lanes: list[str] = []
    max_chars: int = Field(default=8_000, gt=0, le=200_000)
    timeout_s: float = Field(default=20.0, gt=0, le=600)

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        check_members(self, self.type, _NEEDS, _OWNERS)
        if self.type == "resource" and bool(self.argv) == bool(self.url):
            raise ValueError("type 'resource' needs the server it is of: 'argv' (started for it) or 'url', one of them")
        return self
