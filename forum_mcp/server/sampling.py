"""Sampling: a client that declares it is asked for its model, while a call of it waits for a run.

In the handshake revisions it is asked over the connection, beside the call that waits; in the 2026-07-28 revision,
which deprecates it and lets no server call a client, the question is the call's result (``server/asking.py``) or stands
in the state of its task. What a client says of its model is recorded and not believed any further.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import mcp_types as types
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.message import ServerMessageMetadata
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.executors.base import Outcome
    from forum_mcp.executors.sampler import Lent, Question
    from forum_mcp.ledger.entry import RunId
    from forum_mcp.server.sdk import AnyContext

__all__ = ["PREFIX", "Lending", "SampledInputs", "lends", "outcome_of"]

PREFIX: Final = "sampling-"


def lends(capabilities: types.ClientCapabilities | None) -> bool:
    """Tell whether the client lets its model be asked."""
    return capabilities is not None and capabilities.sampling is not None


class Lending:
    """The model of the client that made a request."""

    def __init__(self, context: AnyContext, client: str) -> None:
        self._context = context
        self._client = client

    @contextmanager
    def lent(self, forum: Forum, run_id: str) -> Generator[Lent | None]:
        """Have the model at hand for a run while the block waits for it; None where the client lends none."""
        run = cast("RunId", run_id)
        if not forum.may_lend(run_id):
            yield None
            return
        if not lends(self._context.client_capabilities):
            forum.sampler.decline(run, self._client)
            yield None
            return
        modern = self._context.protocol_version in MODERN_PROTOCOL_VERSIONS
        with forum.sampler.lent(run, None if modern else partial(_ask, self._context)) as lent:
            yield lent


class SampledInputs:
    """Questions of a run to its client's model, as what a call or a task asks."""

    def open(
        self, forum: Forum, run_id: str, capabilities: types.ClientCapabilities | None
    ) -> Mapping[str, types.CreateMessageRequest]:
        """Return the questions that are not asked over a connection."""
        if not lends(capabilities) or not forum.may_lend(run_id):
            return {}
        return {each.key: _request_of(each) for each in forum.sampler.hand_out(cast("RunId", run_id))}

    async def answer(self, forum: Forum, key: str, response: object, client: str) -> None:
        """Hand an answer to the call that asked."""
        forum.sampler.answer(key, outcome_of(response))


def _request_of(question: Question) -> types.CreateMessageRequest:
    """Return the question as the protocol writes it; no context of the client's other servers is asked for."""
    hints = None if question.model is None else types.ModelPreferences(hints=[types.ModelHint(name=question.model)])
    return types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(
            messages=[types.SamplingMessage(role="user", content=types.TextContent(type="text", text=question.prompt))],
            system_prompt=question.system,
            max_tokens=question.max_tokens,
            temperature=question.temperature,
            model_preferences=hints,
        )
    )


async def _ask(context: AnyContext, question: Question) -> Outcome:
    """Ask over the connection, on the stream of the request that waits."""
    try:
        result = await context.session.send_request(
            _request_of(question),
            types.CreateMessageResultWithTools,
            metadata=ServerMessageMetadata(related_request_id=context.request_id),
        )
    except MCPError as error:
        from forum_mcp.executors.sampling import read_failure

        gone = isinstance(error, NoBackChannelError)  # the call that waited has its answer
        return read_failure(types.CONNECTION_CLOSED if gone else error.code, error.message)
    except ValidationError:
        return outcome_of(None)
    return outcome_of(result)


def outcome_of(response: object) -> Outcome:
    """Return the outcome of an answer, whichever way it came."""
    from forum_mcp.executors.sampling import read_message

    return read_message(response.model_dump(by_alias=True) if isinstance(response, BaseModel) else response)
