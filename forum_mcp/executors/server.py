"""A model server over HTTP as an executor, whatever its dialect: one request a call, judged, bounded.

Never retried, never redirected, no proxy or credential from the environment, a response of at most 8 MiB, the whole
attempt within the call's time limit. A dialect (``Wire``) makes the body and reads the answer, which comes in one piece
or as server-sent events; of a stream that is cut, what arrived is kept.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Final, Literal, Protocol, TypeVar

import anyio
import httpx2

from forum_mcp.configs.secrets import resolve_secret
from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.addresses import base_of, egress_of
from forum_mcp.executors.base import Call, Egress, Outcome
from forum_mcp.executors.events import EventStream
from forum_mcp.executors.reading import class_of_status
from forum_mcp.executors.wire import read_error, retry_after_ms
from forum_mcp.rules.failures import ErrorClass

__all__ = ["RESPONSE_MAX_BYTES", "CutReplies", "ModelServer", "Reading", "Wire", "server_of"]

T = TypeVar("T", bound="ModelServer")

RESPONSE_MAX_BYTES: Final = 8_388_608
_CONNECT_MAX_S: Final = 10.0

CutReplies = Literal["keep", "fail"]
"""What a reply that ends at the token limit is: a success that is marked as cut, or the error ``length``."""


class Reading(Protocol):
    """The reply of one request as its stream tells it."""

    def take(self, event: str, data: str) -> None:
        """Take in one event."""
        ...

    @property
    def ended(self) -> bool:
        """Tell whether the last event was the stream's end."""
        ...

    def outcome(self) -> Outcome:
        """Return what the events so far make; one that ``error`` names none is whole."""
        ...


class Wire(Protocol):
    """One dialect: how a request is written and an answer read."""

    endpoint: ClassVar[str]
    """Path below the API's base."""

    @property
    def stream(self) -> bool:
        """Tell whether events are asked for."""
        ...

    def parameters(self) -> Mapping[str, object]:
        """Return what shapes a reply, as the record tells it: the temperature as text, for it holds no floats."""
        ...

    def headers(self, api_key: str | None) -> Mapping[str, str]:
        """Return the headers of this dialect."""
        ...

    def body(self, call: Call) -> bytes:
        """Return the request's JSON."""
        ...

    def read(self, data: bytes) -> Outcome:
        """Return the outcome of an answer in one piece."""
        ...

    def reading(self) -> Reading:
        """Return what reads an answer in events."""
        ...


