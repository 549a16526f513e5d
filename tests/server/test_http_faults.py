"""The faults of the wire and of arguments once more over HTTP, and those that only HTTP has.

Each is answered once, as over stdio, and the server goes on; nothing of it reaches the record or the log.
"""

import gzip
import json
from collections.abc import Iterator
from typing import Any, Final

import anyio
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from forum_mcp.engine.ledger import Ledger
from forum_mcp.server.http_gate import Gate, Places
from forum_mcp.server.wire import read_line
from tests.server.http_peer import META, HttpProcess
from tests.server.test_faults import ARGUMENTS, PROTOCOL
from tests.server.test_wire_lines import FAULTS as LINES

TOKEN: Final = "a-token-for-tests-only"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
HEADER_MISMATCH: Final = -32020
JSON: Final = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


class Door:
    """A server that must outlive every fault, and a connection to it."""

    def __init__(self, process: HttpProcess, client: httpx2.Client) -> None:
        self.process = process
        self._client = client

    def post(self, body: bytes, revision: str, **headers: str) -> Any:
        """Send a body that is no message of ours; then the server must still answer one."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self._client.post("/mcp", content=body, headers={**JSON, "mcp-protocol-version": revision, **given})
        assert self.process.post(TOKEN, "tools/list").status_code == 200
        return response

    def raw(self, head: str, body: bytes = b"", *, host: str | None = None) -> bytes:
        """Send a head of a client with a token, and a body; return what comes back."""
        known = [f"Host: {host or f'127.0.0.1:{self.process.port}'}", f"Authorization: Bearer {TOKEN}"]
        first, *more = head.split("\n")
        lines = [first, *known, *more, "Connection: close", "", ""]
        return self.process.raw("\r\n".join(lines).encode() + body)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One server for all faults; nothing of them is in its log, and its ledger verifies."""
    home = tmp_path_factory.mktemp("faults")
    Ledger.open(home / "ledger.db").close()
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "FORUM_STATE_DIR": str(home), "FORUM_TOKEN": TOKEN}
    process = HttpProcess(["--ledger", str(home / "ledger.db")], env)
    with httpx2.Client(base_url=process.url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
        yield Door(process, client)
    assert process.stop() == 0
    assert process.said == []
    with Ledger.open(home / "ledger.db", create=False) as ledger:
        assert ledger.verify(level=4).findings == []


def named(sent: bytes) -> dict[str, str]:
    """Return the headers that repeat a request's method and name, where a header can hold them."""
    message: dict[str, Any] = json.loads(sent)
    params: Any = message["params"]
    names = [value for key in ("name", "uri", "taskId") if isinstance(value := params.get(key), str)]
    named = {"mcp_name": names[0]} if names and names[0].isascii() and names[0].isprintable() else {}
    return {"mcp_method": str(message["method"]), **named}


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(("sent", "code"), [fault[1:3] for fault in LINES], ids=[fault[0] for fault in LINES])
def test_a_body_that_is_no_message_is_answered_as_over_stdio(door: Door, revision: str, sent: bytes, code: int) -> None:
    response = door.post(sent, revision)
    assert response.status_code == 400
    _, expected = read_line(sent)
    assert expected is not None
    assert response.json() == json.loads(expected.message.model_dump_json(by_alias=True, exclude_unset=True))
    assert response.json()["error"]["code"] == code


@pytest.mark.parametrize(("sent", "code"), [fault[1:] for fault in PROTOCOL], ids=[fault[0] for fault in PROTOCOL])
def test_a_request_that_breaks_the_protocol_is_refused(door: Door, sent: bytes, code: int) -> None:
    response = door.post(sent, "2026-07-28", **{k: v[:8_000] for k, v in named(sent).items()})
    assert response.status_code in (400, 404)
    answer = response.json()
    assert answer["id"] == 7
    # Over HTTP the headers say the same again, and are compared first.
    assert answer["error"]["code"] in ({code, HEADER_MISMATCH, -32602} if code == -32022 else {code, HEADER_MISMATCH})
    assert len(response.text) < 2_000, "what was sent is not sent back"


@pytest.mark.parametrize(
    ("tool", "arguments"), [fault[1:] for fault in ARGUMENTS], ids=[f"{fault[1]}: {fault[0]}" for fault in ARGUMENTS]
)
def test_a_call_with_faulty_arguments_is_refused(door: Door, tool: str, arguments: dict[str, object]) -> None:
    assert 40 < len(door.process.refused(TOKEN, tool, **arguments)) <= 1_500


@pytest.mark.parametrize(("method", "tool"), [(["tools/call"], "submit"), ("tools/call", ["submit"])])
def test_a_name_that_is_no_text_is_no_bug(door: Door, method: object, tool: object) -> None:
    params = {"name": tool, "arguments": {}, "_meta": META}
    sent = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
    assert door.post(sent.encode(), "2026-07-28", mcp_method="tools/call").status_code == 400


@pytest.mark.parametrize(
    "sent", [b"", b" \n", b'{"jsonrpc":"2.0","id":7,"result":{}}', b'{"jsonrpc":"2.0","id":[],"error":3}']
)
@pytest.mark.parametrize("revision", REVISIONS)
def test_what_answers_nothing_is_refused(door: Door, revision: str, sent: bytes) -> None:
    assert door.post(sent, revision).status_code == 400


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.binary(max_size=300), revision=st.sampled_from(REVISIONS))
def test_whatever_bytes_are_posted_the_server_goes_on(door: Door, sent: bytes, revision: str) -> None:
    assert door.post(sent, revision).status_code == 400


