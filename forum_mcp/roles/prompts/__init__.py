"""The roles' standing instructions, one file each; they have no holes to fill."""

from functools import cache
from importlib.resources import files

__all__ = ["prompt_text"]


@cache
def prompt_text(role: str) -> str:
    """Return the standing instructions of a role, without a trailing newline."""
    return files(__name__).joinpath(f"{role}.md").read_text(encoding="utf-8").rstrip("\n")
