"""``forum-mcp config``: every setting with its origin, the schema of the file, and where things stand."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import ValidationError, validate

from tests.cli.commands import forum


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def origins(*arguments: str) -> dict[str, str]:
    shown = forum(*arguments, "config", "show", "--json").json()
    return {key: row["origin"] for key, row in shown.items() if isinstance(row, dict)}


def test_every_setting_says_where_it_comes_from(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = own_home / "config" / "forum-mcp" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text(
        '[limits]\nseconds = 60\n\n[executors.small]\ntype = "command"\nargv = ["x"]\nenv = {K = "s3cret"}\n'
    )
    monkeypatch.setenv("FORUM_LIMITS__CALLS", "7")
    monkeypatch.setenv("FORUM_POLICY", '{"max_tasks": 9}')
    found = origins("--max-parallel", "2", "--validator", "rules")
    assert found["max_parallel"] == "the command line"
    assert found["roles.validator"] == "the command line"
    assert found["limits.calls"] == "FORUM_LIMITS__CALLS"
    assert found["policy.max_tasks"] == "FORUM_POLICY"
    assert found["limits.seconds"].endswith("config.toml line 2")
    assert found["executors.small.argv"].endswith("config.toml line 6")
    assert found["executors.small.attempts"] == "default"
    assert found["roles.worker"] == "default (the first executor)"
    assert found["policy.undecided"] == "default"
    shown = forum("config", "show", "--origin", "--changed")
    assert "executors.small.env.K" in shown.out
    assert "s3cret" not in shown.out
    assert "policy.undecided" not in shown.out


def test_the_schema_accepts_the_reference_and_refuses_what_the_loader_refuses() -> None:
    schema = forum("config", "schema").json()
    reference = forum("config", "reference").out
    validate(tomllib.loads(reference), schema)
    for bad in ("max_paralel = 3", "[limits]\ncals = 3", "max_parallel = 0", "[custody]\nwarn_mb = 'x'", "roles = 3"):
        with pytest.raises(ValidationError):
            validate(tomllib.loads(bad), schema)


def test_paths_are_told_whether_or_not_they_are_there(own_home: Path, tmp_path: Path) -> None:
    told = forum("config", "paths", "--json").json()
    assert told["ledger"] == str(own_home / "state" / "forum-mcp" / "ledger.db")
    assert told["project configuration"] == str(tmp_path / ".forum" / "config.toml")
    assert json.loads(forum("--ledger", "x.db", "config", "paths", "--json").raw)["ledger"] == str(tmp_path / "x.db")
    assert not list(own_home.iterdir())


def test_check_says_that_it_works_and_leaves_nothing(own_home: Path, tmp_path: Path) -> None:
    done = forum("config", "check")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("the configuration works: 0 executors, ")
    assert not list(tmp_path.iterdir())
    assert not list(own_home.iterdir())
