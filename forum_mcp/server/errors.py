"""Our errors as MCP errors: the only room that translates.

A refusal becomes a tool error whose text is complete: what was refused and why (the message), its stable code, and
what to do instead. Anything else is a bug of ours: the model learns that and the class of the exception, the log on
stderr has the traceback.
"""

import logging
from typing import Final, cast

from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from forum_mcp.errors import (
    AccessRefused,
    AttemptClosed,
    ConfigRefused,
    ExecutorsDiffer,
    ForumError,
    GateClosed,
    InvalidInput,
    LedgerError,
    LedgerLocked,
    LedgerReadOnly,
    NestedRefused,
    NoModel,
    NoteError,
    NotFound,
    RosterRefused,
    RunHeld,
)

__all__ = ["ERROR_CHARS", "not_found", "protocol_error", "refusal_text", "tool_error", "unwrapped"]

ERROR_CHARS: Final = 1_500
"""Most characters of an error's text."""

_RESOURCE_NOT_FOUND: Final = -32002
"""What the handshake revisions call a missing resource; 2026-07-28 uses invalid params."""

_ADVICE: Final[tuple[tuple[type[ForumError], str], ...]] = (
    (NoModel, "nothing was recorded; ask the operator to configure an executor, or let the worker be 'host'"),
    (ConfigRefused, "ask the operator to correct the setting"),
    (RosterRefused, "ask the operator to correct the roster"),
    (InvalidInput, "nothing was recorded; correct it and call again"),
    (NotFound, "call run without arguments for the runs, ledger_show for entries, work with action next for items"),
    (AttemptClosed, "the record already has an outcome for it; call work with action next"),
    (GateClosed, "read the run with run: it has gone on, or waits at another gate"),
    (AccessRefused, "nothing was done; what your token covers still works"),
    (NestedRefused, "nothing was recorded; do the task yourself"),
    (RunHeld, "read it with run, which may wait for it"),
    (
        ExecutorsDiffer,
        "nothing was recorded; fork it with run_control: what is done and the same is reused",
    ),
    (NoteError, "pass the note exactly as a result gave it, line breaks included"),
    (
        LedgerReadOnly,
        "reading still works, run lists what had begun; ask the operator to see to the disk, else restart the server",
    ),
    (LedgerLocked, "nothing was recorded; reading still works"),
    (LedgerError, "ask the operator to run 'forum-mcp ledger verify'"),
)
_ADVICE_ELSE: Final = "read the run with run and decide again"

_log = logging.getLogger(__name__)


def refusal_text(error: ForumError) -> str:
    """Return what happened, why, and what to do instead; at most 1,500 characters."""
    advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), _ADVICE_ELSE)
    tail = f" [{error.code}]; {advice}"
    message = str(error)
    room = ERROR_CHARS - len(tail)
    return (message if len(message) <= room else message[: room - 1] + "…") + tail


def unwrapped(error: Exception) -> Exception:
    """Return the one exception that a chain of groups holds, else the exception itself."""
    while isinstance(error, ExceptionGroup):
        inner = cast("tuple[Exception, ...]", error.exceptions)  # pyright: ignore[reportUnknownMemberType]
        if len(inner) != 1:
            return cast("Exception", error)
        error = inner[0]
    return error


def tool_error(error: Exception, tool: str) -> ToolError:
    """Return the tool error of a call that failed; logs a traceback when it is a bug."""
    error = unwrapped(error)
    if isinstance(error, ForumError):
        return ToolError(refusal_text(error))
    return ToolError(_bug(error, f"tool '{tool}'"))


def not_found(uri: str, why: str, protocol_version: str | None) -> MCPError:
    """Return the error of a resource that does not exist, as the protocol revision names it."""
    handshake = protocol_version in HANDSHAKE_PROTOCOL_VERSIONS
    return MCPError(
        code=_RESOURCE_NOT_FOUND if handshake else INVALID_PARAMS,
        message=f"resource not found: {why}",
        data={"uri": uri},
    )


def protocol_error(error: Exception, what: str) -> MCPError:
    """Return the JSON-RPC error of a request, other than a tool call, that failed."""
    error = unwrapped(error)
    if isinstance(error, ForumError):
        code = INVALID_PARAMS if isinstance(error, InvalidInput) else INTERNAL_ERROR
        return MCPError(code=code, message=refusal_text(error))
    return MCPError(code=INTERNAL_ERROR, message=_bug(error, what))


def _bug(error: Exception, what: str) -> str:
    _log.error("%s raised an unexpected exception", what, exc_info=error)
    return (
        f"{what} failed by a bug in forum-mcp ({type(error).__name__}); the server goes on and what was recorded "
        "stays; its log on stderr has the details: report them, and read the state with run before trying again"
    )
