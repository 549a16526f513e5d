"""A resource of another MCP server as context: one connection, one ``resources/read``, closed again.

The server is the operator's: a command that is started for the reading and ended after it, or a URL (streamable HTTP).
Nothing it says but the text of the resource is used; it is offered no sampling, no elicitation and no roots.
"""

import logging
import os
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO, cast

from mcp import Client, MCPError, StdioServerParameters
from mcp.client import Transport
from mcp.client.stdio import stdio_client
from mcp.types import TextResourceContents

from forum_mcp.configs.context import ContextSettings
from forum_mcp.executors.base import Call, Outcome

__all__ = ["read_resource"]

_DETAIL_CHARS = 1_000
_LOGGERS = ("client", "mcp.client.stdio", "mcp.client.streamable_http", "mcp.shared.jsonrpc_dispatcher")
"""Where the SDK's client tells, with a traceback for each line, that a server does not speak MCP."""

_reading: ContextVar[bool] = ContextVar("_reading", default=False)


def read_resource(settings: ContextSettings) -> Callable[[Call], Awaitable[Outcome]]:
    """Return what reads the resource of a ``[context.NAME]`` table once."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_of_others)

    async def read(_: Call) -> Outcome:
        with _nowhere() as nowhere:
            own = _reading.set(True)
            try:
                return await _read(settings, nowhere)
            except Exception as error:  # the client's own kinds of failure are many; each is an outcome
                cause = _first(error)
                refused = isinstance(cause, MCPError)
                detail = f"{settings.uri} was not read: {str(cause) or type(cause).__name__}"[:_DETAIL_CHARS]
                return Outcome(error="bad-response" if refused else "connect", detail=detail)
            finally:
                _reading.reset(own)

    return read


async def _read(settings: ContextSettings, nowhere: TextIO) -> Outcome:
    async with Client(_server(settings, nowhere), read_timeout_seconds=settings.timeout_s) as client:
        result = await client.read_resource(settings.uri or "")
    texts = [part.text for part in result.contents if isinstance(part, TextResourceContents)]
    if not texts:
        return Outcome(error="bad-encoding", detail=f"{settings.uri} holds no text")
    return Outcome(reply="\n\n".join(texts).encode("utf-8", "replace"))


def _of_others(_: logging.LogRecord) -> bool:
    """Let through what is not said of a reading, whose failure is its outcome."""
    return not _reading.get()


def _server(settings: ContextSettings, nowhere: TextIO) -> Transport | str:
    if settings.url is not None:
        return settings.url
    command, *arguments = settings.argv
    passed = {name: value for name in settings.pass_env if (value := os.environ.get(name)) is not None}
    return stdio_client(
        StdioServerParameters(command=command, args=arguments, env=passed | settings.env), errlog=nowhere
    )


def _nowhere() -> TextIO:
    """Return where the server's stderr goes: what it logs is none of ours."""
    return Path(os.devnull).open("w", encoding="utf-8")


def _first(error: BaseException) -> BaseException:
    """Return the first error inside a group, however deep."""
    found = error
    while isinstance(found, BaseExceptionGroup):
        found = cast("BaseExceptionGroup[BaseException]", found).exceptions[0]
    return found
