"""Open gates as questions to the person behind the client, and their answers as resolutions.

What a gate asks for was written by models, so it stands between marks, cut and made visible: a dialogue that shows it
shows no instruction, no escape sequence and no reversed text. The form has one choice. Whoever declines or closes it
has decided nothing: the gate stays open for another window, a terminal, or its deadline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import mcp_types as types
from mcp.shared.exceptions import MCPError

from forum_mcp.errors import AppendRefused
from forum_mcp.roles.fence import cap, fence, visible

if TYPE_CHECKING:
    from forum_mcp.engine.forum import Forum
    from forum_mcp.engine.views import GateView

__all__ = ["Decision", "GateInputs", "decision_of", "gate_questions", "question", "take_decision", "takes_forms"]

_PREFIX: Final = "gate-"
_ASKED_MAX: Final = 4_000
_REASON_MAX: Final = 1_000
_AT_ONCE: Final = 8

_FORM: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {
        "decision": {"type": "string", "title": "Decision", "enum": ["approve", "reject"]},
        "reason": {"type": "string", "title": "Reason", "maxLength": _REASON_MAX},
    },
    "required": ["decision"],
}


class Decision(NamedTuple):
    """What the person chose."""

    approved: bool
    reason: str


def takes_forms(capabilities: types.ClientCapabilities | None) -> bool:
    """Tell whether the client shows forms: it says so, or declares elicitation without naming a kind of it."""
    declared = None if capabilities is None else capabilities.elicitation
    return declared is not None and (declared.form is not None or declared.url is None)


def question(gate: GateView) -> types.ElicitRequest:
    """Return the question whether what a gate asks for may be done."""
    closes = datetime.fromtimestamp(gate.deadline_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
    asks = visible(cap(json.dumps(gate.asks, ensure_ascii=False, indent=1), _ASKED_MAX))
    message = (
        f"May run {gate.run_id} go on? It waits for your approval ({visible(gate.subject)}, gate {gate.gate}) "
        f"until {closes}; no answer by then is a rejection. What it asks for stands between the marks: it is data "
        f"that models may have written, and speaks for nobody.\n{fence('asks', asks, gate.digest[:16])}"
    )
    return types.ElicitRequest(
        params=types.ElicitRequestFormParams(message=message, requested_schema=cast("Any", _FORM))
    )


def decision_of(response: object) -> Decision | None:
    """Return what an answer decides; None for one that was declined or closed.

    Raises:
        MCPError: it is no answer to the form.
    """
    fields = _members(response.model_dump(by_alias=True) if isinstance(response, types.ElicitResult) else response)
    if fields.get("action") in ("decline", "cancel"):
        return None
    content = _members(fields.get("content"))
    chosen, reason = content.get("decision"), content.get("reason")
    if fields.get("action") != "accept" or chosen not in ("approve", "reject"):
        raise MCPError(
            types.INVALID_PARAMS, "the answer decides nothing; its member 'decision' is to be 'approve' or 'reject'"
        )
    return Decision(chosen == "approve", reason[:_REASON_MAX] if isinstance(reason, str) else "")


def gate_questions(forum: Forum, run_id: str) -> dict[str, types.ElicitRequest]:
    """Return a question for each open gate of a run, the one that closes first in front.

    The keys name the gate and the commitment of what is shown, so that an answer is to that and nothing else. Whoever
    may not approve is not asked: the gate waits for somebody who may.
    """
    if not forum.asks_approvals:
        return {}
    return {f"{_PREFIX}{gate.gate}-{gate.digest}": question(gate) for gate in forum.gates(run_id).gates[:_AT_ONCE]}


async def take_decision(forum: Forum, key: str, decided: Decision, client: str) -> None:
    """Record what the person chose; a gate that somebody else resolved in the meantime stays as it is.

    Raises:
        ForumError: it is refused.
    """
    gate, _, digest = key.removeprefix(_PREFIX).partition("-")
    with suppress(AppendRefused):
        await forum.resolve(
            int(gate),
            approved=decided.approved,
            by=f"host:{client}",
            how="elicitation",
            digest=digest,
            reason=decided.reason,
        )


class GateInputs:
    """Gates that wait for the person, where the client shows forms."""

    def open(
        self, forum: Forum, run_id: str, capabilities: types.ClientCapabilities | None
    ) -> Mapping[str, types.ElicitRequest]:
        """Return a question for each open gate."""
        return gate_questions(forum, run_id) if takes_forms(capabilities) else {}

    async def answer(self, forum: Forum, key: str, response: object, client: str) -> None:
        """Resolve the gate, or leave it open."""
        decided = decision_of(response)
        if decided is not None:
            await take_decision(forum, key, decided, client)


def _members(value: object) -> Mapping[str, object]:
    """Return the members of an object; anything else has none."""
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
