"""Spans of attempts, for whoever observes this process with OpenTelemetry; nothing at all where nobody does.

Only the API is used, and only where it is loaded already (the MCP SDK, which a server loads, opens a span for each
request): a provider that is configured sees our attempts inside those requests. Names of attributes are those of
OpenTelemetry's GenAI conventions. A span holds no prompt, no reply and no error text: the record has them.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from forum_mcp.executors.base import Outcome
from forum_mcp.ledger.entry import Entry
from forum_mcp.ledger.kinds.call import CallStarted

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["Attempt", "attempt_span"]

_API: Final = "opentelemetry.trace"
_MODELS: Final = ("chat", "messages", "anthropic", "local")


class Attempt:
    """The span of one attempt, or of none."""

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def ended(self, outcome: Outcome) -> None:
        """Note what came of it."""
        if self._span is None:
            return
        told = {
            "gen_ai.response.model": outcome.served_model,
            "gen_ai.usage.input_tokens": outcome.tokens_in,
            "gen_ai.usage.output_tokens": outcome.tokens_out,
            "gen_ai.response.finish_reasons": None if outcome.finish_reason is None else [outcome.finish_reason],
            "error.type": outcome.error,
        }
        self._span.set_attributes({name: value for name, value in told.items() if value is not None})


@contextmanager
def attempt_span(entry: Entry, payload: CallStarted) -> Generator[Attempt]:
    """Hold the span of an attempt open for the length of the block."""
    if _API not in sys.modules:
        yield Attempt()
        return
    from opentelemetry import trace

    operation = "chat" if payload.type in _MODELS else "invoke_agent"
    given = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": payload.model,
        "gen_ai.request.max_tokens": payload.max_tokens,
        "gen_ai.agent.name": payload.executor,
        "forum.run_id": entry.run,
        "forum.seq": entry.seq,
        "forum.purpose": payload.purpose,
        "forum.task": payload.task,
    }
    attributes = {name: value for name, value in given.items() if value is not None}
    name = f"{operation} {payload.model or payload.executor}"
    tracer = trace.get_tracer("forum_mcp")
    with tracer.start_as_current_span(name, attributes=attributes, record_exception=False) as span:
        yield Attempt(span)
