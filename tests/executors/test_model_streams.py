"""Replies as events, in both dialects: whole, cut, endless, refused, too long, and what is kept of each."""

import json
import socket
from collections.abc import Callable

import anyio
import pytest

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors import build
from forum_mcp.executors.anthropic import API_URL, AnthropicExecutor
from forum_mcp.executors.base import Call, Executor, Outcome
from forum_mcp.executors.chat import ChatExecutor
from forum_mcp.executors.messages import MAX_TOKENS_DEFAULT
from forum_mcp.executors.server import CutReplies
from tests.executors.fault_server import Answer, FaultServer, respond, wait_for_the_end

MakeCall = Callable[..., Call]
Opened = Callable[[Executor], Executor]

Events = list[dict[str, object] | str]


def chunk(text: str | None = None, finish: str | None = None, **members: object) -> dict[str, object]:
    delta = {} if text is None else {"content": text}
    return {"model": "served-1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **members}


CHAT_USAGE: dict[str, object] = {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 5}}


def chat_events(finish: str = "stop", texts: tuple[str, ...] = ("h\u00e9", "llo")) -> Events:
    return [chunk(""), *(chunk(text) for text in texts), chunk(finish=finish), CHAT_USAGE, "[DONE]"]


STARTED: dict[str, object] = {
    "type": "message_start",
    "message": {"type": "message", "model": "served-1", "usage": {"input_tokens": 13, "cache_read_input_tokens": 7}},
}


def text_delta(text: str) -> dict[str, object]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def messages_events(finish: str = "end_turn", texts: tuple[str, ...] = ("h\u00e9", "llo")) -> Events:
    thinking: dict[str, object] = {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "hm"},
    }
    ended: dict[str, object] = {
        "type": "message_delta",
        "delta": {"stop_reason": finish},
        "usage": {"output_tokens": 5},
    }
    return [
        STARTED,
        {"type": "ping"},
        thinking,
        *(text_delta(text) for text in texts),
        ended,
        {"type": "message_stop"},
    ]


class Dialect:
    """What one dialect calls things."""

    def __init__(
        self, make: Callable[..., Executor], events: Callable[..., Events], cut: str, refused: str, name: str
    ) -> None:
        self.make, self.events, self.cut, self.refused, self.name = make, events, cut, refused, name


CHAT = Dialect(ChatExecutor, chat_events, "length", "content_filter", "chat")
MESSAGES = Dialect(AnthropicExecutor, messages_events, "max_tokens", "refusal", "anthropic")
both = pytest.mark.parametrize("dialect", [CHAT, MESSAGES], ids=lambda dialect: dialect.name)


