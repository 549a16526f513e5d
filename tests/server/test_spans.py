"""Spans of attempts: inside the request's, by the GenAI names, and without any text of the record."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace

from forum_mcp.configs.settings import Settings

REQUEST = "write a poem about a secret thing"


class Recorder:
    """Stands for a configured provider: keeps the names and attributes of spans."""

    def __init__(self) -> None:
        self.spans: dict[str, dict[str, Any]] = {}

    @contextmanager
    def start_as_current_span(
        self, name: str, attributes: Mapping[str, Any] | None = None, **_: Any
    ) -> Generator[trace.Span]:
        told = self.spans.setdefault(name, dict(attributes or {}))

        class Kept(trace.NonRecordingSpan):
            def set_attributes(self, attributes: Mapping[str, Any]) -> None:
                told.update(attributes)

        yield Kept(trace.INVALID_SPAN_CONTEXT)


async def test_an_attempt_is_a_span_without_any_text(
    connect: Any, scripted_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()

    def get_tracer(name: str) -> Recorder:
        return recorder

    monkeypatch.setattr(trace, "get_tracer", get_tracer)
    async with connect(scripted_settings) as forum:
        run = await forum.call("submit", request=REQUEST, single=True)
        assert run["state"] == "succeeded"
        told = recorder.spans["invoke_agent team"]
        assert told["gen_ai.operation.name"] == "invoke_agent"
        assert told["forum.run_id"] == run["run_id"]
        assert (told["forum.purpose"], told["forum.task"]) == ("task", "t1")
        entry = (await forum.call("ledger_show", seq=told["forum.seq"]))["entries"][0]
        assert entry["kind"] == "call.started"
        assert "secret" not in str(recorder.spans)
        assert "beforehand" not in str(recorder.spans)


async def test_without_a_provider_nothing_is_kept(connect: Any, scripted_settings: Settings) -> None:
    async with connect(scripted_settings) as forum:
        assert (await forum.call("submit", request=REQUEST, single=True))["state"] == "succeeded"
        assert not trace.get_current_span().is_recording()
