"""Who a bearer token stands for: the operator's one token, or (``auth_jwt``) tokens of an authorization server."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from forum_mcp.configs.paths import private_dir, shown, state_dir
from forum_mcp.configs.secrets import resolve_secret
from forum_mcp.errors import ConfigRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forum_mcp.engine.principal import Principal

__all__ = ["IDENTITY", "TOKEN_CHARS_MIN", "Authenticator", "Identity", "OneToken", "kept_token", "token_of"]

TOKEN_CHARS_MIN: Final = 16
"""Fewest characters of a token that an operator chose."""

IDENTITY: Final = "forum-mcp.identity"
"""The member of a request's scope that says who makes it."""

_VARIABLE: Final = "FORUM_TOKEN"
_FILE: Final = "http-token"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a good token says.

    Attributes:
        client: the OAuth client it was given to.
        issuer: who gave it, or None for the operator's own.
        subject: whose it is, or None.
        until: when the token ends, seconds, monotonic; None is never.
        principal: whom the forum serves; None is the operator, who reads and does everything.
    """

    client: str
    issuer: str | None = None
    subject: str | None = None
    until: float | None = None
    principal: Principal | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Another one for each that is served."""
        return "" if self.principal is None else self.principal.name


class Authenticator(Protocol):
    """Tells who a token stands for."""

    async def identify(self, token: str) -> Identity | None:
        """Return whom a token stands for, or None when it is not a good one."""
        ...


class OneToken(Authenticator):
    """One token, whose holder is the operator of this server."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def identify(self, token: str) -> Identity | None:
        """Compare in a time that does not tell how much was right."""
        return Identity("operator") if hmac.compare_digest(token.encode("utf-8", "replace"), self._token) else None


def token_of(reference: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the server's token and where a person finds it: the reference, FORUM_TOKEN, or a file made on first use.

    Raises:
        ConfigRefused: it cannot be read, is too short, or others may read it; the message never holds it.
    """
    if reference is None and environ.get(_VARIABLE):
        reference = f"env:{_VARIABLE}"
    if reference is None:
        path = state_dir() / _FILE
        return kept_token(path), shown(path)
    token = resolve_secret(reference, environ=environ, what="the token of the server")
    if len(token) < TOKEN_CHARS_MIN:
        raise ConfigRefused(
            f"the token behind {reference} has {len(token)} characters, at least {TOKEN_CHARS_MIN} are wanted; "
            "make one: openssl rand -hex 32"
        )
    return token, reference


def kept_token(path: Path) -> str:
    """Return the token in a file of ours, made (32 random bytes, 0600) when there is none.

    Raises:
        ConfigRefused: it cannot be read or made, or others may read it.
    """
    private_dir(path.parent, "the state directory")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigRefused(f"the token file {shown(path)} cannot be made; {error.strerror or error}") from error
    try:
        found = path.stat()
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigRefused(f"the token file {shown(path)} cannot be read; delete it and a new one is made") from error
    if sys.platform != "win32" and stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigRefused(
            f"the token file {shown(path)} may be read by other users; delete it, a new one is made, "
            "or keep it: chmod 600"
        )
    if len(token) < TOKEN_CHARS_MIN:
        raise ConfigRefused(f"the token file {shown(path)} holds no token; delete it and a new one is made")
    return token