def encoded(events: Events) -> bytes:
    lines = [event if isinstance(event, str) else json.dumps(event, ensure_ascii=False) for event in events]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def stream(data: bytes, then: Answer = lambda _: None, step: int = 7) -> Answer:
    """Answer with events, in chunks of a few bytes, then do something else before the connection ends."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(data), step):
            part = data[at : at + step]
            connection.sendall(b"%x\r\n" % len(part) + part + b"\r\n")
        then(connection)

    return answer


def last_chunk(connection: socket.socket) -> None:
    connection.sendall(b"0\r\n\r\n")


async def asked(
    server: FaultServer,
    opened: Opened,
    dialect: Dialect,
    call: Call,
    *,
    cut_replies: CutReplies = "fail",
) -> Outcome:
    with anyio.fail_after(10):
        return await opened(dialect.make(server.url, model="asked-1", cut_replies=cut_replies)).perform(call)


@both
async def test_a_reply_in_events_is_whole_with_model_and_usage(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect
) -> None:
    server.answer = stream(encoded(dialect.events()), last_chunk)
    outcome = await asked(server, opened, dialect, make_call())
    assert (outcome.error, outcome.reply) == (None, "h\u00e9llo".encode())
    assert (outcome.sent_model, outcome.served_model, outcome.http_status) == ("asked-1", "served-1", 200)
    assert (outcome.tokens_in, outcome.tokens_out, outcome.truncated) == (20, 5, False)


@both
async def test_the_end_of_the_reply_is_enough_whatever_the_connection_does(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect
) -> None:
    server.answer = stream(encoded(dialect.events()), wait_for_the_end)
    assert (await asked(server, opened, dialect, make_call())).error is None


@both
@pytest.mark.parametrize("properly", [True, False])
async def test_a_cut_stream_is_lost_and_what_arrived_is_kept(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect, properly: bool
) -> None:
    events = dialect.events()[:-3]
    server.answer = stream(encoded(events), last_chunk if properly else lambda _: None)
    outcome = await asked(server, opened, dialect, make_call())
    assert (outcome.error, outcome.served_model) == ("connection-lost", "served-1")
    assert "h\u00e9llo".startswith((outcome.reply or b"").decode())


@both
async def test_a_stream_that_falls_silent_is_a_timeout_with_what_was_said(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect
) -> None:
    server.answer = stream(encoded(dialect.events()[:5]), wait_for_the_end, step=1_000)
    outcome = await asked(server, opened, dialect, make_call(timeout_ms=1_500))
    assert (outcome.error, outcome.truncated) == ("timeout", True)
    assert (outcome.reply or b"").startswith("h\u00e9".encode())


@both
async def test_an_endless_stream_ends_at_the_cap(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect
) -> None:
    more = encoded([chunk("x" * 65_000) if dialect is CHAT else text_delta("x" * 65_000)])

    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"%x\r\n" % len(more) + more + b"\r\n")

    server.answer = stream(encoded(dialect.events()[:1]), flood)
    outcome = await asked(server, opened, dialect, make_call())
    assert (outcome.error, outcome.truncated) == ("output-limit", True)


@both
async def test_a_reply_at_the_token_limit_is_an_error_of_its_own_or_kept_as_the_settings_say(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect
) -> None:
    server.answer = stream(encoded(dialect.events(dialect.cut)), last_chunk)
    failed = await asked(server, opened, dialect, make_call())
    assert (failed.error, failed.reply, failed.truncated) == ("length", "h\u00e9llo".encode(), True)
    kept = await asked(server, opened, dialect, make_call(), cut_replies="keep")
    assert (kept.error, kept.finish_reason, kept.truncated) == (None, dialect.cut, True)


@both
async def test_a_limit_reached_before_any_word_is_an_error_even_where_cut_replies_are_kept(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect
) -> None:
    server.answer = stream(encoded(dialect.events(dialect.cut, ())), last_chunk)
    assert (await asked(server, opened, dialect, make_call(), cut_replies="keep")).error == "length"


@both
async def test_a_refusal_is_one_whatever_was_said_before_it(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect
) -> None:
    server.answer = stream(encoded(dialect.events(dialect.refused)), last_chunk)
    outcome = await asked(server, opened, dialect, make_call())
    assert (outcome.error, outcome.finish_reason, outcome.reply) == ("refused", dialect.refused, "h\u00e9llo".encode())


@both
@pytest.mark.parametrize("data", [b"data: <html>\n\n", b": nothing\n\n", b"", b"data: [1]\n\n", b"event: x\n\n"])
async def test_a_stream_without_a_reply_is_named(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect, data: bytes
) -> None:
    server.answer = stream(data, last_chunk)
    outcome = await asked(server, opened, dialect, make_call())
    assert outcome.error in ("bad-response", "connection-lost")
    assert outcome.reply is None


@both
@pytest.mark.parametrize("usage", [None, 7, {"input_tokens": -1, "prompt_tokens": "x"}, {"prompt_tokens": True}])
async def test_usage_of_the_wrong_shape_is_unknown_and_never_zero(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect, usage: object
) -> None:
    message = {"type": "message", "model": "other", "content": [{"type": "text", "text": "hi"}], "usage": usage}
    choices = [{"message": {"content": "hi"}, "finish_reason": "stop"}]
    server.answer = respond(200, json.dumps({**message, "choices": choices, "stop_reason": "end_turn"}).encode())
    outcome = await asked(server, opened, dialect, make_call())
    assert (outcome.error, outcome.reply, outcome.served_model) == (None, b"hi", "other")
    assert (outcome.tokens_in, outcome.tokens_out) == (None, None)


@both
async def test_a_redirect_to_a_link_local_address_is_not_followed(
    server: FaultServer, opened: Opened, make_call: MakeCall, dialect: Dialect
) -> None:
    server.answer = respond(307, b"", Location="http://169.254.169.254/latest/meta-data/")
    outcome = await asked(server, opened, dialect, make_call())
    assert (outcome.error, outcome.http_status, len(server.requests)) == ("redirect", 307, 1)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("overloaded_error", "server-error"),
        ("rate_limit_error", "rate-limit"),
        ("authentication_error", "auth"),
        ("invalid_request_error", "bad-request"),
        ("something_new", "server-error"),
    ],
)
async def test_an_error_among_the_events_has_its_class(
    server: FaultServer, opened: Opened, make_call: MakeCall, kind: str, error: str
) -> None:
    fault: dict[str, object] = {"type": "error", "error": {"type": kind, "message": "not now"}}
    server.answer = stream(encoded([STARTED, text_delta("he"), fault]), last_chunk)
    outcome = await asked(server, opened, MESSAGES, make_call())
    assert (outcome.error, outcome.detail, outcome.reply) == (error, "not now", b"he")


async def test_an_error_among_chat_events_ends_the_reply(
    server: FaultServer, opened: Opened, make_call: MakeCall
) -> None:
    server.answer = stream(encoded([chunk("he"), {"error": {"message": "out of memory"}}]), wait_for_the_end)
    outcome = await asked(server, opened, CHAT, make_call())
    assert (outcome.error, outcome.detail, outcome.reply) == ("server-error", "out of memory", b"he")


async def test_a_request_to_the_messages_api_has_its_form(
    server: FaultServer, opened: Opened, make_call: MakeCall
) -> None:
    server.answer = stream(encoded(messages_events()), last_chunk)
    executor = opened(AnthropicExecutor(server.url, model="m", api_key="k3y", temperature=0.5))
    await executor.perform(make_call(system=b"be brief"))
    ((first, headers, body),) = server.requests
    assert first == "POST /v1/messages HTTP/1.1"
    assert (headers["x-api-key"], headers["anthropic-version"]) == ("k3y", "2023-06-01")
    assert "authorization" not in headers
    assert json.loads(body) == {
        "model": "m",
        "max_tokens": MAX_TOKENS_DEFAULT,
        "messages": [{"role": "user", "content": "hello"}],
        "system": "be brief",
        "temperature": 0.5,
        "stream": True,
    }


async def test_the_key_is_in_no_detail_and_no_identity(
    server: FaultServer, opened: Opened, make_call: MakeCall
) -> None:
    server.answer = respond(401, b'{"type": "error", "error": {"message": "bad key k3y-abc"}}')
    executor = opened(AnthropicExecutor(server.url, model="m", api_key="k3y-abc"))
    outcome = await executor.perform(make_call())
    assert (outcome.error, outcome.detail) == ("auth", "HTTP 401: bad key ***")
    assert "k3y-abc" not in json.dumps(dict(executor.identity()))


def test_without_a_url_it_is_anthropic_s_with_the_usual_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    settings = ExecutorSettings(type="anthropic", model="m")
    with pytest.raises(ConfigRefused, match="env:ANTHROPIC_API_KEY"):
        build("api", settings)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k3y")
    executor = build("api", settings)
    assert (executor.identity()["url"], executor.egress) == (API_URL, "internet")
    local = build("api", ExecutorSettings(type="anthropic", model="m", url="http://127.0.0.1:8080"))
    assert local.egress == "none"
    at_a_socket = build("api", ExecutorSettings(type="anthropic", model="m", url="unix:/run/model.sock"))
    assert (at_a_socket.egress, at_a_socket.identity()["url"]) == ("none", "unix:/run/model.sock")
