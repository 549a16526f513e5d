"""A call that waits for a run asks what the run asks: the person about its gates, the client's model by sampling.

In the 2026-07-28 revision the question is the result, and its answer comes with the same call made again; in the
handshake revisions the client is asked while the call waits (its model by ``server/sampling.py``). A call made again
goes on with the run that it had, which its sealed state names: nothing is begun twice. A call that does not wait asks
nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import mcp_types as types
import msgspec
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from forum_mcp.engine.views import RunView
from forum_mcp.errors import RequestRefused
from forum_mcp.server.approvals import Decision, decision_of, gate_questions, take_decision, takes_forms
from forum_mcp.server.sampling import PREFIX, SampledInputs, outcome_of

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.engine.views import View
    from forum_mcp.server.sdk import AnyContext
    from forum_mcp.tools.arguments import Arguments
    from forum_mcp.tools.base import Tool
    from forum_mcp.tools.caller import Caller

__all__ = ["ASK_S", "ROUNDS_MAX", "answer_to"]

ROUNDS_MAX: Final = 8
"""How often one call asks; clients give up after ten rounds, and what is open then is in the result."""

ASK_S: Final = 0.5
"""What is to be left of a call's time for a question to be asked, seconds."""


_SAMPLED: Final = SampledInputs()


class _Round(msgspec.Struct, frozen=True):
    """What a client carries from a question to its answer, sealed.

    Attributes:
        run: the run of the call.
        number: 1, 2, 3 ...
        keys: what was asked.
        declined: what was asked before and not decided.
    """

    run: str
    number: int
    keys: list[str]
    declined: list[str]


async def answer_to(
    tool: Tool, forum: Forum, arguments: Arguments, caller: Caller, context: AnyContext
) -> View | types.InputRequiredResult:
    """Do a call; while the run it waits for has gates or questions that this call did not ask about, ask.

    Raises:
        MCPError: an answer is none, or the state is not of a call of this server.
        ForumError: the call is refused.
    """
    wait_s, began = arguments.number("wait_s") or 0.0, anyio.current_time()
    told = caller.tell

    async def tell(_: float, line: str) -> None:
        await told(anyio.current_time() - began, line)

    caller = replace(caller, tell=tell)
    before = _round_of(context.request_state)
    if before is None:
        view, number, declined = await tool.handler(forum, arguments, caller), 0, list[str]()
    else:
        number = before.number
        declined = [*before.declined, *await _take_answers(forum, before, context.input_responses or {}, caller.name)]
        view = await caller.follow(forum, await forum.run(before.run), wait_s)
    if wait_s <= 0:
        return view
    if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        questions = _requests(forum, view, declined, context.client_capabilities) if number < ROUNDS_MAX else {}
        if not isinstance(view, RunView) or not questions:
            return view
        following = _Round(view.run_id, number + 1, list(questions), declined)
        return types.InputRequiredResult(
            input_requests=dict(questions), request_state=msgspec.json.encode(following).decode()
        )
    if not takes_forms(context.client_capabilities):
        return view
    return await _while_waiting(forum, view, caller, context, began + wait_s)


async def _take_answers(forum: Forum, before: _Round, responses: Mapping[str, object], client: str) -> list[str]:
    """Take the answers to what was asked, and return what was left undecided."""
    declined: list[str] = []
    for key in before.keys:
        if key.startswith(PREFIX):
            forum.sampler.answer(key, outcome_of(responses.get(key)))
            continue
        decided = decision_of(responses[key]) if key in responses else None
        if decided is None:
            declined.append(key)
        else:
            await take_decision(forum, key, decided, client)
    return declined


async def _while_waiting(forum: Forum, view: View, caller: Caller, context: AnyContext, until: float) -> View:
    """Ask one question after the other until the run goes on to its end, or the time of the call is over."""
    declined: list[str] = []
    while isinstance(view, RunView) and (questions := _undeclined(forum, view, declined)):
        left = until - anyio.current_time()
        if left < ASK_S:
            return view
        key, request = next(iter(questions.items()))
        decided: Decision | None = None
        with anyio.move_on_after(left):
            decided = await caller.meanwhile("the person is asked for approval", partial(_ask, context, request))
        if decided is None:
            declined.append(key)
            continue
        await take_decision(forum, key, decided, caller.name)
        view = await caller.follow(forum, view, max(until - anyio.current_time(), 0.0))
    return view


async def _ask(context: AnyContext, request: types.ElicitRequest) -> Decision | None:
    """Ask over the connection of the call; a client that fails to answer decided nothing."""
    params = request.params
    assert isinstance(params, types.ElicitRequestFormParams)
    try:
        return decision_of(
            await context.session.elicit_form(params.message, params.requested_schema, context.request_id)
        )
    except (MCPError, ValidationError):
        return None


def _requests(
    forum: Forum, view: View, declined: list[str], capabilities: types.ClientCapabilities | None
) -> dict[str, types.ElicitRequest | types.CreateMessageRequest]:
    """Return what the result of a call is to ask: about gates, or of the client's model."""
    if isinstance(view, RunView) and view.state == "running":
        return {**_SAMPLED.open(forum, view.run_id, capabilities)}
    return {**_undeclined(forum, view, declined)} if takes_forms(capabilities) else {}


def _undeclined(forum: Forum, view: View, declined: list[str]) -> dict[str, types.ElicitRequest]:
    """Return what is to be asked about the run, if it waits: what was not asked yet."""
    if not isinstance(view, RunView) or view.state != "waiting" or not view.gates:
        return {}
    return {key: request for key, request in gate_questions(forum, view.run_id).items() if key not in declined}


def _round_of(state: str | None) -> _Round | None:
    """Return what the client carried, which the SDK has opened.

    Raises:
        RequestRefused: another version of this server sealed it.
    """
    if state is None:
        return None
    try:
        return msgspec.json.decode(state, type=_Round)
    except msgspec.DecodeError as error:
        raise RequestRefused("the state of this call is of another version; make the call again without it") from error
