"""Any OpenAI-compatible chat server as an executor.

``url`` is the API's base, with or without ``/v1``: a URL without a path gets ``/v1``, any other path is
taken as it stands, so ``http://127.0.0.1:8080``, ``https://api.example/openai/v1`` and
``.../v1/chat/completions`` all work. ``unix:/path/to.sock`` reaches a server on a unix socket.

One request per attempt, never retried, never redirected, no proxy or credential from the environment, a
response of at most 8 MiB, the whole attempt within the call's time limit.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import anyio
import httpx2

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.executors.reading import class_of_status
from forum_mcp.executors.wire import read_error, read_reply, request_body, retry_after_ms
from forum_mcp.rules.failures import ErrorClass

__all__ = ["RESPONSE_MAX_BYTES", "ChatExecutor", "build", "egress_of", "resolve_secret"]

RESPONSE_MAX_BYTES: Final = 8_388_608
_CONNECT_MAX_S: Final = 10.0
_LAN_SUFFIXES: Final = (".local", ".lan", ".internal", ".home.arpa")


def egress_of(host: str) -> Egress:
    """Return how far a request to this host of a URL travels; a name that does not say is ``internet``."""
    name = host.rstrip(".").lower().strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if name == "localhost" or name.endswith(".localhost"):
            return "none"
        return "lan" if name.endswith(_LAN_SUFFIXES) else "internet"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # Connecting to the unspecified address reaches this machine.
    if address.is_loopback or address.is_unspecified:
        return "none"
    return "lan" if address.is_private or address.is_link_local else "internet"


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


class ChatExecutor:
    """One model of one server. The connection is made by the first call."""

    type = "chat"

    def __init__(
        self,
        url: str,
        *,
        model: str,
        api_key: str | None = None,
        egress: Egress | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> None:
        self.model = model
        self._socket, self._base = _base_of(url)
        self.egress: Egress = egress or ("none" if self._socket else egress_of(self._base.host))
        self._api_key = api_key
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._seed = seed
        self._client: httpx2.AsyncClient | None = None

    def identity(self) -> Mapping[str, object]:
        """Return URL, model and parameters; the temperature as text, because the record holds no floats."""
        return {
            "type": self.type,
            "url": f"unix:{self._socket}" if self._socket else str(self._base),
            "model": self.model,
            "max_tokens": self._max_tokens,
            "temperature": None if self._temperature is None else repr(self._temperature),
            "seed": self._seed,
        }

    async def perform(self, call: Call) -> Outcome:
        """Send one request and judge the answer."""
        timeout_s = call.timeout_ms / 1000
        try:
            with anyio.move_on_after(timeout_s):
                return await self._request(call, timeout_s)
        except httpx2.HTTPError as fault:
            return self._failed(_class_of(fault), f"{type(fault).__name__}: {fault}")
        except Exception as fault:
            return self._failed("executor-crashed", f"{type(fault).__name__} while making the request")
        return self._failed("timeout", f"no complete response within {call.timeout_ms} ms")

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _request(self, call: Call, timeout_s: float) -> Outcome:
        body = request_body(
            call,
            model=self.model,
            max_tokens=self._max_tokens,
            temperature=self._temperature,
            seed=self._seed,
        )
        timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_MAX_S))
        request = self._opened().build_request(
            "POST",
            f"{self._base}/chat/completions",
            content=body,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            timeout=timeout,
        )
        response = await self._opened().send(request, stream=True, follow_redirects=False)
        try:
            return await self._judge(response)
        finally:
            # A cookie would carry state from one attempt to the next beside the record.
            self._opened().cookies.clear()
            await response.aclose()

    async def _judge(self, response: httpx2.Response) -> Outcome:
        status = response.status_code
        error = class_of_status(status)
        if error == "redirect":
            return self._failed(error, f"HTTP {status}: redirects are not followed", http_status=status)
        # Asked for identity: anything else would let a small body grow past the cap while it is decoded.
        if response.headers.get("content-encoding", "identity") != "identity":
            return self._failed("bad-response", "the response is compressed unasked", http_status=status)
        data = bytearray()
        async for part in response.aiter_raw():
            data += part
            if len(data) > RESPONSE_MAX_BYTES:
                detail = f"the response is larger than {RESPONSE_MAX_BYTES} bytes"
                return self._failed("output-limit", detail, http_status=status)
        if error is not None:
            said = read_error(bytes(data))
            detail = f"HTTP {status}" + (f": {said}" if said else "")
            wait = retry_after_ms(response.headers, datetime.now(UTC))
            return self._failed(error, detail, http_status=status, retry_after_ms=wait)
        outcome = read_reply(bytes(data), sent_model=self.model)
        return replace(outcome, http_status=status, detail=self._scrub(outcome.detail))

    def _failed(
        self, error: ErrorClass, detail: str, *, http_status: int | None = None, retry_after_ms: int | None = None
    ) -> Outcome:
        return Outcome(
            error=error,
            detail=self._scrub(detail),
            sent_model=self.model,
            http_status=http_status,
            retry_after_ms=retry_after_ms,
        )

    def _scrub(self, text: str | None) -> str | None:
        """Return the text without our key, which some servers repeat in their errors."""
        return text.replace(self._api_key, "***") if text and self._api_key else text

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            headers = {"Accept-Encoding": "identity", "User-Agent": "forum-mcp"}
            if self._api_key:
                headers["Authorization"] = f"Bearer {self._api_key}"
            self._client = httpx2.AsyncClient(
                headers=headers,
                trust_env=False,
                transport=httpx2.AsyncHTTPTransport(uds=self._socket, limits=httpx2.Limits(), trust_env=False),
            )
        return self._client


def _base_of(url: str) -> tuple[str | None, httpx2.URL]:
    """Return the unix socket, if any, and the base of the API, without a slash at its end.

    Raises:
        ConfigRefused: not an http, https or unix URL, or one with credentials, a query or a fragment.
    """
    if url.startswith("unix:/"):
        return "/" + url.removeprefix("unix:").lstrip("/"), httpx2.URL("http://localhost/v1")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise ConfigRefused("the url is not a URL; give something like http://127.0.0.1:8080/v1") from None
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ConfigRefused("the url holds credentials, a query or a fragment; a key belongs into api_key")
    if parsed.scheme not in ("http", "https") or not parsed.host or (parsed.port or 1) > 65_535:
        raise ConfigRefused(f"the url {url!r} is not an http, https or unix URL")
    path = parsed.path.rstrip("/").removesuffix("/chat/completions")
    return None, parsed.copy_with(path=path or "/v1")


def _class_of(fault: httpx2.HTTPError) -> ErrorClass:
    match fault:
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.UnsupportedProtocol():
            return "connect"
        case httpx2.TimeoutException():
            return "timeout"
        case httpx2.RemoteProtocolError():
            # h11 says what was wrong with bytes that are no HTTP; only these two texts mean a cut connection.
            cut = str(fault).startswith(("Server disconnected", "peer closed connection"))
            return "connection-lost" if cut else "bad-response"
        case httpx2.NetworkError():
            return "connection-lost"
        case _:
            return "bad-response"


def build(name: str, settings: ExecutorSettings) -> ChatExecutor:
    """Return the executor of a ``chat`` section.

    Raises:
        ConfigRefused: an unusable url, or an api_key that leads to no key.
    """
    assert settings.url is not None
    assert settings.model is not None
    what = f"api_key of executor {name!r}"
    key = settings.api_key
    try:
        return ChatExecutor(
            settings.url,
            model=settings.model,
            api_key=None if key is None else resolve_secret(key, environ=os.environ, what=what),
            egress=settings.egress,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            seed=settings.seed,
        )
    except ConfigRefused as fault:
        raise ConfigRefused(f"executor {name!r}: {fault}") from None
