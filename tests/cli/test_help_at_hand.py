"""Asking for help or the version loads nothing, and says what the whole program would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from forum_mcp.cli import HELP
from forum_mcp.cli.lazy_group import LEDGER, ROOT
from tests.cli.commands import forum, process


def test_the_help_at_hand_is_the_help_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    made = forum("--help").out
    if os.environ.get("UPDATE_SNAPSHOTS"):
        Path(HELP).write_text(made, encoding="utf-8")
    assert Path(HELP).read_text(encoding="utf-8") == made, "run: UPDATE_SNAPSHOTS=1 python -m pytest tests/cli"
    for words in (("--help",), ("-h",)):
        assert process(*words).out == made
    assert process("help").out == made
    assert process("help", "ledger", "verify").out == forum("ledger", "verify", "--help").out
    assert process("-V").out == process("--version").out == forum("--version").out


def test_help_and_version_load_nothing_of_the_program() -> None:
    for word in ("--help", "--version"):
        program = (
            "import sys\nfrom forum_mcp.cli import main\n"
            f"sys.argv = ['forum-mcp', {word!r}]\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
            "print('\\n'.join(sys.modules), file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        loaded = set(done.stderr.splitlines())
        assert "forum_mcp.cli" in loaded
        assert not loaded & {"typer", "msgspec", "pathlib", "forum_mcp.cli.app", "platformdirs"}


@pytest.mark.parametrize(("above", "table"), [((), ROOT), (("ledger",), LEDGER)])
def test_every_command_of_the_tables_is_there(above: tuple[str, ...], table: dict[str, str]) -> None:
    shown = forum(*above, "--help").out
    for name in table:
        assert f"\n  {name} " in shown
        assert forum(*above, name, "--help").code == 0
    assert forum(*above, "no-such-command").code == 2


def test_verifying_by_path_loads_no_settings_and_no_library_of_options(tmp_path: Path) -> None:
    ledger = str(tmp_path / "l.db")
    assert forum("submit", "write docs", "--cmd", "echo done", "--roles", "rules", "--ledger", ledger).code == 0
    program = (
        "import sys\nfrom forum_mcp.cli import main\n"
        f"sys.argv = ['forum-mcp', 'ledger', 'verify', '--ledger', {ledger!r}]\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    print(ended.code)\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert not set(done.stderr.splitlines()) & {"typer", "pydantic", "pydantic_settings", "anyio", "mcp", "logging"}


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--level", "4"),
        ("--level", "4", "--json"),
        ("--level", "5"),
        ("--level=2",),
        ("--level",),
        ("--since", "--json"),
        ("--no-such",),
        ("stray",),
        ("--vkey", "nonsense"),
        ("--receipt", "gone.jsonl"),
        ("--since", "gone.txt"),
        ("--ledger", "gone.db"),
    ],
)
def test_the_short_way_to_verify_says_what_the_long_one_does(tmp_path: Path, words: tuple[str, ...]) -> None:
    ledger = tmp_path / "l.db"
    forum("submit", "write docs", "--cmd", "echo done", "--roles", "rules", "--ledger", str(ledger))
    command = ("ledger", "verify", *(() if "--ledger" in words else ("--ledger", str(ledger))), *words)
    long, short = forum(*command, cwd=tmp_path), process(*command, cwd=tmp_path)
    assert (short.code, short.out, short.err) == (long.code, long.out, long.err)


@pytest.mark.parametrize(
    ("words", "last", "offers"), [("forum-mcp led", 1, "ledger"), ("forum-mcp ledger ver", 2, "verify")]
)
def test_a_shell_completes_commands_of_every_depth(words: str, last: int, offers: str) -> None:
    env = {"_FORUM_MCP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(last)}
    assert process(env=env).out.split() == [offers]
    assert "_forum_mcp_completion" in process(env={"_FORUM_MCP_COMPLETE": "source_bash"}).out
