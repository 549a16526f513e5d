"""One member of a commented JSON text goes in and out; every other byte stays."""

import json
import re
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forum_mcp.cli.clients.jsonc import JsoncError, drop, put, value_of

PATH = ("mcpServers", "forum")
SERVER: dict[str, object] = {"command": "/bin/forum-mcp", "args": ["mcp"]}

ZED = """// Zed settings
//
// see https://zed.dev/docs
{
  "theme": "One Dark", // the best "theme"
  /* fonts
     "commented": { } */
  "buffer_font_size": 15,
  "context_servers": {
    // mine
    "other": {
      "source": "custom",
      "command": "x", /* , } */
      "args": [],
    },
  },
  "vim_mode": false,
}
"""


def test_a_server_goes_into_a_commented_file_and_nothing_else_changes() -> None:
    after = put(ZED, ("context_servers", "forum"), SERVER)
    added = [line for line in after.splitlines() if line not in ZED.splitlines()]
    assert [line.strip() for line in added] == ['"forum": {', '"command": "/bin/forum-mcp",', '"args": [', '"mcp"', "]"]
    assert [line for line in ZED.splitlines() if line not in after.splitlines()] == []
    assert drop(after, ("context_servers", "forum")) == ZED


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{}\n",
        '{"mcpServers":{}}',
        '{ "mcpServers": { } }',
        '{"a":1}',
        '{"mcpServers": {"a": {"command": "x"}}, "z": 1}',
        '{\n\t"mcpServers": {\n\t\t"a": {"command": "x"}\n\t}\n}\n',
        '{\r\n    "mcpServers": {\r\n        "a": 1\r\n    },\r\n    "z": [1, 2,]\r\n}\r\n',
        '\ufeff{\n  "mcpServers": {\n    // none yet\n  }\n}\n',
        '{\n  "mcpServers": {\n    "a": 1 // last\n    // end\n  }\n}',
        '{\n  "mcpServers": {\n    "a": 1, // last, with its comma\n  },\n}',
        '{"mcpServers":\n{\n}\n}',
    ],
)
def test_in_and_out_again_leaves_the_text_as_it_was_but_for_a_table_that_was_missing(text: str) -> None:
    after = put(text, PATH, SERVER)
    assert cast("dict[str, dict[str, object]]", value_of(after))["mcpServers"]["forum"] == SERVER
    again = drop(after, PATH)
    if "mcpServers" in text and not re.search(r"\{\s*\}", text):
        assert again == text
    none: dict[str, object] = {"mcpServers": {}}
    missing = none | cast("dict[str, object]", value_of(text))
    assert value_of(again) == missing
    assert put(after, PATH, SERVER) == after
    changed = put(after, PATH, {"command": "other"})
    assert value_of(drop(changed, PATH)) == missing


def test_line_ends_and_tabs_are_those_of_the_file() -> None:
    assert "\n" not in put('{\r\n  "a": 1\r\n}\r\n', PATH, SERVER).replace("\r\n", "")
    assert '\n\t\t"forum": {\n\t\t\t"command"' in put('{\n\t"mcpServers": {\n\t\t"a": 1\n\t}\n}', PATH, SERVER)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "the document is no object"),
        ("{", "line 1"),
        ('{"a": 1\n "b": 2}', "line 2: expected a comma"),
        ('{"a": }', "expected a value"),
        ('{"a" 1}', "expected a colon"),
        ("{a: 1}", "key in double quotes"),
        ("{} {}", "after the end"),
        ('{"mcpServers": 3}', "mcpServers is no object"),
        ('{"a": ' + "[" * 100_000, "nested beyond reason"),
        ('{"a": "\n"}', "expected a value"),
        ('{"a": 1' + "0" * 5000 + "}", "line 1"),
        ("/* never closed", "line 1"),
        ('{"a": tru}', "expected a value"),
    ],
)
def test_what_is_not_such_a_text_is_refused_with_its_line(text: str, says: str) -> None:
    with pytest.raises(JsoncError, match=says):
        put(text, PATH, SERVER)


KEYS = st.sampled_from(["a", "mcpServers", "forum", 'q"uote', "b"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
COMMENTS = st.sampled_from(["", " ", "\n", "// c, }\n", "/* { */", "\n  "])


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """A commented text and what it says."""

    def written(value: object) -> str:
        gap = draw(COMMENTS)
        if isinstance(value, dict):
            members = [
                f"{draw(COMMENTS)}{json.dumps(key)}{draw(COMMENTS)}:{written(each)}"
                for key, each in cast("dict[str, object]", value).items()
            ]
            comma = draw(st.sampled_from(["", ","])) if members else ""
            return f"{gap}{{{','.join(members)}{comma}{draw(COMMENTS)}}}{draw(COMMENTS)}"
        if isinstance(value, list):
            return f"{gap}[{','.join(written(each) for each in cast('list[object]', value))}]{draw(COMMENTS)}"
        return f"{gap}{json.dumps(value)}{draw(COMMENTS)}"

    table: dict[str, object] = {**draw(st.dictionaries(KEYS, VALUES, max_size=4))}
    return written(table), table


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_any_text_is_read_as_what_it_says_and_gives_the_server_back(document: tuple[str, dict[str, object]]) -> None:
    text, table = document
    assert value_of(text) == table
    servers = table.get("mcpServers", {})
    if not isinstance(servers, dict):
        with pytest.raises(JsoncError):
            put(text, PATH, SERVER)
        return
    after = put(text, PATH, SERVER)
    assert value_of(after) == table | {"mcpServers": servers | {"forum": SERVER}}
    rest = {key: each for key, each in cast("dict[str, object]", servers).items() if key != "forum"}
    assert value_of(drop(after, PATH)) == table | {"mcpServers": rest}
    if "forum" not in servers:
        assert all(after.count(comment) == text.count(comment) for comment in ("// c, }", "/* { */"))
