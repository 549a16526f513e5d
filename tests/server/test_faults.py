"""Faults on the wire and in arguments, against a live server: each is answered once, and the server goes on.

After each fault comes a request that must be answered next, so that a second answer, or none, is seen. The ledger is
verified at the end.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forum_mcp.configs.settings import Settings
from forum_mcp.engine.ledger import Ledger
from forum_mcp.server.wire import LINE_MAX, read_line
from forum_mcp.tools import TOOLS
from forum_mcp.tools.base import Tool
from tests.server.conftest import ENVELOPE, Process
from tests.server.test_wire_lines import FAULTS as LINES

RUN: Final = "ab" * 16
META: Final = {"_meta": ENVELOPE}


def line(method: str, params: object = None, number: object = 7, **more: object) -> bytes:
    """Return a request as it goes over the wire."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params, **more}).encode()


def call(tool: object, arguments: object = None, **more: object) -> bytes:
    """Return a tool call of 2026-07-28."""
    return line("tools/call", {"name": tool, "arguments": arguments, **META, **more})


def meta(**changed: object) -> dict[str, object]:
    """Return an envelope with members changed; None leaves one out."""
    full = {**ENVELOPE, **{f"io.modelcontextprotocol/{name}": value for name, value in changed.items()}}
    return {"_meta": {name: value for name, value in full.items() if value is not None}}


PROTOCOL: Final[list[tuple[str, bytes, int]]] = [
    ("unknown method", line("no/such", META), -32601),
    ("empty method", line("", META), -32601),
    ("a method of later days", line("tasks/list", META), -32601),
    ("initialize on a modern connection", line("initialize", {"protocolVersion": "2025-11-25"}), -32022),
    ("ping, which is gone", line("ping", META), -32601),
    ("logging, which is gone", line("logging/setLevel", {"level": "debug", **META}), -32601),
    ("legacy subscribe", line("resources/subscribe", {"uri": "forum://runs", **META}), -32601),
    ("no envelope", line("tools/list", {}), -32602),
    ("envelope of another type", line("tools/list", {"_meta": 3}), -32602),
    ("version unknown", line("tools/list", meta(protocolVersion="2031-01-01")), -32022),
    ("version a number", line("tools/list", meta(protocolVersion=3)), -32602),
    ("no capabilities", line("tools/list", meta(clientCapabilities=None)), -32602),
    ("no name", line("tools/call", {"arguments": {}, **META}), -32602),
    ("name a number", call(3, {}), -32602),
    ("arguments a list", call("route", []), -32602),
    ("arguments a text", call("route", "request"), -32602),
    ("unknown tool", call("nope", {}), -32602),
    ("tool name of 100,000", call("x" * 100_000, {}), -32602),
    ("cursor unknown", line("resources/list", {"cursor": "zz", **META}), -32602),
    ("cursor a number", line("resources/list", {"cursor": 3, **META}), -32602),
    ("uri missing", line("resources/read", META), -32602),
    ("uri unknown", line("resources/read", {"uri": "forum://nope", **META}), -32602),
    ("uri that climbs", line("resources/read", {"uri": "forum://ledger/entries/../../etc/passwd", **META}), -32602),
    ("uri of a file", line("resources/read", {"uri": "file:///etc/passwd", **META}), -32602),
    ("uri not a URI", line("resources/read", {"uri": "\x00 %%%", **META}), -32602),
    ("seq beyond the tail", line("resources/read", {"uri": "forum://ledger/entries/99999", **META}), -32602),
    ("prompt unknown", line("prompts/get", {"name": "nope", **META}), -32602),
    ("prompt argument missing", line("prompts/get", {"name": "why", **META}), -32602),
    ("prompt argument a number", line("prompts/get", {"name": "why", "arguments": {"run_id": 3}, **META}), -32602),
    ("completion of nothing", line("completion/complete", META), -32602),
    (
        "completion of an unknown kind of thing",
        line("completion/complete", {"ref": {"type": "ref/x"}, "argument": {"name": "a", "value": ""}, **META}),
        -32602,
    ),
    ("listen without a filter", line("subscriptions/listen", META), -32602),
    ("a task without the extension", line("tasks/get", {"taskId": RUN, **META}), -32021),
    ("a task id that is a number", line("tasks/get", {"taskId": 3, **META}), -32602),
]

