"""The shipped knowledge of the router, as text: the vocabulary people edit, and the table compiled from it."""

from importlib.resources import files

__all__ = ["COMPILED_NAME", "VOCABULARY_NAME", "compiled_routing", "vocabulary_text"]

VOCABULARY_NAME = "vocabulary.toml"
"""What people say when they mean a lane; the source."""

COMPILED_NAME = "routing.json"
"""Weights of the shipped roster, and the vocabulary's evidence for any other; made by tests.bench.routing."""


def vocabulary_text() -> str:
    """Return the TOML text of the vocabulary."""
    return files("forum_mcp.configs").joinpath(VOCABULARY_NAME).read_text(encoding="utf-8")


def compiled_routing() -> bytes:
    """Return the JSON of the compiled table."""
    return files("forum_mcp.configs").joinpath(COMPILED_NAME).read_bytes()