LISTED: Final = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}).encode()
LISTS: Final = (
    f"POST /mcp HTTP/1.1\nContent-Type: application/json\nAccept: application/json, text/event-stream\n"
    f"MCP-Protocol-Version: 2026-07-28\nMcp-Method: tools/list\nContent-Length: {len(LISTED)}"
)
LEGACY: Final = LISTS.replace("2026-07-28", "2025-11-25", 1)
CODED: Final = LISTS[: LISTS.rindex("\n")] + "\nTransfer-Encoding: "
HEADS: Final[list[tuple[str, str, bytes, int]]] = [
    ("what is right", LISTS, LISTED, 200),
    ("the path of another server", LISTS.replace("/mcp", "http://evil.example/mcp", 1), LISTED, 404),
    ("a path beside ours", LISTS.replace("/mcp", "//mcp", 1), LISTED, 404),
    ("a path that climbs", LISTS.replace("/mcp", "/healthz/../mcp", 1), LISTED, 404),
    ("a tunnel", "CONNECT evil.example:443 HTTP/1.1", b"", 404),
    ("a method there is not", LISTS.replace("POST", "PUT", 1), LISTED, 405),
    ("a page's own kind of post", LISTS.replace("application/json\n", "text/plain\n", 1), LISTED, 400),
    ("a form", LISTS.replace("application/json\n", "application/x-www-form-urlencoded\n", 1), LISTED, 400),
    ("no kind at all", LISTS.replace("Content-Type: application/json\n", "", 1), LISTED, 400),
    ("only pages are accepted", LISTS.replace("application/json, text/event-stream", "text/html", 1), LISTED, 406),
    ("a revision there is not", LISTS.replace("2026-07-28", "1999-01-01", 1), LISTED, 400),
    ("two revisions", LISTS + "\nMCP-Protocol-Version: 2025-11-25", LISTED, 400),
    ("two methods", LISTS + "\nMcp-Method: tools/call", LISTED, 400),
    ("another method", LISTS.replace("tools/list", "tools/call", 1), LISTED, 400),
    ("squeezed", LISTS + "\nContent-Encoding: gzip", gzip.compress(LISTED).ljust(len(LISTED)), 400),
    ("a name with a space", LISTS + "\nX Y: 1", LISTED, 400),
    ("a session of nobody", LEGACY + "\nMcp-Session-Id: x", LISTED, 404),
    ("no session", LEGACY, LISTED, 400),
    ("a stream of no session", "GET /mcp HTTP/1.1\nAccept: text/event-stream", b"", 400),
    ("a stream taken up again", "GET /mcp HTTP/1.1\nAccept: text/event-stream\nLast-Event-Id: 1", b"", 400),
    ("the end of no session", "DELETE /mcp HTTP/1.1\nMcp-Session-Id: ../../x", b"", 404),
    ("an upgrade", "GET /mcp HTTP/1.1\nUpgrade: websocket\nSec-WebSocket-Version: 13", b"", 406),
    ("lengths of chunks that are none", CODED + "chunked", b"zz\r\nx\r\n", 400),
    ("a coding there is not", CODED + "gzip, chunked", b"0\r\n\r\n", 400),
]  # fmt: skip


@pytest.mark.parametrize(("head", "body", "status"), [each[1:] for each in HEADS], ids=[each[0] for each in HEADS])
def test_what_http_can_say_wrongly_is_refused(door: Door, head: str, body: bytes, status: int) -> None:
    answer = door.raw(head, body)
    assert int(answer.split()[1]) == status, answer[:300]
    assert door.process.post(TOKEN, "tools/list").status_code == 200


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x00\xff\x01" + b"\0" * 200, b"\0" * 5_000 + b"\r\n\r\n", bytes(range(256)) * 10]
)
def test_what_is_no_http_is_refused(door: Door, sent: bytes) -> None:
    assert door.process.raw(sent).startswith(b"HTTP/1.1 400 ")


async def test_a_body_that_does_not_come_in_time_is_given_up() -> None:
    answers: list[Message] = []

    async def trickle() -> Message:
        if answers or trickled:
            await anyio.sleep_forever()
        trickled.append(b"{")
        return {"type": "http.request", "body": b"{", "more_body": True}

    async def answered(message: Message) -> None:
        answers.append(message)

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("it was handed on")

    trickled: list[bytes] = []
    gate = Gate(never, Places(frozenset({"here"}), frozenset()), None, None, body_s=0.01)
    scope = {"type": "http", "method": "POST", "path": "/mcp", "headers": [(b"host", b"here")]}
    with anyio.fail_after(20):
        await gate(scope, trickle, answered)
    assert answers[0]["status"] == 408


def test_a_host_is_the_same_in_any_case(door: Door) -> None:
    assert door.raw(LISTS, LISTED, host=f"LOCALHOST:{door.process.port}").startswith(b"HTTP/1.1 200 ")