ARGUMENTS: Final[list[tuple[str, str, dict[str, object]]]] = [
    ("missing", "route", {}),
    ("null", "route", {"request": None}),
    ("number for text", "route", {"request": 3}),
    ("empty", "route", {"request": ""}),
    ("blank", "route", {"request": " \n\t"}),
    ("too long", "route", {"request": "x" * 1_000_000}),
    ("unknown", "route", {"request": "x", "reqest": "y"}),
    ("a hundred unknown", "route", {"request": "x", **{f"a{i}": i for i in range(100)}}),
    ("text for number", "ledger_show", {"limit": "3"}),
    ("true for number", "ledger_show", {"limit": True}),
    ("fraction for whole", "ledger_show", {"limit": 1.5}),
    ("below range", "ledger_show", {"limit": 0}),
    ("above range", "ledger_show", {"limit": 201}),
    ("negative", "ledger_show", {"seq": -1}),
    ("beyond 64 bits", "ledger_show", {"seq": 10**30}),
    ("text for flag", "ledger_show", {"bodies": "yes"}),
    ("text for object", "submit", {"request": "x", "plan": "{}"}),
    ("list for object", "submit", {"request": "x", "plan": []}),
    ("empty plan", "submit", {"request": "x", "plan": {"tasks": []}}),
    ("plan of junk", "submit", {"request": "x", "plan": {"tasks": [3]}}),
    ("plan without lanes", "submit", {"request": "x", "plan": {"tasks": [{"id": "a"}]}}),
    ("plan 70 deep", "submit", {"request": "x", "plan": {"tasks": json.loads("[" * 70 + "]" * 70)}}),
    ("lane unknown", "submit", {"request": "x", "lane": "no-such"}),
    ("run unknown", "submit", {"run_id": RUN}),
    ("neither", "submit", {}),
    ("both", "submit", {"request": "x", "run_id": RUN}),
    ("calls below range", "submit", {"request": "x", "max_calls": 0}),
    ("wait below range", "run", {"run_id": RUN, "wait_s": -1}),
    ("run id with a slash", "run", {"run_id": "../../etc"}),
    ("run id of 100,000", "run", {"run_id": "a" * 100_000}),
    ("run id with NUL", "run", {"run_id": "\x00"}),
    ("choice unknown", "run_control", {"run_id": RUN, "action": "explode"}),
    ("choice a list", "run_control", {"run_id": RUN, "action": ["cancel"]}),
    ("item unknown", "work", {"action": "complete", "item": 99_999, "result": "x"}),
    ("item that is no item", "work", {"action": "complete", "item": 0, "result": "x"}),
    ("result missing", "work", {"action": "complete", "item": 0}),
    ("level out of range", "ledger_verify", {"level": 5}),
    ("number for checkpoint", "ledger_verify", {"checkpoint": 10**9}),
    ("seq beyond the tail", "ledger_trace", {"seq": 99_999}),
    ("neither seq nor time", "ledger_replay", {"until": "yesterday"}),
]


class Live:
    """A server that must outlive every fault."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._number = 10_000

    def after(self, sent: bytes, count: int = 1) -> list[dict[str, Any]]:
        """Send a line; return the ``count`` answers it gets, which no more may follow.

        Some work is done beside the loop, so that another call may be answered first: hence two probes.
        """
        self.process.send(sent)
        probe = self._probe()
        answers = [self.process.answer() for _ in range(count + 1)]
        assert "result" in next(answer for answer in answers if answer["id"] == probe)
        last = self._probe()
        assert self.process.answer()["id"] == last, "an answer too many"
        return [answer for answer in answers if answer["id"] != probe]

    def _probe(self) -> int:
        self._number += 1
        self.process.send(line("tools/call", {"name": "route", "arguments": {"request": "x"}, **META}, self._number))
        return self._number


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server for all faults, whose ledger verifies at the end."""
    path = tmp_path_factory.mktemp("faults") / "ledger.db"
    process = Process(Settings(ledger=str(path)))
    try:
        process.ask(1, "server/discover")
        yield Live(process)
        process.stdin.close()
        assert process.popen.wait(20) == 0
        assert process.stdout.read() == b""
        assert process.popen.stderr is not None
        assert b"Traceback" not in process.popen.stderr.read()
    finally:
        process.close()
    with Ledger.open(Path(path), create=False) as ledger:
        assert ledger.verify(level=4).findings == []


def test_the_list_of_faults_is_long_enough() -> None:
    assert len(LINES) + len(PROTOCOL) + len(ARGUMENTS) + 3 >= 100


@pytest.mark.parametrize(("sent", "code"), [fault[1:3] for fault in LINES], ids=[fault[0] for fault in LINES])
def test_a_line_that_is_no_message_is_answered_once(live: Live, sent: bytes, code: int) -> None:
    (answer,) = live.after(sent)
    assert answer["error"]["code"] == code


@pytest.mark.parametrize(("sent", "code"), [fault[1:] for fault in PROTOCOL], ids=[fault[0] for fault in PROTOCOL])
def test_a_request_that_breaks_the_protocol_is_answered_once(live: Live, sent: bytes, code: int) -> None:
    (answer,) = live.after(sent)
    assert answer["id"] == 7
    assert answer["error"]["code"] == code, answer
    assert len(json.dumps(answer)) < 2_000, "what was sent is not sent back"


