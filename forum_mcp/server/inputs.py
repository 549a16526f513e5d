"""What a run that waits for its caller asks, as requests that a client can answer without a model calling tools.

One source for each thing that can hold a run up; each is one class and one line of ``INPUTS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import mcp_types as types
from mcp.shared.exceptions import MCPError

from forum_mcp.server.approvals import GateInputs
from forum_mcp.server.sampling import SampledInputs

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.engine.views import WorkItem

__all__ = ["INPUTS", "Inputs", "Request", "WorkInputs"]

Request = types.ElicitRequest | types.CreateMessageRequest
"""What a client can be asked."""

_TOKENS_MAX: Final = 8_192
_PREFIX: Final = "work-"


class Inputs(Protocol):
    """One thing that can hold a run up."""

    def open(self, forum: Forum, run_id: str, capabilities: types.ClientCapabilities | None) -> Mapping[str, Request]:
        """Return what the run asks now, by keys that are never used again; only what the client can answer."""
        ...

    async def answer(self, forum: Forum, key: str, response: object, client: str) -> None:
        """Take the answer to one of them.

        Raises:
            MCPError: it is no answer to that.
            ForumError: it is refused.
        """
        ...


class WorkInputs(Inputs):
    """Work that the calling assistant is to do: its model does it where the client samples, else a person is asked."""

    def open(self, forum: Forum, run_id: str, capabilities: types.ClientCapabilities | None) -> Mapping[str, Request]:
        """Return a request for each item that nobody has taken."""
        if capabilities is None or (capabilities.sampling is None and capabilities.elicitation is None):
            return {}
        make = _sampled if capabilities.sampling is not None else _elicited
        return {f"{_PREFIX}{item.item}": make(item) for item in forum.work_open(run_id)}

    async def answer(self, forum: Forum, key: str, response: object, client: str) -> None:
        """Hand the result back, or that there will be none."""
        item = int(key.removeprefix(_PREFIX))
        fields = _members(response)
        action = fields.get("action")
        if action in ("decline", "cancel"):
            await forum.work_fail(item, f"the client answered {action}", client=client, wait_s=0.0)
            return
        result = _result(_members(fields.get("content")))
        if result is None:
            raise MCPError(types.INVALID_PARAMS, f"the answer to {key} has no text; see its request for the shape")
        await forum.work_complete(item, result, client=client, wait_s=0.0)


def _members(value: object) -> Mapping[str, object]:
    """Return the members of an object; anything else has none."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _result(content: Mapping[str, object]) -> str | None:
    """Return the text of a form's member ``result``, or of a message."""
    for member in ("result", "text"):
        if isinstance(content.get(member), str):
            return str(content[member])
    return None


def _sampled(item: WorkItem) -> Request:
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=item.prompt))
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(
            messages=[message], system_prompt=item.instructions, max_tokens=_TOKENS_MAX
        )
    )


def _elicited(item: WorkItem) -> Request:
    schema = {
        "type": "object",
        "properties": {"result": {"type": "string", "title": "Result"}},
        "required": ["result"],
    }
    return types.ElicitRequest(
        params=types.ElicitRequestFormParams(
            message=f"{item.instructions}\n\n{item.prompt}", requested_schema=cast("Any", schema)
        )
    )


INPUTS: Final[tuple[Inputs, ...]] = (GateInputs(), SampledInputs(), WorkInputs())
"""Every source, in the order they are asked."""
