"""The chat executor against a server of the test's own that serves each fault."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from forum_mcp.configs.secrets import resolve_secret
from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.addresses import egress_of
from forum_mcp.executors.base import Call, Executor
from forum_mcp.executors.chat import ChatExecutor, build
from forum_mcp.executors.server import RESPONSE_MAX_BYTES
from tests.executors.fault_server import Answer, FaultServer, completion, respond, send, wait_for_the_end

MakeCall = Callable[..., Call]
Opened = Callable[[ChatExecutor], ChatExecutor]


async def test_one_request_carries_the_call_and_the_outcome_what_was_served(
    server: FaultServer, opened: Opened, make_call: MakeCall
) -> None:
    chat = opened(ChatExecutor(server.url, model="asked-1", api_key="k3y", max_tokens=99, temperature=0.5, seed=4))
    executor: Executor = chat
    outcome = await executor.perform(
        make_call(system="s\u00fd".encode(), prompt=b"p", schema=b'{"type":"object"}', max_tokens=5)
    )
    assert outcome.error is None
    assert (outcome.reply, outcome.finish_reason, outcome.http_status) == (b"hi", "stop", 200)
    assert (outcome.sent_model, outcome.served_model) == ("asked-1", "served-1")
    assert (outcome.tokens_in, outcome.tokens_out) == (7, 3)
    ((first, headers, body),) = server.requests
    assert first == "POST /v1/chat/completions HTTP/1.1"
    assert headers["authorization"] == "Bearer k3y"
    assert json.loads(body) == {
        "model": "asked-1",
        "messages": [{"role": "system", "content": "s\u00fd"}, {"role": "user", "content": "p"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
        "temperature": 0.5,
        "seed": 4,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": {"type": "object"}},
        },
    }


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
async def test_the_url_may_stand_with_or_without_v1(
    server: FaultServer, opened: Opened, make_call: MakeCall, path: str
) -> None:
    chat = opened(ChatExecutor(server.url + path, model="m"))
    assert (await chat.perform(make_call())).error is None
    assert server.requests[0][0] == "POST /v1/chat/completions HTTP/1.1"
    assert chat.identity()["url"] == f"{server.url}/v1"


async def test_another_path_is_taken_as_it_stands(server: FaultServer, opened: Opened, make_call: MakeCall) -> None:
    await opened(ChatExecutor(server.url + "/openai/v2", model="m")).perform(make_call())
    assert server.requests[0][0] == "POST /openai/v2/chat/completions HTTP/1.1"


async def test_a_server_on_a_unix_socket_is_reached(tmp_path: Path, opened: Opened, make_call: MakeCall) -> None:
    path = tmp_path / "s"
    with socket.create_server(str(path), family=socket.AF_UNIX) as listener:
        faults = FaultServer(listener)
        chat = opened(ChatExecutor(f"unix:{path}", model="m"))
        assert chat.egress == "none"
        assert (await chat.perform(make_call())).reply == b"hi"
        faults.close()


STATUSES = [
    (301, "redirect"),
    (302, "redirect"),
    (307, "redirect"),
    (400, "bad-request"),
    (401, "auth"),
    (403, "auth"),
    (404, "bad-request"),
    (408, "timeout"),
    (422, "bad-request"),
    (429, "rate-limit"),
    (500, "server-error"),
    (503, "server-error"),
    (529, "server-error"),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
async def test_every_status_has_its_class_and_is_asked_once(
    server: FaultServer, opened: Opened, make_call: MakeCall, status: int, error: str
) -> None:
    server.answer = respond(
        status,
        b'{"error": {"message": "no\\u001b[2J good"}}',
        Location="http://169.254.169.254/latest/",
        Retry_After="2",
    )
    outcome = await opened(ChatExecutor(server.url, model="m")).perform(make_call())
    assert (outcome.error, outcome.http_status, outcome.reply) == (error, status, None)
    assert len(server.requests) == 1
    assert "\x1b" not in (outcome.detail or "")
    if error != "redirect":
        assert "no" in (outcome.detail or "")
        assert outcome.retry_after_ms == 2_000


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"
BODIES = [
    (respond(200, b"<!doctype html><p>sign in"), "bad-response", "HTML"),
    (respond(200, b""), "bad-response", "empty"),
    (respond(204), "bad-response", "empty"),
    (respond(200, b'{"choices": [{"mess'), "bad-response", "JSON"),
    (respond(200, b"\xff\xfe{}"), "bad-response", "JSON"),
    (respond(200, b"[" * 100_000), "bad-response", "JSON"),
    (respond(200, b"{}"), "bad-response", "choices"),
    (respond(200, b"[]"), "bad-response", "choices"),
    (respond(200, b'{"choices": []}'), "bad-response", "choices"),
    (respond(200, b'{"choices": [7]}'), "bad-response", "choices"),
    (respond(200, b'{"choices": {"0": 1}}'), "bad-response", "choices"),
    (respond(200, b'{"error": {"message": "no such model"}}'), "bad-response", "no such model"),
    (respond(200, completion(7)), "bad-response", "text"),
    (respond(200, completion("")), "empty-reply", "text"),
    (respond(200, completion("  \n")), "empty-reply", "text"),
    (respond(200, completion(None)), "empty-reply", "text"),
    (respond(200, b"x", Content_Encoding="gzip"), "bad-response", "compressed"),
    (respond(200, b"x" * (RESPONSE_MAX_BYTES + 1)), "output-limit", "larger"),
    (send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), "bad-response", ""),
    (send(b""), "connection-lost", ""),
    (send(CUT), "connection-lost", ""),
    (send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n{"), "connection-lost", ""),
]


@pytest.mark.parametrize(("answer", "error", "word"), BODIES)
async def test_an_answer_that_is_not_the_protocol_is_named(
    server: FaultServer, opened: Opened, make_call: MakeCall, answer: Answer, error: str, word: str
) -> None:
    server.answer = answer
    outcome = await opened(ChatExecutor(server.url, model="m")).perform(make_call())
    assert outcome.error == error, outcome
    assert word in (outcome.detail or "")
    assert outcome.sent_model == "m"


async def test_an_endless_body_ends_at_the_cap(server: FaultServer, opened: Opened, make_call: MakeCall) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")

    server.answer = flood
    outcome = await opened(ChatExecutor(server.url, model="m")).perform(make_call())
    assert outcome.error == "output-limit"
    assert server.left.wait(10)


@pytest.mark.parametrize("before", [b"", CUT])
async def test_a_server_that_falls_silent_is_a_timeout(
    server: FaultServer, opened: Opened, make_call: MakeCall, before: bytes
) -> None:
    def stall(connection: socket.socket) -> None:
        connection.sendall(before)
        wait_for_the_end(connection)

    server.answer = stall
    with anyio.fail_after(10):
        outcome = await opened(ChatExecutor(server.url, model="m")).perform(make_call(timeout_ms=200))
    assert outcome.error == "timeout"
    assert server.left.wait(10)


async def test_a_drip_of_bytes_does_not_stretch_the_time_limit(
    server: FaultServer, opened: Opened, make_call: MakeCall
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(CUT)
        connection.settimeout(0.02)
        while True:
            connection.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return

    server.answer = drip
    with anyio.fail_after(10):
        outcome = await opened(ChatExecutor(server.url, model="m")).perform(make_call(timeout_ms=300))
    assert outcome.error == "timeout"


async def test_cancellation_closes_the_connection(server: FaultServer, opened: Opened, make_call: MakeCall) -> None:
    arrived = threading.Event()

    def stall(connection: socket.socket) -> None:
        arrived.set()
        wait_for_the_end(connection)

    server.answer = stall
    chat = opened(ChatExecutor(server.url, model="m"))
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(chat.perform, make_call())
            await anyio.to_thread.run_sync(arrived.wait)
            group.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(server.left.wait, 5)


async def test_nobody_listening_is_connect(opened: Opened, make_call: MakeCall) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    outcome = await opened(ChatExecutor(f"http://127.0.0.1:{port}", model="m")).perform(make_call())
    assert outcome.error == "connect"


async def test_a_name_that_nobody_knows_is_connect(
    opened: Opened, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = await opened(ChatExecutor("http://no-such-host.invalid", model="m")).perform(make_call())
    assert (outcome.error, "not known" in (outcome.detail or "")) == ("connect", True)


async def test_tls_towards_a_plain_server_is_connect(server: FaultServer, opened: Opened, make_call: MakeCall) -> None:
    server.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    url = server.url.replace("http:", "https:")
    outcome = await opened(ChatExecutor(url, model="m")).perform(make_call())
    assert outcome.error == "connect"


WRONG_SIDE_FACTS = [
    {"usage": None, "model": None},
    {"usage": [1], "model": 7},
    {"usage": {"prompt_tokens": "7", "completion_tokens": -1}, "model": ""},
    {"usage": {"prompt_tokens": True, "completion_tokens": 2**60}, "model": "x" * 300},
    {"usage": {"prompt_tokens": 1.5, "completion_tokens": 10**400}, "model": "a\nb"},
]


@pytest.mark.parametrize("members", WRONG_SIDE_FACTS)
async def test_side_facts_of_the_wrong_type_are_ignored(
    server: FaultServer, opened: Opened, make_call: MakeCall, members: dict[str, object]
) -> None:
    server.answer = respond(200, completion("fine", **members))
    outcome = await opened(ChatExecutor(server.url, model="m")).perform(make_call())
    assert (outcome.error, outcome.reply) == (None, b"fine")
    assert (outcome.served_model, outcome.tokens_in, outcome.tokens_out) == (None, None, None)


async def test_the_key_is_in_no_detail_and_no_identity(
    server: FaultServer, opened: Opened, make_call: MakeCall
) -> None:
    server.answer = respond(401, b'{"error": "bad key sk-12345, sk-12345!"}')
    chat = opened(ChatExecutor(server.url, model="m", api_key="sk-12345"))
    outcome = await chat.perform(make_call())
    assert outcome.error == "auth"
    assert "sk-12345" not in f"{outcome} {dict(chat.identity())} {chat!r}"


async def test_a_cookie_of_one_attempt_is_not_sent_with_the_next(
    server: FaultServer, opened: Opened, make_call: MakeCall
) -> None:
    server.answer = respond(200, completion("hi"), Set_Cookie="memory=1")
    chat = opened(ChatExecutor(server.url, model="m"))
    await chat.perform(make_call())
    await chat.perform(make_call())
    assert "cookie" not in server.requests[1][1]


async def test_proxies_of_the_environment_are_not_used(
    server: FaultServer, opened: Opened, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert (await opened(ChatExecutor(server.url, model="m")).perform(make_call())).error is None


async def test_closing_twice_is_harmless(server: FaultServer, make_call: MakeCall) -> None:
    chat = ChatExecutor(server.url, model="m")
    await chat.perform(make_call())
    await chat.aclose()
    await chat.aclose()


def test_identity_is_free_of_floats() -> None:
    chat = ChatExecutor("https://api.example/v1", model="m", temperature=0.2, max_tokens=4)
    assert chat.identity() == {
        "type": "chat",
        "url": "https://api.example/v1",
        "model": "m",
        "max_tokens": 4,
        "temperature": "0.2",
        "seed": None,
        "stream": True,
        "cut_replies": "fail",
    }


HOSTS = {
    "localhost": "none",
    "LOCALHOST.": "none",
    "models.localhost": "none",
    "127.0.0.1": "none",
    "127.9.9.9": "none",
    "::1": "none",
    "::ffff:127.0.0.1": "none",
    "0.0.0.0": "none",
    "10.0.0.7": "lan",
    "192.168.1.1": "lan",
    "172.31.0.1": "lan",
    "169.254.169.254": "lan",
    "fe80::1%eth0": "lan",
    "fd00::1": "lan",
    "box.local": "lan",
    "172.32.0.1": "internet",
    "8.8.8.8": "internet",
    "::ffff:8.8.8.8": "internet",
    "api.example.com": "internet",
    "localhost.example.com": "internet",
    "127.0.0.1.example.com": "internet",
    "local": "internet",
    "2130706433": "internet",
}


@pytest.mark.parametrize(("host", "egress"), HOSTS.items())
def test_egress_follows_from_the_host(host: str, egress: str) -> None:
    assert egress_of(host) == egress


def test_egress_of_the_settings_goes_first() -> None:
    settings = ExecutorSettings(type="chat", url="http://127.0.0.1:1", model="m", egress="internet")
    assert build("x", settings).egress == "internet"
    assert build("x", settings.model_copy(update={"egress": None})).egress == "none"


BAD_URLS = [
    "http://me:pw@127.0.0.1/v1",
    "http://127.0.0.1/v1?key=sk-1",
    "http://127.0.0.1/v1#x",
    "http://",
    "http://[::1",
    "http://127.0.0.1:99999",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_without_sense_or_with_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ConfigRefused) as refusal:
        build("x", ExecutorSettings(type="chat", url=url, model="m"))
    assert "pw" not in str(refusal.value)
    assert "sk-1" not in str(refusal.value)


def test_a_secret_is_read_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" abc\n")
    assert resolve_secret("env:K", environ={"K": "v"}, what="key") == "v"
    assert resolve_secret(f"file:{tmp_path}/key", environ={}, what="key") == "abc"


def test_a_secret_that_is_no_reference_or_leads_nowhere_is_refused_without_its_value(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("hidden words")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    references = ["sk-hidden", "env:", "file:", "env:ABSENT", "env:EMPTY", "file:/no/such", "file:~nobody-here/k"]
    references += [f"file:{tmp_path}", f"file:{tmp_path}/two", f"file:{tmp_path}/binary"]
    for reference in references:
        with pytest.raises(ConfigRefused) as refusal:
            resolve_secret(reference, environ={"EMPTY": ""}, what="api_key")
        assert "hidden" not in str(refusal.value)
        assert str(tmp_path) not in str(refusal.value)
