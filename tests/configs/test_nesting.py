"""The depth guard: an agent that a forum runs does not begin a forum again."""

import pytest

from forum_mcp.configs.nesting import DEPTH_MAX, child_variables, nesting_depth, refuse_nested
from forum_mcp.errors import NestedRefused


def test_an_unreadable_depth_counts_as_nested() -> None:
    assert [nesting_depth({"FORUM_DEPTH": text}) for text in ("0", "2", "", "-1", "x", "\u0661")] == [0, 2, 1, 1, 1, 1]
    assert nesting_depth({}) == 0


def test_outside_any_forum_nothing_is_refused() -> None:
    refuse_nested({})
    refuse_nested({"FORUM_DEPTH": "0"})


def test_below_a_forum_a_run_is_refused_with_the_way_to_allow_it() -> None:
    with pytest.raises(NestedRefused, match="allow_nested"):
        refuse_nested(child_variables({}, allowed=False))
    refuse_nested(child_variables({}, allowed=True))


def test_what_is_allowed_ends_at_a_depth() -> None:
    environ: dict[str, str] = {}
    for _ in range(DEPTH_MAX):
        environ = child_variables(environ, allowed=True)
        refuse_nested(environ)
    with pytest.raises(NestedRefused, match="the most"):
        refuse_nested(child_variables(environ, allowed=True))
