"""Where secrets leave the text: every event of a run is scrubbed before it is committed to.

Decisions are made from what events recorded, and prompts are decisions, so what is sent on is scrubbed too. A
credential reaches an executor only as its own setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

import msgspec

from forum_mcp.configs.secrets import resolve_secret
from forum_mcp.engine.scrubbing import Scrubber, environment_secrets
from forum_mcp.errors import ConfigRefused
from forum_mcp.ledger.entry import BodyRef, Draft, NewBody
from forum_mcp.ledger.kinds import KINDS

if TYPE_CHECKING:
    from forum_mcp.configs.settings import Settings
    from forum_mcp.executors.base import Executor

__all__ = ["recorded_identity", "scrub_event", "scrubber_of"]

_WRITTEN: Final = frozenset({"request", "plan", "reply", "stderr", "detail", "reason", "note", "patch"})
"""Bodies that hold what a person, a model or a command wrote; the others are the engine's own."""


def scrubber_of(settings: Settings, environ: Mapping[str, str]) -> Scrubber:
    """Return a scrubber of the secrets this process knows: its environment's and its executors'."""
    secrets = environment_secrets(environ)
    for name, provider in settings.context.items():
        secrets |= {f"context.{name}:{key}": value for key, value in environment_secrets(provider.env).items()}
    for name, each in settings.executors.items():
        secrets |= {f"{name}:{key}": value for key, value in environment_secrets(each.env).items()}
        if each.api_key is not None:
            try:
                secrets[f"{name}:api-key"] = resolve_secret(each.api_key, environ=environ, what="api_key")
            except ConfigRefused:
                continue  # building the executor says so
    return Scrubber(secrets)


def scrub_event(draft: Draft, scrubber: Scrubber) -> Draft:
    """Return the draft with known secrets taken out of what somebody wrote, and how many by which rule."""
    kind = KINDS.get(draft.kind)
    if kind is None or kind.role != "event":
        return draft
    bodies: dict[str, NewBody | BodyRef] = dict(draft.bodies)
    total: dict[str, int] = {}
    for name in _WRITTEN & bodies.keys():
        body = bodies[name]
        if isinstance(body, NewBody):
            clean, counts = scrubber.scrub_bytes(body.data)
            bodies[name] = NewBody(body.type, clean)
            total = {rule: total.get(rule, 0) + counts.get(rule, 0) for rule in {*total, *counts}}
    if not total:
        return draft
    return msgspec.structs.replace(draft, data={**draft.data, "scrubbed": total}, bodies=bodies)


def recorded_identity(executor: Executor, scrubber: Scrubber) -> dict[str, object]:
    """Return the executor's identity as it is recorded and compared: JSON, scrubbed."""
    text, _ = scrubber.scrub(msgspec.json.encode(executor.identity(), order="sorted").decode())
    return cast(dict[str, object], msgspec.json.decode(text))
