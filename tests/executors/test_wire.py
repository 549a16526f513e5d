"""The chat-completions wire format, without a connection."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.events import EventStream
from forum_mcp.executors.messages import MessagesWire
from forum_mcp.executors.server import Wire
from forum_mcp.executors.wire import RETRY_AFTER_MAX_MS, ChatWire, read_error, retry_after_ms
from forum_mcp.rules.failures import ERROR_CLASSES

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)

WAITS: list[tuple[dict[str, str], int | None]] = [
    ({}, None),
    ({"retry-after": "3"}, 3_000),
    ({"retry-after": " 0 "}, 0),
    ({"retry-after": "1.5"}, 1_500),
    ({"retry-after": "-3"}, None),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "1e9"}, None),
    ({"retry-after": "999999999999"}, RETRY_AFTER_MAX_MS),
    ({"retry-after": "9" * 400}, None),
    ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30_000),
    ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0),
    ({"retry-after": "Fri, 21 Nov 2036 12:00:00 GMT"}, RETRY_AFTER_MAX_MS),
    ({"retry-after": "Sat, 99 Nov 2026 12:00:30 GMT"}, None),
    ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT", "date": "Sat, 21 Nov 2026 12:00:20 GMT"}, 10_000),
    ({"retry-after": "9", "retry-after-ms": "250"}, 250),
]


@pytest.mark.parametrize(("headers", "wait_ms"), WAITS)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], wait_ms: int | None) -> None:
    assert retry_after_ms(headers, NOW) == wait_ms


def test_a_request_without_options_names_none_of_them(make_call: Callable[..., Call]) -> None:
    body = ChatWire("m", stream=False).body(make_call())
    assert json.loads(body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": False,
    }


def reply(message: dict[str, object], finish_reason: object = "stop") -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}]}).encode()


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, 7, {"type": "text", "text": "b"}]
    assert ChatWire("m").read(reply({"content": parts})).reply == b"ab"


def test_a_refusal_is_told_in_its_own_words() -> None:
    outcome = ChatWire("m").read(reply({"content": None, "refusal": "I will not"}))
    assert (outcome.error, outcome.detail) == ("refused", "I will not")


def test_a_reply_withheld_by_a_filter_is_refused_and_a_cut_one_is_kept() -> None:
    withheld = ChatWire("m").read(reply({"content": ""}, "content_filter"))
    assert (withheld.error, withheld.finish_reason) == ("refused", "content_filter")
    filtered = ChatWire("m").read(reply({"content": "half"}, "content_filter"))
    assert (filtered.error, filtered.reply) == ("refused", b"half")
    cut = ChatWire("m").read(reply({"content": "half"}, "length"))
    assert (cut.reply, cut.finish_reason, cut.truncated) == (b"half", "length", True)


def test_a_lone_surrogate_is_a_bad_response_and_no_exception() -> None:
    data = b'{"choices": [{"message": {"content": "a\\ud800"}}]}'
    assert ChatWire("m").read(data).error == "bad-response"


@pytest.mark.parametrize(
    "body", [b'{"error": {"message": "m"}}', b'{"error": "m"}', b'{"message": "m"}', b'{"detail": "m"}']
)
def test_an_error_text_is_found_where_servers_put_it(body: bytes) -> None:
    assert read_error(body) == "m"


def test_an_error_text_is_short_and_printable() -> None:
    said = read_error(json.dumps({"error": {"message": "a\x1b[31m\n" + "x" * 9_999}}).encode())
    assert said is not None
    assert len(said) == 300
    assert said.isprintable()


WIRES = st.sampled_from([ChatWire("m"), MessagesWire("m")])
NAMES = [
    "choices",
    "message",
    "content",
    "usage",
    "error",
    "finish_reason",
    "model",
    "refusal",
    "type",
    "delta",
    "text",
]
NAMED = st.text() | st.sampled_from(["message", "message_start", "content_block_delta", "message_delta"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
)


def in_a_response(inner: object) -> dict[str, object]:
    return {"choices": [{"message": inner, "delta": inner}], "usage": inner, "error": inner, "content": [inner]}


def check_outcome(outcome: Outcome) -> None:
    assert outcome.error is None or outcome.error in ERROR_CLASSES
    assert (outcome.error is None) <= (outcome.reply is not None)


@settings(deadline=None)
@given(WIRES, JSON | JSON.map(in_a_response))
def test_no_json_value_raises(wire: Wire, value: object) -> None:
    data = json.dumps(value).encode()
    read_error(data)
    check_outcome(wire.read(data))


@settings(deadline=None)
@given(WIRES, st.lists(JSON | JSON.map(in_a_response), max_size=4), st.booleans())
def test_no_event_of_a_stream_raises(wire: Wire, values: list[object], whole: bool) -> None:
    reading = wire.reading()
    for value in values:
        reading.take("", json.dumps(value))
    if whole:
        reading.take("", "[DONE]")
    check_outcome(reading.outcome())


@settings(deadline=None)
@given(WIRES, st.binary())
def test_no_bytes_raise(wire: Wire, data: bytes) -> None:
    read_error(data)
    assert wire.read(data).error == "bad-response"


@settings(deadline=None)
@given(st.lists(st.binary(max_size=12)))
def test_events_are_the_same_however_the_bytes_are_cut(parts: list[bytes]) -> None:
    def events(pieces: list[bytes]) -> list[tuple[str, str]]:
        stream = EventStream()
        return [event for piece in pieces for event in stream.feed(piece)] + stream.close()

    data = b"".join(parts)
    assert events(parts) == events([data]) == events([data[at : at + 1] for at in range(len(data))])


def test_events_have_names_lines_and_comments() -> None:
    stream = EventStream()
    said = b": hello\r\nevent: a\r\ndata: one\r\ndata:two\r\n\r\nid: 7\n\ndata: {}\n\ndata: unfinished"
    assert stream.feed(said) == [("a", "one\ntwo"), ("", "{}")]
    assert stream.close() == [("", "unfinished")]
