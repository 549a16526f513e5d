"""The command line where homes, streams, terminals and locales are not as usual: an answer or one line, no trace."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.cli.commands import COMMAND, Done, process

ECHO: Final = ("--cmd", "echo done", "--roles", "rules")
XDG: Final = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")

posix_only: Final = pytest.mark.skipif(sys.platform == "win32", reason="of a POSIX system")


def at_home(home: str, *arguments: str, cwd: Path, **env: str) -> Done:
    """Run a command with a home and nothing else that says where files go."""
    given: Mapping[str, str] = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", **env}
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert b"Traceback" not in done.stderr + done.stdout, done.stderr
    return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


@posix_only
@pytest.mark.parametrize("name", ["two  spaces", "a\nline", "ö\"b'c 100%#?&x", "\udcff"])
def test_a_home_may_have_any_name(name: str, tmp_path: Path) -> None:
    home, work = tmp_path / name, tmp_path / "work"
    home.mkdir()
    work.mkdir()
    for words in (("init",), ("install", "claude-code"), ("submit", *ECHO, "--quiet", "write the docs")):
        done = at_home(str(home), *words, cwd=work)
        assert done.code == 0, done
    assert (home / ".local" / "state" / "forum-mcp" / "ledger.db").exists()
    assert at_home(str(home), "ledger", "verify", cwd=work).out.startswith("clean: ")
    shown = at_home(str(home), "config", "paths", cwd=work).out.splitlines()
    assert len(shown) == 6
    if name.isprintable():
        assert str(home / ".local" / "state" / "forum-mcp") in shown[2]
    checked = at_home(str(home), "config", "check", "--ledger", str(home / "none" / ".."), cwd=work)
    assert checked.err.count("\n") <= 1
    assert at_home(str(home), "uninstall", "claude-code", cwd=work).code == 0


@posix_only
def test_in_the_home_itself_its_files_are_said_to_be_there(tmp_path: Path) -> None:
    assert " ~/.claude.json" in at_home(str(tmp_path), "install", cwd=tmp_path).out


@posix_only
def test_a_configuration_that_cannot_be_made_may_be_put_elsewhere(tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("a file")
    refused = at_home(str(tmp_path), "init", cwd=tmp_path)
    assert refused.code == 2
    assert "--print" in refused.err
    assert "FORUM_STATE_DIR" not in refused.err, "that is for ledgers and keys"


@posix_only
@pytest.mark.parametrize("home", ["", "/dev/null", "/proc"])
def test_a_home_where_nothing_can_be_is_one_line(home: str, tmp_path: Path) -> None:
    for words in (("init",), ("install", "codex"), ("submit", *ECHO, "write the docs")):
        done = at_home(home, *words, cwd=tmp_path)
        assert done.code == 2, (words, done)
        assert done.err.startswith("forum-mcp: ")
        assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    for words in (("--help",), ("--version",)):
        assert at_home(home, *words, cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=str,
)
def test_text_of_any_script_is_shown_in_any_locale(env: dict[str, str], tmp_path: Path) -> None:
    submit = ("submit", "-", "--cmd", "cat", "--roles", "rules", "--ledger", "l.db")
    done = process(*submit, cwd=tmp_path, env={"PYTHONUTF8": "1"}, stdin="größe ☃ \u202eevil")
    assert done.code == 0, done
    for words in (("ledger", "show", "--bodies"), ("run", "list")):
        done = at_home(str(tmp_path), *words, "--ledger", "l.db", cwd=tmp_path, **env)
        assert done.code == 0, done
        assert b"\xe2\x80\xae" not in done.raw


@posix_only
def test_what_is_said_in_utf8_is_heard_in_any_locale(tmp_path: Path) -> None:
    env = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    keep = ("--ledger", "l.db")
    submit = ("submit", "größe ☃", "--cmd", "cat", "--roles", "rules", "--idempotency-key", "größe", *keep)
    for locale in (env, {"PYTHONUTF8": "1"}):
        done = at_home(str(tmp_path), *submit, cwd=tmp_path, **locale)
        assert done.code == 0, done
    listed = at_home(str(tmp_path), "run", "list", "--json", *keep, cwd=tmp_path, **env).out
    assert [run["request"] for run in json.loads(listed)["runs"]] == ["größe ☃"], "the key is the same in both"
    routed = at_home(str(tmp_path), "route", "--json", "mach die Größe der Schaltfläche im CSS", cwd=tmp_path, **env)
    assert routed.json()["chosen"] == "frontend"
    for words in (("route", "gr\udcffe"), ("submit", "x", "--cmd", "echo größe", *keep)):
        refused = at_home(str(tmp_path), *words, cwd=tmp_path, **env)
        assert (refused.code, refused.err.count("\n"), "UTF-8" in refused.err) == (2, 1, True), refused


@posix_only
@pytest.mark.parametrize("home", ["", "/proc"])
def test_to_route_takes_no_place_for_files(home: str, tmp_path: Path) -> None:
    (tmp_path / ".forum").mkdir()
    (tmp_path / ".forum" / "config.toml").write_text("max_parallel = 3\nlocal_only = true\n")
    batch = tmp_path / "rows.jsonl"
    batch.write_text('{"text": "fix the css"}\n')
    done = at_home(home, "route", "--batch", str(batch), cwd=tmp_path)
    assert (done.code, "frontend" in done.out) == (0, True), done


@posix_only
def test_results_do_not_depend_on_anybody_reading_what_goes_on(tmp_path: Path) -> None:
    submit = [*COMMAND, "submit", "write the docs", *ECHO, "--ledger", "l.db"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(submit, cwd=tmp_path, stdout=subprocess.PIPE, stderr=full, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()[:1]) == (0, [b"done"])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(submit, cwd=tmp_path, stdout=subprocess.PIPE, stderr=writer, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stdout.split()[:1]) == (0, [b"done"])


@posix_only
@pytest.mark.parametrize("words", ["--help", "ledger verify", "run list"])
def test_a_full_disk_behind_stdout_is_one_line_and_a_closed_one_is_nothing(words: str, tmp_path: Path) -> None:
    assert process("submit", "write the docs", *ECHO, "--quiet", cwd=tmp_path).code == 0
    command = [*COMMAND, *words.split()]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("forum-mcp: reading or writing failed; ")
    assert done.stderr.count("\n") == 1
    closed = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize("columns", ["20", "1", "wide"])
def test_a_terminal_may_have_any_width(columns: str, tmp_path: Path) -> None:
    env = {"COLUMNS": columns}
    for words in (("submit", "--help"), ("submit", "write the docs", *ECHO)):
        done = process(*words, cwd=tmp_path, env=env)
        assert done.code == 0, done
    (run,) = re.findall(r"^[0-9a-f]{32}", process("run", "list", cwd=tmp_path, env=env).out, re.MULTILINE)
    for shown in (
        ("run", "show", run),
        ("ledger", "show"),
        ("ledger", "trace", "9"),
        ("config", "show"),
        ("gate", "list"),
    ):
        done = process(*shown, cwd=tmp_path, env=env)
        assert (done.code, "Traceback" in done.err) == (0, False), done


@pytest.mark.parametrize("words", [["route", "x"], ["mcp"]])
def test_who_is_impatient_while_it_loads_sees_no_trace(words: list[str], tmp_path: Path) -> None:
    program = (
        "import sys\nfrom forum_mcp.cli import main\nclass Hurry:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in ('forum_mcp.cli.app', 'forum_mcp.cli.serving'):\n            raise KeyboardInterrupt\n"
        f"sys.meta_path.insert(0, Hurry())\nsys.argv = ['forum-mcp', *{words}]\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, b"")