@pytest.mark.parametrize(
    ("tool", "arguments"), [fault[1:] for fault in ARGUMENTS], ids=[f"{fault[1]}: {fault[0]}" for fault in ARGUMENTS]
)
def test_a_call_with_faulty_arguments_is_refused_once(live: Live, tool: str, arguments: dict[str, object]) -> None:
    (answer,) = live.after(call(tool, arguments))
    result = answer["result"]
    assert result["isError"] is True, result
    assert "structuredContent" not in result
    (content,) = result["content"]
    assert 40 < len(content["text"]) <= 1_500
    assert "bug in forum-mcp" not in content["text"]
    assert "x" * 81 not in content["text"], "no value is read back beyond 80 characters"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\xef\xbb\xbf",
        b'{"jsonrpc":"2.0","id":7,"result":{}}',
        b'{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}',
        b'{"jsonrpc":"2.0","method":"notifications/nobody-knows"}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"gone"}}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":[],"progress":"x"}}',
    ],
)
def test_what_needs_no_answer_gets_none(live: Live, sent: bytes) -> None:
    assert live.after(sent, 0) == []


def test_a_line_longer_than_any_message_is_dropped_as_it_comes_and_the_next_is_read(live: Live) -> None:
    (answer,) = live.after(b'{"jsonrpc":"2.0","id":7,"method":"' + b"x" * LINE_MAX + b'"}')
    assert answer["error"]["code"] == -32600


def test_a_request_in_many_pieces_is_one_request(live: Live) -> None:
    pieces = call("route", {"request": "x"})
    for start in range(0, len(pieces), 7):
        live.process.stdin.write(pieces[start : start + 7])
        live.process.stdin.flush()
    (answer,) = live.after(b"", 1)
    assert answer["result"]["isError"] is False


def test_the_same_id_twice_is_answered_twice(live: Live) -> None:
    live.process.send(call("route", {"request": "x"}))
    answers = live.after(call("route", {"request": "x"}), 2)
    assert [answer["id"] for answer in answers] == [7, 7]


LIVELY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@LIVELY
@given(sent=st.binary(max_size=200).map(lambda raw: raw.replace(b"\n", b"")))
def test_whatever_bytes_come_the_server_goes_on(live: Live, sent: bytes) -> None:
    _, expected = read_line(sent)
    answers = live.after(sent, 0 if expected is None else 1)
    assert all(answer["error"]["code"] in (-32700, -32600) for answer in answers)


def values(schema: dict[str, Any]) -> st.SearchStrategy[object]:
    """Return values of a schema, near its edges and far beyond them."""
    beyond = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | beyond
    match schema["type"]:
        case "string":
            return st.text(max_size=40) | st.sampled_from([RUN, "1", "backend", "task.judged"]) | beyond
        case "integer":
            low, high = schema.get("minimum", 0), schema.get("maximum", 100)
            return st.integers(low, high) | st.sampled_from([low - 1, high + 1, 2**63, -(2**63)]) | beyond
        case "number":
            return st.floats(0, 1) | st.sampled_from([-0.1, 1e308]) | beyond
        case "boolean":
            return st.booleans() | beyond
        case "array":
            return st.lists(values(schema["items"]), max_size=3) | beyond
        case _:
            members = {name: values(part) for name, part in schema["properties"].items()}
            return st.fixed_dictionaries({}, optional=members) | beyond


def calls() -> st.SearchStrategy[tuple[str, dict[str, object]]]:
    """Return calls of our tools with arguments of their own schemas, right and wrong; none waits."""
    return st.one_of(*(st.tuples(st.just(tool.name), arguments(tool)) for tool in TOOLS))


def arguments(tool: Tool) -> st.SearchStrategy[dict[str, object]]:
    properties = cast("dict[str, dict[str, Any]]", tool.input_schema["properties"])
    return st.fixed_dictionaries(
        {"wait_s": st.just(0)} if "wait_s" in properties else {},
        optional={name: values(part) for name, part in properties.items() if name != "wait_s"},
    )


@LIVELY
@given(made=calls())
def test_whatever_the_schemas_allow_or_not_a_call_is_answered_once_and_never_by_a_bug(
    live: Live, made: tuple[str, dict[str, object]]
) -> None:
    (answer,) = live.after(call(*made))
    result = answer["result"]
    assert all(len(content["text"]) <= 45_000 for content in result["content"])
    assert not result["isError"] or "bug in forum-mcp" not in result["content"][0]["text"]
    assert result["isError"] == ("structuredContent" not in result)
