"""What each line of stdin is: a message, an answer, or nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forum_mcp.server.wire import read_line

DEEP = b"[" * 300 + b"]" * 300


def request(params: bytes = b"{}", number: bytes = b"7") -> bytes:
    return b'{"jsonrpc":"2.0","id":' + number + b',"method":"m","params":' + params + b"}"


def called(name: bytes) -> bytes:
    return request(b'{"name":' + name + b"}").replace(b'"m"', b'"tools/call"')


FAULTS: list[tuple[str, bytes, int, object]] = [
    ("not JSON", b"{oops", -32700, None),
    ("cut JSON", request()[:-3], -32700, None),
    ("two objects on a line", request() + request(), -32700, None),
    ("NUL", b"\x00", -32700, None),
    ("not UTF-8", b'{"id":"\xff"}', -32700, None),
    ("UTF-16", request().decode().encode("utf-16"), -32700, None),
    ("empty batch", b"[]", -32600, None),
    ("batch", b"[" + request() + b"]", -32600, None),
    ("number", b"3", -32600, None),
    ("string", b'"x"', -32600, None),
    ("null", b"null", -32600, None),
    ("empty object", b"{}", -32600, None),
    ("id null", request(number=b"null"), -32600, None),
    ("id float", request(number=b"1.5"), -32600, None),
    ("id whole float", request(number=b"1.0"), -32600, None),
    ("id true", request(number=b"true"), -32600, None),
    ("id object", request(number=b"{}"), -32600, None),
    ("id beyond 64 bits", request(number=b"9" * 30), -32600, None),
    ("id of 5,000 digits", request(number=b"9" * 5000), -32600, None),
    ("id with a lone surrogate", request(number=b'"\\ud800"'), -32600, None),
    ("no version", b'{"id":7,"method":"m"}', -32600, 7),
    ("version 1.0", b'{"jsonrpc":"1.0","id":7,"method":"m"}', -32600, 7),
    ("no method", b'{"jsonrpc":"2.0","id":7}', -32600, 7),
    ("method number", b'{"jsonrpc":"2.0","id":7,"method":5}', -32600, 7),
    ("notification without a name", b'{"jsonrpc":"2.0","method":null}', -32600, None),
    ("params list", request(b"[1]"), -32600, 7),
    ("params string", request(b'"x"'), -32600, 7),
    ("lone surrogate in a value", request(b'{"a":"\\udfff"}'), -32600, 7),
    ("lone surrogate in a name", request(b'{"\\uD800":1}'), -32600, 7),
    ("integer of 5,000 digits", request(b'{"a":' + b"9" * 5000 + b"}"), -32600, 7),
    ("NaN", request(b'{"a":NaN}'), -32600, 7),
    ("Infinity", request(b'{"a":-Infinity}'), -32600, 7),
    ("300 levels", request(b'{"a":' + DEEP + b"}"), -32600, 7),
    ("100,000 levels", b"[" * 100_000, -32600, None),
    ("arguments as text", called(b'"run","arguments":"{}"'), -32602, 7),
    ("arguments a list", called(b'"run","arguments":[]'), -32602, 7),
    ("tool a number", called(b"5"), -32602, 7),
    ("tool missing", request(b"{}").replace(b'"m"', b'"tools/call"'), -32602, 7),
    ("string id kept", b'{"jsonrpc":"2.0","id":"q","method":[]}', -32600, "q"),
]


@pytest.mark.parametrize(("line", "code", "number"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_faulty_line_is_answered_once_with_its_id_where_it_has_one(line: bytes, code: int, number: object) -> None:
    message, answer = read_line(line)
    assert message is None
    assert answer is not None
    said: dict[str, Any] = json.loads(answer.message.model_dump_json(by_alias=True, exclude_unset=True))
    assert said["jsonrpc"] == "2.0"
    assert said["id"] == number
    assert said["error"]["code"] == code
    assert 10 < len(said["error"]["message"]) < 300


@pytest.mark.parametrize(
    "line",
    [
        request(),
        b"\xef\xbb\xbf" + request() + b"\r",
        request(number=b'"abc"'),
        request(number=b"-3"),
        b'{"jsonrpc":"2.0","method":"notifications/x"}',
        b'{"jsonrpc":"2.0","id":7,"method":"m","params":null}',
        request(b'{"a":"\\ud83d\\ude00 \\u2028"}'),
        request(b'{"a":1e400}'),
        b'{"jsonrpc":"2.0","id":3,"result":{}}',
        b'{"jsonrpc":"2.0","id":3,"error":{"code":1,"message":"x"}}',
    ],
)
def test_a_message_reaches_the_session(line: bytes) -> None:
    message, answer = read_line(line)
    assert message is not None
    assert answer is None


@pytest.mark.parametrize("line", [b"", b"  \t", b"\r", b'{"jsonrpc":"2.0","id":3,"result":7}', b'{"id":3,"error":1}'])
def test_a_blank_line_or_a_broken_response_is_not_answered(line: bytes) -> None:
    assert read_line(line) == (None, None)


@given(st.binary(max_size=300).filter(lambda line: b"\n" not in line))
def test_no_bytes_make_the_reader_raise(line: bytes) -> None:
    message, answer = read_line(line)
    assert message is None or answer is None


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({"id": JSON_VALUES}, optional=dict.fromkeys(("jsonrpc", "method", "params"), JSON_VALUES)))
def test_whatever_has_an_id_is_answered_or_served(message: dict[str, object]) -> None:
    served, answer = read_line(json.dumps(message).encode())
    assert (served is None) != (answer is None)