class ModelServer:
    """One model of one server; a type of executor is a subclass with its wire.

    The connection is made by the first call.
    """

    type: ClassVar[str]

    def __init__(
        self,
        url: str,
        wire: Wire,
        *,
        model: str,
        api_key: str | None,
        egress: Egress | None,
        cut_replies: CutReplies,
    ) -> None:
        self.model = model
        self._wire = wire
        self._socket, self._base = base_of(url, wire.endpoint)
        self.egress: Egress = egress or ("none" if self._socket else egress_of(self._base.host))
        self._api_key = api_key
        self._cut_replies = cut_replies
        self._client: httpx2.AsyncClient | None = None

    def identity(self) -> Mapping[str, object]:
        """Return URL, model and parameters."""
        return {
            "type": self.type,
            "url": f"unix:{self._socket}" if self._socket else str(self._base),
            "model": self.model,
            "cut_replies": self._cut_replies,
            **self._wire.parameters(),
        }

    async def perform(self, call: Call) -> Outcome:
        """Send one request and judge the answer."""
        timeout_s = call.timeout_ms / 1000
        reading = self._wire.reading()
        try:
            with anyio.move_on_after(timeout_s):
                return self._judged(await self._request(call, timeout_s, reading))
        except httpx2.HTTPError as fault:
            failed = self._failed(_class_of(fault), f"{type(fault).__name__}: {fault}")
        except Exception as fault:
            return self._failed("executor-crashed", f"{type(fault).__name__} while making the request")
        else:
            failed = self._failed("timeout", f"no complete response within {call.timeout_ms} ms")
        return self._cut(failed, reading)

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _request(self, call: Call, timeout_s: float, reading: Reading) -> Outcome:
        timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_MAX_S))
        accept = "text/event-stream, application/json" if self._wire.stream else "application/json"
        request = self._opened().build_request(
            "POST",
            f"{self._base}{self._wire.endpoint}",
            content=self._wire.body(call),
            headers={"Content-Type": "application/json", "Accept": accept},
            timeout=timeout,
        )
        response = await self._opened().send(request, stream=True, follow_redirects=False)
        try:
            return await self._answer(response, reading)
        finally:
            # A cookie would carry state from one attempt to the next beside the record.
            self._opened().cookies.clear()
            await response.aclose()

    async def _answer(self, response: httpx2.Response, reading: Reading) -> Outcome:
        status = response.status_code
        error = class_of_status(status)
        if error == "redirect":
            return self._failed(error, f"HTTP {status}: redirects are not followed", http_status=status)
        # Asked for identity: anything else would let a small body grow past the cap while it is decoded.
        if response.headers.get("content-encoding", "identity") != "identity":
            return self._failed("bad-response", "the response is compressed unasked", http_status=status)
        if error is None and response.headers.get("content-type", "").startswith("text/event-stream"):
            return replace(await self._events(response, reading), http_status=status)
        data = bytearray()
        async for part in response.aiter_raw():
            data += part
            if len(data) > RESPONSE_MAX_BYTES:
                return replace(self._too_large(), http_status=status)
        if error is not None:
            said = read_error(bytes(data))
            detail = f"HTTP {status}" + (f": {said}" if said else "")
            wait = retry_after_ms(response.headers, datetime.now(UTC))
            return replace(self._failed(error, detail, http_status=status), retry_after_ms=wait)
        return replace(self._wire.read(bytes(data)), http_status=status)

    async def _events(self, response: httpx2.Response, reading: Reading) -> Outcome:
        stream, size_bytes = EventStream(), 0
        async for part in response.aiter_raw():
            size_bytes += len(part)
            for event, data in stream.feed(part):
                reading.take(event, data)
            if reading.ended:
                return reading.outcome()
            if size_bytes > RESPONSE_MAX_BYTES:
                return self._cut(self._too_large(), reading)
        for event, data in stream.close():
            reading.take(event, data)
        return reading.outcome()

    def _judged(self, outcome: Outcome) -> Outcome:
        """Return the outcome without our key in it, and with what a cut reply counts as."""
        kept = outcome.error is None and self._cut_replies == "keep"
        if outcome.truncated and outcome.error in (None, "empty-reply") and not kept:
            outcome = replace(outcome, error="length", detail="the reply was cut at the token limit")
        return replace(outcome, detail=self._scrub(outcome.detail))

    def _cut(self, failed: Outcome, reading: Reading) -> Outcome:
        """Return the failure with what had arrived of the reply before it."""
        arrived = reading.outcome()
        return replace(arrived, error=failed.error, detail=failed.detail, truncated=arrived.reply is not None)

    def _too_large(self) -> Outcome:
        return self._failed("output-limit", f"the response is larger than {RESPONSE_MAX_BYTES} bytes")

    def _failed(self, error: ErrorClass, detail: str, *, http_status: int | None = None) -> Outcome:
        return Outcome(error=error, detail=self._scrub(detail), sent_model=self.model, http_status=http_status)

    def _scrub(self, text: str | None) -> str | None:
        """Return the text without our key, which some servers repeat in their errors."""
        return text.replace(self._api_key, "***") if text and self._api_key else text

    def _opened(self) -> httpx2.AsyncClient:
        if self._client is None:
            headers = {"Accept-Encoding": "identity", "User-Agent": "forum-mcp", **self._wire.headers(self._api_key)}
            self._client = httpx2.AsyncClient(
                headers=headers,
                trust_env=False,
                transport=httpx2.AsyncHTTPTransport(uds=self._socket, limits=httpx2.Limits(), trust_env=False),
            )
        return self._client


def server_of(
    name: str, settings: ExecutorSettings, make: Callable[..., T], url: str, key: str | None, **more: object
) -> T:
    """Return the executor of a server's section; ``key``: where its key is when the settings do not say.

    Raises:
        ConfigRefused: an unusable url, or an api_key that leads to no key.
    """
    key = settings.api_key or key
    what = f"api_key of executor {name!r}"
    try:
        return make(
            url,
            model=settings.model,
            api_key=None if key is None else resolve_secret(key, environ=os.environ, what=what),
            egress=settings.egress,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            stream=settings.stream,
            cut_replies=settings.cut_replies or "fail",
            **more,
        )
    except ConfigRefused as fault:
        raise ConfigRefused(f"executor {name!r}: {fault}") from None


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
