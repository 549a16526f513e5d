"""Secrets by reference: ``env:NAME`` and ``file:PATH``, read when they are needed and never recorded."""

from collections.abc import Mapping
from pathlib import Path

from forum_mcp.errors import ConfigRefused

__all__ = ["resolve_secret"]


def resolve_secret(reference: str, *, environ: Mapping[str, str], what: str) -> str:
    """Return the secret behind ``env:NAME`` or ``file:PATH``.

    Raises:
        ConfigRefused: not a reference, or nothing usable behind it; the message never holds the value.
    """
    kind, _, place = reference.partition(":")
    if kind == "env" and place:
        secret = environ.get(place, "").strip()
        if not secret:
            raise ConfigRefused(f"{what} is env:{place}, but that variable is not set")
    elif kind == "file" and place:
        try:
            secret = Path(place).expanduser().read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError, RuntimeError):
            raise ConfigRefused(f"{what} names a file that cannot be read") from None
    else:
        raise ConfigRefused(f"{what} must be a reference, env:NAME or file:PATH, not the secret itself")
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ConfigRefused(f"{what} leads to a value that is empty or not one printable word")
    return secret
