"""Recorded text is data: a terminal must not act on it."""

import pytest

from forum_mcp.cli.terminal import columns, one_line, safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\rb", "a\\x0db"),
        ("bell\x07 back\x08", "bell\\x07 back\\x08"),
        ("\x9b31m", "\\x9b31m"),
        ("evil\u202egnp.exe", "evil\\u202egnp.exe"),
        ("\u2066isolate\u2069", "\\u2066isolate\\u2069"),
        ("two\u2028lines", "two\\u2028lines"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\ufeffbom", "\\ufeffbom"),
        ("lone \ud800", "lone \\ud800"),
        (
            "plain\n\ttext, ünïcode, 漢字, \U0001f469\u200d\U0001f4bb",
            "plain\n\ttext, ünïcode, 漢字, \U0001f469\u200d\U0001f4bb",
        ),
    ],
)
def test_what_a_terminal_would_act_on_is_written_out(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_a_line_stays_one_line_of_bounded_width() -> None:
    assert one_line("a\nb\r\n c", 10) == "a b c"
    assert one_line("x" * 100, 10) == "x" * 9 + "…"


def test_columns_stand_under_each_other() -> None:
    assert columns([("a", "b"), ("long", "c")]) == ["a     b", "long  c"]
    assert columns([]) == []
