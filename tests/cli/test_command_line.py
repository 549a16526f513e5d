"""What holds for the whole command line: help, exit codes, refusals, and what a command does not load."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import forum_mcp
from tests.cli.commands import COMMAND, forum

GOLDEN: Final = (
    ("build the database schema and the auth endpoint", "backend"),
    ("build the react component and css for the page", "frontend"),
    ("write the readme docs and the guide", "technical-writing"),
)


def test_the_version_is_the_packages() -> None:
    done = forum("--version")
    assert (done.code, done.out) == (0, f"forum-mcp {forum_mcp.__version__}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_alone_on_a_terminal_it_prints_help() -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(COMMAND, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert "submit" in done.stdout


@pytest.mark.parametrize(("request_", "lane"), GOLDEN)
def test_golden_requests_go_where_they_belong(request_: str, lane: str) -> None:
    view = forum("route", request_, "--json").json()
    assert view["lane"] == lane
    assert forum("route", request_).out.startswith(lane)


def test_a_request_nobody_knows_is_undecided_and_that_is_no_error() -> None:
    done = forum("route", "summon a unicorn", "--json")
    assert done.code == 0
    view = done.json()
    assert (view["lane"], view["confidence"]) == (None, 0.0)
    assert "undecided" in forum("route", "summon a unicorn").out


def test_a_batch_is_routed_line_by_line(tmp_path: Path) -> None:
    batch = tmp_path / "batch.jsonl"
    rows: list[object] = [{"text": GOLDEN[0][0], "id": 7}, {"request": GOLDEN[1][0]}, GOLDEN[2][0]]
    batch.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    lines = forum("route", "--batch", str(batch)).out.splitlines()
    assert [json.loads(line)["lane"] for line in lines] == [lane for _, lane in GOLDEN]


@pytest.mark.parametrize("line", ["{", "3", '{"txt": "x"}', '"\\ud800'])
def test_a_batch_line_that_is_no_request_is_named(tmp_path: Path, line: str) -> None:
    batch = tmp_path / "batch.jsonl"
    batch.write_text('"build the css"\n' + line)
    done = forum("route", "--batch", str(batch))
    assert done.code == 2
    assert "line 2" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("route",),
        ("route", "x", "--batch", "y"),
        ("route", "   "),
        ("route", "--batch", "nowhere.jsonl"),
        ("submit",),
        ("submit", "x", "--cmd", "cat", "--local", "m.gguf"),
        ("submit", "x", "--cmd", "cat", "--plan", "nowhere.json"),
        ("submit", "x", "--cmd", "cat", "--lane", "no-such-lane", "--ledger", ":memory:"),
        ("submit", " ", "--cmd", "cat", "--ledger", ":memory:"),
        ("submit", "x", "--config", "nowhere.toml"),
        ("submit", "x", "--scripted", "nowhere.json"),
        ("submit", "x", "--api-key", "sk-123", "--chat-url", "http://h", "--model", "m"),
        ("no-such-command",),
        ("route", "x", "--no-such-flag"),
        ("ledger", "verify", "--level", "5"),
        ("ledger", "get", "-1"),
        ("run", "show"),
    ],
)
def test_a_wrong_use_is_one_refusal_with_exit_2_and_leaves_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = forum(*arguments, cwd=tmp_path)
    assert done.code == 2, done
    assert done.out == ""
    assert "Traceback" not in done.err
    assert done.err.strip()
    assert list(tmp_path.iterdir()) == []


def test_without_a_model_submit_says_what_to_configure(own_home: Path) -> None:
    done = forum("submit", "write the docs")
    assert done.code == 2
    for flag in ("--cmd", "--chat-url", "--local", "forum-mcp init"):
        assert flag in done.err
    assert done.err.count("\n") == 1
    assert not list((own_home / "state").rglob("*.db"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("ledger", "verify"),
        ("ledger", "show"),
        ("ledger", "get", "0"),
        ("ledger", "trace", "0"),
        ("ledger", "replay"),
        ("ledger", "export"),
        ("ledger", "checkpoint"),
        ("run", "list"),
        ("run", "show", "0" * 32),
        ("run", "cancel", "0" * 32),
        ("run", "resume", "0" * 32),
    ],
)
def test_a_missing_ledger_is_exit_3_and_none_is_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    for place in (("--ledger", "nowhere.db", *arguments), (*arguments, "--ledger", "nowhere.db")):
        done = forum(*place, cwd=tmp_path)
        assert done.code == 3, done
        assert "nothing was created" in done.err
        assert done.err.startswith("forum-mcp: ")
    assert forum(*arguments).code == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a ledger", b"SQLite format 3\x00" + b"\x00" * 200])
def test_a_file_that_is_no_ledger_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    assert forum("ledger", "show", "--ledger", str(path)).code == 3
    assert forum("ledger", "verify", "--ledger", str(path)).code in (1, 3)
    assert path.read_bytes() == content
    assert [found.name for found in tmp_path.iterdir()] == ["ledger.db"]


def loaded_by(tmp_path: Path, *arguments: str) -> set[str]:
    """Return the top-level modules that are loaded once the command has ended."""
    program = (
        "import sys\nfrom forum_mcp.cli.app import main\n"
        f"sys.argv = ['forum-mcp', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.splitlines())


LEDGER_COMMANDS: Final = (("verify",), ("verify", "--level", "4"), ("show",), ("trace", "5"), ("replay",), ("export",))


def test_commands_load_only_what_they_need(tmp_path: Path) -> None:
    ledger = str(tmp_path / "l.db")
    done = forum("submit", "write the docs", "--cmd", "echo done", "--roles", "rules", "--ledger", ledger)
    assert done.code == 0, done
    for command in LEDGER_COMMANDS:
        loaded = loaded_by(tmp_path, "ledger", *command, "--ledger", ledger)
        assert "forum_mcp.engine.ledger" in loaded or "forum_mcp.engine.verifying" in loaded
        assert not loaded & {"mcp", "httpx2", "pydantic_settings", "starlette", "anyio"}, command
    for other in (("--help",), ("route", "x"), ("run", "list", "--ledger", ledger)):
        assert not loaded_by(tmp_path, *other) & {"mcp", "httpx2", "starlette"}, other


def test_a_reader_that_leaves_early_is_no_complaint(tmp_path: Path) -> None:
    ledger = str(tmp_path / "l.db")
    forum("submit", "write the docs", "--cmd", "echo done", "--roles", "rules", "--ledger", ledger)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(
            [*COMMAND, "ledger", "export", "--ledger", ledger],
            stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 1


def test_a_broken_configuration_does_not_keep_anybody_from_a_ledger_named_by_its_path(tmp_path: Path) -> None:
    ledger = str(tmp_path / "l.db")
    forum("submit", "write the docs", "--cmd", "echo done", "--roles", "rules", "--ledger", ledger)
    (tmp_path / ".forum").mkdir()
    (tmp_path / ".forum" / "config.toml").write_text("no such toml")
    assert forum("ledger", "verify", "--ledger", ledger, cwd=tmp_path).code == 0
    assert forum("ledger", "verify", cwd=tmp_path).code == 2


def test_input_nested_beyond_reason_is_refused_like_any_other(tmp_path: Path) -> None:
    for name, text in (
        ("plan.json", "[" * 100_000),
        ("rows.jsonl", "[" * 100_000),
        ("deep.toml", "a=" + "[" * 100_000),
    ):
        (tmp_path / name).write_text(text)
    for arguments in (
        ("submit", "x", "--cmd", "cat", "--plan", "plan.json"),
        ("route", "--batch", "rows.jsonl"),
        ("route", "x", "--config", "deep.toml"),
    ):
        done = forum(*arguments, cwd=tmp_path)
        assert (done.code, done.err.count("\n")) == (2, 1), done


def shell(line: str) -> subprocess.CompletedProcess[str]:
    command = " ".join(shlex.quote(word) for word in COMMAND)
    return subprocess.run(
        ["sh", "-c", line.replace("forum-mcp", command)], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_process_without_stdout_or_stderr_still_works() -> None:
    assert shell("forum-mcp route x >&-").returncode == 0
    assert shell("forum-mcp route x >&- 2>&-").returncode == 0
    assert shell("forum-mcp submit - --cmd cat <&-").returncode == 2
    assert "Usage" in shell("forum-mcp <&-").stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_one_line_and_exit_1() -> None:
    for command in ("route x", "--version", "demo"):
        done = shell(f"forum-mcp {command} >/dev/full")
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
        assert "No space left" in done.stderr
