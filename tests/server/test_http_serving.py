"""The server over HTTP as a process: who gets in, what it costs to try, and how it ends."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from forum_mcp.engine.ledger import Ledger
from forum_mcp.server.http_connections import CONNECTIONS_MAX, HEAD_MAX
from forum_mcp.server.http_gate import BODY_MAX
from tests.server.http_peer import END_S, META, HttpProcess, read_all

TOKEN = "a-token-for-tests-only"
Serve = Callable[..., HttpProcess]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start servers on one ledger, which end with the test."""
    monkeypatch.setenv("FORUM_TOKEN", TOKEN)
    started: list[HttpProcess] = []

    def serving(*arguments: str) -> HttpProcess:
        started.append(HttpProcess(["--ledger", str(tmp_path / "ledger.db"), *arguments]))
        return started[-1]

    yield serving
    for process in started:
        process.stop()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpProcess]:
    """One server that many tests knock at."""
    home = tmp_path_factory.mktemp("door")
    env = {**os.environ, "FORUM_TOKEN": TOKEN, "HOME": str(home), "FORUM_STATE_DIR": str(home)}
    server = HttpProcess(["--origin", "https://app.example"], env)
    yield server
    assert server.stop() == 0


def verified(ledger: Path) -> list[str]:
    """Verify a ledger; return the kinds of its entries."""
    with Ledger.open(ledger, create=False) as opened:
        assert opened.verify(level=4).findings == []
        return [entry.kind for entry in opened.show(limit=500).entries]


def test_the_token_is_made_on_first_use_for_this_user_only(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FORUM_TOKEN")
    monkeypatch.setenv("FORUM_STATE_DIR", str(tmp_path / "state"))
    server = serve()
    kept = tmp_path / "state" / "http-token"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    token = kept.read_text().strip()
    assert server.post(token, "tools/list").status_code == 200
    again = serve()
    assert kept.read_text().strip() == token
    assert again.post(token, "tools/list").status_code == 200
    assert server.post(TOKEN, "tools/list").status_code == 401


@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x", TOKEN[:-1], "", "\u00e9"])
def test_without_the_right_token_nothing_is_told(door: HttpProcess, token: str | None) -> None:
    given = "" if token is None else f"Authorization: Bearer {token}\r\n"
    asked = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n{given}Connection: close\r\n\r\n"
    answer = door.raw(asked.encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"www-authenticate: Bearer" in answer
    assert TOKEN.encode() not in answer
    assert door.post(TOKEN, "tools/list").status_code == 200


def test_health_tells_nothing_and_asks_for_no_token(door: HttpProcess) -> None:
    for path in ("/healthz", "/readyz"):
        response = httpx2.get(door.url + path)
        assert (response.status_code, response.content) == (204, b"")
    assert httpx2.get(door.url + "/anything").status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""]
)
def test_a_rebound_name_reaches_nothing(door: HttpProcess, host: str) -> None:
    headers = {"host": host.format(port=door.port)}
    assert door.post(TOKEN, "tools/list", headers).status_code == 421
    assert httpx2.get(f"{door.url}/healthz", headers=headers).status_code == 421


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1:3000", "http://localhost"]
)
def test_pages_of_other_origins_are_refused_other_local_ports_included(door: HttpProcess, origin: str) -> None:
    response = door.post(TOKEN, "tools/list", {"origin": origin})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


