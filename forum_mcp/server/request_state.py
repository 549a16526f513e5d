"""What a client carries between two rounds of a call, sealed with a key of this user's that outlives the process.

A person may think longer than a server lives, and five windows are five processes: so the key is a file in the state
directory, made when the first question is asked. The SDK binds what it seals to the call, its arguments and whoever
makes it.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateCodec, RequestStateSecurity

from forum_mcp.errors import ConfigRefused

__all__ = ["KEY_FILE", "TTL_S", "KeptKey", "request_state"]

KEY_FILE: Final = "request-state.key"
"""Its name in the state directory: 64 hexadecimal digits, 0600."""

TTL_S: Final = 86_400.0
"""How long an answer may take, seconds; gates stay open for as long unless the configuration says otherwise."""

_DIGITS: Final = 64

_log = logging.getLogger(__name__)


class KeptKey(RequestStateCodec):
    """The SDK's cipher, under a key that is read or made when the first value is sealed or opened."""

    def __init__(self) -> None:
        self._cipher: AESGCMRequestStateCodec | None = None

    def seal(self, payload: bytes) -> str:
        """Return an opaque token."""
        return self._opened().seal(payload)

    def unseal(self, token: str) -> bytes:
        """Return what was sealed.

        Raises:
            InvalidRequestState: it is not a token of this user's, or was changed.
        """
        return self._opened().unseal(token)

    def _opened(self) -> AESGCMRequestStateCodec:
        if self._cipher is None:
            self._cipher = AESGCMRequestStateCodec([_key()])
        return self._cipher


def request_state() -> RequestStateSecurity:
    """Return how the server seals what clients carry; touches no file."""
    return RequestStateSecurity(codec=KeptKey(), ttl=TTL_S)


def _key() -> str:
    """Return the kept key, made if need be; one for this process alone where none can be kept."""
    from forum_mcp.configs.paths import private_dir, state_dir

    try:
        path = private_dir(state_dir(), "the state directory") / KEY_FILE
        return _kept(path) or _made(path)
    except (ConfigRefused, OSError) as error:
        _log.warning("no key can be kept, so questions do not outlive this process: %s", error)
        return secrets.token_hex(_DIGITS // 2)


def _kept(path: Path) -> str | None:
    """Return the key in the file; None where there is none that only this user could have read or written."""
    with suppress(OSError, ValueError):
        found = path.lstat()
        private = sys.platform == "win32" or (found.st_uid == os.geteuid() and not found.st_mode & 0o077)
        text = path.read_text("ascii").strip() if stat.S_ISREG(found.st_mode) and private else ""
        if len(text) == _DIGITS and not set(text) - set("0123456789abcdef"):
            return text
    return None


def _made(path: Path) -> str:
    """Put a new key where there is none that can be used; return the one that stands there then.

    Of several processes that do so at once, the first one's stays.

    Raises:
        OSError: it cannot be written.
    """
    from forum_mcp.configs.paths import write_private

    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    made = secrets.token_hex(_DIGITS // 2)
    write_private(fresh, made + "\n")
    try:
        if _kept(path) is None:
            path.unlink(missing_ok=True)
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return _kept(path) or made
