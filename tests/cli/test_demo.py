"""The demo: a real run, told from its record, and tampering that is found."""

import pytest

from tests.cli.commands import forum


@pytest.mark.promise("demo")
def test_the_demo_comes_out_as_told() -> None:
    done = forum("demo")
    assert done.code == 0, done.out
    lines = done.out.splitlines()
    for request, lane in (
        ("build the database schema and the auth endpoint", "backend"),
        ("build the react component and css for the page", "frontend"),
        ("write the readme docs and the guide", "technical-writing"),
        ("summon a unicorn", "undecided, goes to general"),
    ):
        (line,) = [line for line in lines if line.strip().startswith(request)]
        assert lane in line
    told = done.out
    assert "4 tasks, at most 2 calls at a time" in told
    assert "waves of the plan: schema endpoint page | readme" in told
    assert "most calls at one time: 2" in told
    assert "reaches its request: yes" in told
    assert "chain (level 1): clean" in told
    assert "body-mismatch" in told
    assert "by itself it looks whole: clean" in told
    assert "checkpoint-beyond-tail" in told
    assert told.rstrip().endswith("Everything came out as told.")