def test_a_permitted_origin_may_ask_first_and_read_the_answer(door: HttpProcess) -> None:
    asked = httpx2.options(f"{door.url}/mcp", headers={"origin": "https://app.example"})
    assert asked.status_code == 204
    assert "authorization" in asked.headers["access-control-allow-headers"]
    for token in (TOKEN, "wrong"):
        response = door.post(token, "tools/list", {"origin": "https://app.example"})
        assert response.headers["access-control-allow-origin"] == "https://app.example"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "0.0.0.0"], "--allow-remote"),
        (["--host", "0.0.0.0", "--no-auth", "--allow-remote"], "leave --no-auth out"),
        (["--host", "0.0.0.0", "--allow-remote"], "--public-url"),
        (["--no-auth", "--token", "env:X"], "leave one out"),
        (["--issuer", "https://issuer.example"], "--jwks"),
        (["--issuer", "https://issuer.example", "--jwks", "http://keys.example"], "https"),
        (["--origin", "https://app.example/path"], "more than scheme"),
        (["--token", "literal-secret-value"], "reference"),
        (["--port", "70000"], "--port"),
    ],
)
def test_a_server_that_would_be_open_or_cannot_be_is_refused_before_it_listens(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "forum_mcp.cli", "serve", "--http", "--ledger", str(tmp_path / "l.db"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    assert words in found.stderr
    assert "literal-secret-value" not in found.stderr
    assert not (tmp_path / "l.db").exists()


def head(server: HttpProcess, *lines: str) -> bytes:
    """Return the head of a request that is let in."""
    known = [f"Host: 127.0.0.1:{server.port}", f"Authorization: Bearer {TOKEN}", "Content-Type: application/json"]
    return "\r\n".join(["POST /mcp HTTP/1.1", *known, *lines, "", ""]).encode()


def test_bodies_and_heads_are_bounded(door: HttpProcess) -> None:
    assert door.raw(head(door, f"Content-Length: {BODY_MAX + 1}", "Connection: close")).startswith(b"HTTP/1.1 413 ")
    chunked = head(door, "Transfer-Encoding: chunked", "Connection: close")
    with closing(door.connect()) as connection:
        with suppress(OSError):  # it is answered and closed while the body is still being sent
            connection.sendall(chunked + f"{BODY_MAX + 1:x}\r\n".encode() + b"x" * (BODY_MAX + 1) + b"\r\n0\r\n\r\n")
        assert read_all(connection)[:13] in (b"", b"HTTP/1.1 413 ")
    assert door.raw(head(door, "X: " + "y" * HEAD_MAX, "Connection: close")).startswith(b"HTTP/1.1 431 ")
    endless = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000
    with closing(door.connect()) as connection:
        with suppress(OSError):
            connection.sendall(endless)
        assert read_all(connection)[:13] in (b"", b"HTTP/1.1 400 ")
    assert door.post(TOKEN, "tools/list").status_code == 200


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 2", "Content-Length: 3"],
        ["Transfer-Encoding: chunked", "Content-Length: 2"],
        ["Host: 127.0.0.1"],
        ["Content-Length: -1"],
        ["Authorization: Bearer other"],
    ],
)
def test_heads_that_say_two_things_are_refused(door: HttpProcess, lines: list[str]) -> None:
    status = int(door.raw(head(door, *lines, "Connection: close") + b"{}").split()[1])
    assert 400 <= status < 500
    assert door.post(TOKEN, "tools/list").status_code == 200


def test_more_connections_than_are_kept_are_closed_as_they_come(door: HttpProcess) -> None:
    idle = [door.connect() for _ in range(CONNECTIONS_MAX)]
    try:
        assert door.raw(b"", timeout_s=5.0) == b"", "at once, not when its head is late"
    finally:
        for connection in idle:
            connection.close()
    assert door.post(TOKEN, "tools/list").status_code == 200


def test_a_thousand_idle_connections_and_one_that_trickles_are_bounded_and_time_out(door: HttpProcess) -> None:
    slow = door.connect()
    slow.sendall(b"POST /mcp HTTP/1.1\r\nHost: ")
    idle = [slow, *(door.connect() for _ in range(1_000))]
    try:
        for connection in idle:  # each ends by itself: at once, or when its head did not come in time
            assert read_all(connection) == b""
        assert door.post(TOKEN, "tools/list").status_code == 200
    finally:
        for connection in idle:
            connection.close()


def test_tools_are_listed_byte_for_byte_as_over_stdio(door: HttpProcess, tmp_path: Path) -> None:
    over_http = door.post(TOKEN, "tools/list").json()["result"]["tools"]
    line: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
    piped = subprocess.run(
        [sys.executable, "-m", "forum_mcp.cli", "mcp", "--ledger", str(tmp_path / "other.db")],
        input=json.dumps(line) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    over_stdio = json.loads(piped.stdout)["result"]["tools"]
    assert json.dumps(over_http) == json.dumps(over_stdio)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_clients_of_both_eras_and_a_stdio_process_work_on_one_ledger(
    serve: Serve, tmp_path: Path, mode: Any
) -> None:
    server = serve()
    bearer = httpx2.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}, timeout=60)
    stdio = StdioServerParameters(
        command=sys.executable,
        args=["-m", "forum_mcp.cli", "mcp", "--ledger", str(tmp_path / "ledger.db")],
        env=dict(os.environ),
    )
    async with (
        bearer,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=bearer), mode=mode) as one,
        Client(stdio) as other,
    ):
        begun = await one.call_tool("submit", {"request": "write a poem", "single": True, "wait_s": 0})
        assert begun.structured_content is not None
        run_id = begun.structured_content["run_id"]
        item = await one.call_tool("work", {"action": "next", "run_id": run_id})
        assert item.structured_content is not None
        done = {"action": "complete", "item": item.structured_content["items"][0]["item"], "result": "roses are red"}
        await one.call_tool("work", done)
        seen = await other.call_tool("run", {"run_id": run_id})
        assert seen.structured_content is not None
        assert seen.structured_content["answer"] == "roses are red"
        read = await one.read_resource("forum://ledger/checkpoint")
        assert "forum" in str(read)
    assert server.stop() == 0
    assert "run.finished" in verified(tmp_path / "ledger.db")


