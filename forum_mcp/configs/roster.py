"""The roster that ships with the package, as text."""

from importlib.resources import files

__all__ = ["SHIPPED_ROSTER_NAME", "shipped_roster_text"]

SHIPPED_ROSTER_NAME = "roster.toml"
"""What messages call the shipped roster."""


def shipped_roster_text() -> str:
    """Return the TOML text of the shipped roster."""
    return files("forum_mcp.configs").joinpath(SHIPPED_ROSTER_NAME).read_text(encoding="utf-8")
