"""Patterns of criteria: they say what ``re`` says, and no text makes them run away."""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forum_mcp.rules.pattern import BadPattern, compiled

ATOMS = [
    "a",
    "b",
    "0",
    r"\d",
    r"\w",
    r"\s",
    r"\D",
    r"\W",
    ".",
    "[ab]",
    "[^a]",
    "[a-b0-1]",
    "[]a]",
    r"[\d.-]",
    r"\.",
    "A",
]
MARKS = ["*", "+", "?", "{2}", "{1,3}", "{2,}", "{0}"]


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(MARKS)).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda part: f"^{part}"),
        inner.map(lambda part: f"{part}$"),
    )


SOURCES = st.tuples(
    st.sampled_from(["", "(?i)", "(?m)", "(?s)", "(?ims)"]),
    st.recursive(st.sampled_from(ATOMS), _grown, max_leaves=8),
).map("".join)


@settings(max_examples=1_500, deadline=None)
@given(source=SOURCES, text=st.text("ab01 \n.A", max_size=9))
def test_a_pattern_says_what_re_says(source: str, text: str) -> None:
    assert compiled(source).search(text) == bool(re.search(source, text, re.ASCII))


@pytest.mark.parametrize(
    "source",
    [r"\1", r"(?=a)", r"(?P<n>a)", r"\bword", "a**", "a+?", "(a", "a)", "[a", "*a", "a{2,1}", "a{999}", "x{", "[b-a]",
     "(?x)a", "\\", "(?i", "((((a{99}){99}){99}){99})", "a" * 501, "(" * 60 + ")" * 60],
)  # fmt: skip
def test_what_is_not_taken_is_refused_in_words(source: str) -> None:
    with pytest.raises(BadPattern, match=r"\w"):
        compiled(source)


@pytest.mark.parametrize(
    "source", ["(a|a)*b", "(a+)+b", "(a*)*b", "(a|aa)+b", "(.*)(.*)(.*)(.*)b", "a{0,200}a{0,200}b"]
)
def test_what_makes_others_run_for_ever_is_answered_in_bounded_steps(source: str) -> None:
    assert compiled(source).search("a" * 20_000) in (False, None)


def test_a_search_of_too_many_steps_says_so_and_does_not_guess() -> None:
    text = "".join(Random(7).choices("ab", k=60_000))
    assert compiled("[ab]{0,200}(a[ab]{150}c)").search(text) is None


def test_only_ascii_digits_and_words_are_meant_so_that_every_python_agrees() -> None:
    assert compiled(r"^\d+$").search("٣") is False
    assert compiled(r"^\W$").search("é") is True
    assert compiled("é+").search("caféé") is True