def test_a_terminated_server_interrupts_its_runs_and_the_next_one_resumes_them(serve: Serve, tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps({"replies": [], "default": {"reply": "late", "delay_ms": 600_000}}))
    first = serve("--scripted", str(slow))
    run_id = first.call(TOKEN, "submit", request="write a poem", single=True, wait_s=0)["run_id"]
    assert first.call(TOKEN, "run", run_id=run_id)["state"] == "running"
    assert first.stop() == 0
    assert "run.interrupted" in verified(tmp_path / "ledger.db")
    second = serve("--scripted", str(slow))
    seen = second.call(TOKEN, "run", run_id=run_id)
    assert (seen["state"], seen["next"]["arguments"]["action"]) == ("interrupted", "resume")
    assert second.call(TOKEN, "run_control", run_id=run_id, action="resume", wait_s=0)["state"] == "running"
    assert second.call(TOKEN, "run_control", run_id=run_id, action="cancel")["state"] == "cancelled"
    assert second.stop() == 0
    verified(tmp_path / "ledger.db")


def asking(server: HttpProcess, method: str, **params: object) -> bytes:
    """Return a request of the modern era as bytes."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    body = json.dumps(message).encode()
    name = [f"Mcp-Name: {params['name']}"] if "name" in params else []
    told = ["Accept: application/json, text/event-stream", "MCP-Protocol-Version: 2026-07-28", f"Mcp-Method: {method}"]
    return head(server, *told, *name, f"Content-Length: {len(body)}") + body


def test_a_terminated_server_ends_streams_whole_and_answers_every_call(serve: Serve, tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps({"replies": [], "default": {"reply": "late", "delay_ms": 600_000}}))
    server = serve("--scripted", str(slow))
    begun = server.call(TOKEN, "submit", request="write a poem", single=True, wait_s=0)
    with closing(server.connect()) as stream, closing(server.connect()) as call:
        stream.sendall(asking(server, "subscriptions/listen", notifications={"resourcesListChanged": True}))
        listened = b""
        while b"acknowledged" not in listened:
            came = stream.recv(65_536)
            assert came, listened
            listened += came
        waits = {"run_id": begun["run_id"], "wait_s": 300}
        call.sendall(asking(server, "tools/call", name="run", arguments=waits))
        assert server.call(TOKEN, "run", run_id=begun["run_id"])["state"] == "running"
        assert server.stop() == 0
        assert read_all(stream).endswith(b"0\r\n\r\n")
        assert read_all(call).startswith(b"HTTP/1.1 503 ")
    assert server.said == [], "nobody is told of it as of a bug"
    assert "run.interrupted" in verified(tmp_path / "ledger.db")


def test_an_id_that_waits_for_its_answer_is_not_taken_twice_in_a_session(serve: Serve, tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps({"replies": [], "default": {"reply": "late", "delay_ms": 600_000}}))
    server = serve("--scripted", str(slow))
    url, revision = f"{server.url}/mcp", "2025-11-25"
    params: dict[str, object] = {
        "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}
    }  # fmt: skip
    begin: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    headers = {"authorization": f"Bearer {TOKEN}", "accept": "application/json, text/event-stream"}
    headers["mcp-session-id"] = httpx2.post(url, json=begin, headers=headers).headers["mcp-session-id"]
    headers["mcp-protocol-version"] = revision
    run_id = server.call(TOKEN, "submit", request="write a poem", single=True, wait_s=0)["run_id"]
    asked: dict[str, object] = {"name": "run", "arguments": {"run_id": run_id, "wait_s": 300}}
    waits: dict[str, object] = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": asked}
    with httpx2.stream("POST", url, json=waits, headers=headers, timeout=60) as first:
        for number in (7, "7"):
            second = httpx2.post(url, json={**waits, "id": number}, headers=headers)
            assert (second.status_code, second.json()["id"]) == (400, number)
        server.call(TOKEN, "run_control", run_id=run_id, action="cancel")
        assert '"state":"cancelled"' in "".join(first.iter_text())
    assert httpx2.post(url, json=waits, headers=headers, timeout=60).status_code == 200
    assert server.stop() == 0
    verified(tmp_path / "ledger.db")


def test_who_asks_twice_does_not_wait_for_calls(serve: Serve, tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps({"replies": [], "default": {"reply": "late", "delay_ms": 600_000}}))
    server = serve("--scripted", str(slow))
    server.call(TOKEN, "submit", request="write a poem", single=True, wait_s=0)
    server.popen.send_signal(signal.SIGINT)
    assert server.stop() == 0
    assert server.said == []
    assert "run.interrupted" in verified(tmp_path / "ledger.db")


def test_a_killed_server_leaves_a_run_that_the_next_one_reads_and_resumes(serve: Serve, tmp_path: Path) -> None:
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps({"replies": [], "default": {"reply": "late", "delay_ms": 600_000}}))
    first = serve("--scripted", str(slow))
    run_id = first.call(TOKEN, "submit", request="write a poem", single=True, wait_s=0)["run_id"]
    first.popen.send_signal(signal.SIGKILL)
    first.popen.wait(END_S)
    second = serve("--scripted", str(slow))
    assert second.call(TOKEN, "run", run_id=run_id)["state"] == "interrupted"
    assert second.call(TOKEN, "run_control", run_id=run_id, action="resume", wait_s=0)["state"] == "running"
    assert second.stop() == 0
    verified(tmp_path / "ledger.db")
