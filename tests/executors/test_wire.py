"""The chat-completions wire format, without a connection."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forum_mcp.executors.base import Call
from forum_mcp.executors.wire import RETRY_AFTER_MAX_MS, read_error, read_reply, request_body, retry_after_ms
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
    body = request_body(make_call(), model="m", max_tokens=None, temperature=None, seed=None)
    assert json.loads(body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": False,
    }


def reply(message: dict[str, object], finish_reason: object = "stop") -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish_reason}]}).encode()


def test_content_in_parts_is_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, 7, {"type": "text", "text": "b"}]
    assert read_reply(reply({"content": parts}), sent_model="m").reply == b"ab"


def test_a_refusal_is_told_in_its_own_words() -> None:
    outcome = read_reply(reply({"content": None, "refusal": "I will not"}), sent_model="m")
    assert (outcome.error, outcome.detail) == ("refused", "I will not")


def test_a_reply_withheld_by_a_filter_is_refused_and_a_cut_one_is_kept() -> None:
    withheld = read_reply(reply({"content": ""}, "content_filter"), sent_model="m")
    assert (withheld.error, withheld.finish_reason) == ("refused", "content_filter")
    cut = read_reply(reply({"content": "half"}, "length"), sent_model="m")
    assert (cut.error, cut.reply, cut.finish_reason) == (None, b"half", "length")


def test_a_lone_surrogate_is_a_bad_response_and_no_exception() -> None:
    data = b'{"choices": [{"message": {"content": "a\\ud800"}}]}'
    assert read_reply(data, sent_model="m").error == "bad-response"


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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "usage", "error", "finish_reason", "model", "refusal"]),
            inner,
        )
    ),
)


def in_a_response(inner: object) -> dict[str, object]:
    return {"choices": [{"message": inner}], "usage": inner, "error": inner}


@settings(deadline=None)
@given(JSON | JSON.map(in_a_response))
def test_no_json_value_raises(value: object) -> None:
    data = json.dumps(value).encode()
    read_error(data)
    outcome = read_reply(data, sent_model="m")
    assert outcome.error is None or outcome.error in ERROR_CLASSES
    assert (outcome.error is None) <= (outcome.reply is not None)


@settings(deadline=None)
@given(st.binary())
def test_no_bytes_raise(data: bytes) -> None:
    read_error(data)
    assert read_reply(data, sent_model="m").error == "bad-response"
