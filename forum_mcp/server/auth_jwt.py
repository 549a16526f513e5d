"""OAuth resource server: access tokens that are JWTs (RFC 9068) of one authorization server, checked with its keys.

Signature, issuer, audience (this server and no other, RFC 8707) and expiry are all required. Only asymmetric algorithms
are taken: a public key can then never pass for a shared secret. Keys come from a file or are fetched, kept for a while,
and fetched again, at a bounded rate, for a key id that is not known.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import anyio
import jwt

from forum_mcp.engine.principal import SCOPES, Principal
from forum_mcp.errors import ConfigRefused
from forum_mcp.server.auth import Authenticator, Identity

__all__ = ["ALGORITHMS", "LEEWAY_S", "JwtTokens", "KeySet", "principal_name"]

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")

LEEWAY_S: Final = 30
"""How far the clocks of the issuer and ours may be apart, seconds."""

_FAR_S: Final = 2**40
_TOKEN_CHARS_MAX: Final = 8_192
_KEYS_BYTES_MAX: Final = 256 * 1024
_FETCH_S: Final = 5.0
_KEPT_S: Final = 300.0
_AGAIN_S: Final = 30.0
_NAME_CHARS_MAX: Final = 150
_TYPES: Final = (None, "jwt", "at+jwt", "application/at+jwt")

_log = logging.getLogger(__name__)


class KeySet:
    """The public keys of an authorization server: a JWK Set (RFC 7517) in a file, or at an address."""

    def __init__(self, place: str) -> None:
        """Take ``file:PATH`` or a URL.

        Raises:
            ConfigRefused: neither, or keys would come over a network in the clear.
        """
        parts = urlsplit(place)
        here = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if parts.scheme != "file" and not (parts.scheme == "https" or (parts.scheme == "http" and here)):
            raise ConfigRefused(f"the keys {place[:80]!r} are refused: give file:PATH or an https URL")
        self._place = place
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._read_at = -_KEPT_S
        self._lock = anyio.Lock()

    async def key(self, key_id: str | None) -> jwt.PyJWK | None:
        """Return a key by its id (without one, the only key there is), or None."""
        async with self._lock:
            age_s = anyio.current_time() - self._read_at
            if age_s >= _KEPT_S or (self._find(key_id) is None and age_s >= _AGAIN_S):
                self._read_at = anyio.current_time()  # also of a failed try: the rate is bounded
                await self._read()
        return self._find(key_id)

    def _find(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _read(self) -> None:
        try:
            text = await self._text()
            keys = jwt.PyJWKSet.from_dict(json.loads(text)).keys
        except Exception as error:
            _log.warning("the keys of the authorization server cannot be read (%s)", type(error).__name__)
            return
        self._keys = {key.key_id: key for key in keys}

    async def _text(self) -> bytes:
        if self._place.startswith("file:"):
            return await (await anyio.Path(self._place.removeprefix("file:")).expanduser()).read_bytes()
        import httpx2

        async with (
            httpx2.AsyncClient(timeout=_FETCH_S, follow_redirects=False) as client,
            client.stream("GET", self._place, headers={"accept": "application/json"}) as response,
        ):
            response.raise_for_status()
            found = bytearray()
            async for part in response.aiter_bytes():
                found += part
                if len(found) > _KEYS_BYTES_MAX:
                    raise ValueError("too many bytes")
            return bytes(found)


class JwtTokens(Authenticator):
    """Access tokens of one issuer, for one audience."""

    def __init__(self, keys: KeySet, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    async def identify(self, token: str) -> Identity | None:
        """Return whom a token stands for, or None: not signed by the issuer, not for us, expired, no token."""
        if len(token) > _TOKEN_CHARS_MAX:
            return None
        try:
            header = jwt.get_unverified_header(token)
            kind, key_id = header.get("typ"), header.get("kid")
            if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES or header.get("alg") not in ALGORITHMS:
                return None
            key = await self._keys.key(key_id if isinstance(key_id, str) else None)
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            return None
        return self._identity(claims)

    def _identity(self, claims: Mapping[str, Any]) -> Identity | None:
        subject, client = claims.get("sub"), claims.get("client_id", claims.get("azp"))
        whose, kind = (subject, "sub") if isinstance(subject, str) and subject else (client, "client")
        if not isinstance(whose, str) or not whose:
            return None
        principal = Principal(principal_name(kind, whose), _scopes(claims))
        return Identity(
            client=client if isinstance(client, str) else "",
            issuer=self._issuer,
            subject=whose if kind == "sub" else None,
            until=anyio.current_time() + min(int(claims["exp"]), _FAR_S) + LEEWAY_S - time.time(),
            principal=principal,
        )


def principal_name(kind: str, whose: str) -> str:
    """Return the name of a principal, another one for each: ``principal:sub/alice``, odd characters percent-encoded."""
    name = quote(whose, safe="@.-_~+:")
    if len(name) > _NAME_CHARS_MAX:
        name = f"sha256={hashlib.sha256(whose.encode('utf-8', 'replace')).hexdigest()}"
    return f"principal:{kind}/{name}"


def _scopes(claims: Mapping[str, object]) -> frozenset[str]:
    """Return those of our scopes that a token has: ``scope``, words in a string, or ``scp``, also as a list."""
    given = claims.get("scope", claims.get("scp", ""))
    words = cast("list[object]", given) if isinstance(given, list) else str(given).split()
    return frozenset(SCOPES) & {str(word) for word in words}
