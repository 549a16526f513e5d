"""Runs from the command line: submit, plan, list, show, cancel, resume, and what their exit codes say."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final, cast

import pytest

from tests.cli.commands import COMMAND, Done, forum, process

ECHO: Final = ("--cmd", "echo done", "--roles", "rules")
PLAN: Final = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "first"},
        {"id": "b", "lane": "frontend", "instruction": "second", "depends_on": ["a"]},
    ]
}


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return str(tmp_path / "ledger.db")


def clean(ledger: str, level: int = 4) -> bool:
    return forum("ledger", "verify", "--level", str(level), "--ledger", ledger).code == 0


def scripted(tmp_path: Path, script: dict[str, object]) -> tuple[str, ...]:
    path = tmp_path / "script.json"
    path.write_text(json.dumps(script))
    return ("--scripted", str(path), "--roles", "rules")


def tasks(done: Done) -> dict[str, str]:
    rows = cast("list[dict[str, str]]", done.json()["tasks"])
    return {row["id"]: row["state"] for row in rows}


def test_a_request_is_answered_on_stdout_and_told_on_stderr(ledger: str) -> None:
    done = forum("submit", "1. write the readme docs 2. build the css for the page", *ECHO, "--ledger", ledger)
    assert done.code == 0
    assert "done" in done.out
    assert "run.started" not in done.out
    for words in ("run.started", "plan.accepted", "task.judged", "run.finished", "2 of 2 tasks succeeded"):
        assert words in done.err
    quiet = forum("submit", "write the docs", *ECHO, "--quiet", "--ledger", ledger)
    assert "run.started" not in quiet.err
    assert clean(ledger)


def test_json_is_the_whole_view(ledger: str) -> None:
    view = forum("submit", "write the docs", *ECHO, "--json", "--ledger", ledger).json()
    assert view["state"] == "succeeded"
    again = forum("run", "show", str(view["run_id"]), "--json", "--ledger", ledger).json()
    for member in ("run_id", "state", "tasks", "waves", "answer", "spent", "entries"):
        assert again[member] == view[member]


def test_a_plan_of_the_callers_own_is_run_as_it_is(tmp_path: Path, ledger: str) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    done = forum("submit", "do both", "--plan", str(plan), *ECHO, "--json", "--ledger", ledger)
    assert done.code == 0
    assert done.json()["waves"] == [["a"], ["b"]]
    assert tasks(done) == {"a": "succeeded", "b": "succeeded"}


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"tasks": [{"id": "a", "lane": "backend", "instruction": "x", "depends_on": ["a"]}]}, "a"),
        ({"tasks": [{"id": "a", "lane": "no-such-lane", "instruction": "x"}]}, "no-such-lane"),
        ({"tasks": []}, "task"),
        ([], "not a plan"),
    ],
)
def test_a_bad_plan_is_refused_before_anything_is_recorded(
    tmp_path: Path, ledger: str, plan: object, says: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    done = forum("submit", "do it", "--plan", str(path), *ECHO, "--ledger", ledger)
    assert done.code == 2
    assert says in done.err
    assert forum("run", "list", "--ledger", ledger).out == ""


def test_a_planned_run_rests_until_it_is_submitted(ledger: str) -> None:
    planned = forum("plan", "1. write the docs 2. build the css", *ECHO, "--json", "--ledger", ledger)
    assert planned.code == 0
    assert set(tasks(planned).values()) == {"pending"}
    run_id = str(planned.json()["run_id"])
    done = forum("submit", "--plan", run_id, *ECHO, "--json", "--ledger", ledger)
    assert (done.code, done.json()["run_id"]) == (0, run_id)
    assert set(tasks(done).values()) == {"succeeded"}
    assert clean(ledger)


def test_a_failed_run_is_exit_1_and_says_which_task_and_why(tmp_path: Path, ledger: str) -> None:
    flags = scripted(tmp_path, {"replies": [{"purpose": "task", "error": "refused", "detail": "will not"}]})
    done = forum("submit", "write the docs", *flags, "--ledger", ledger)
    assert done.code == 1
    assert "0 of 1 task succeeded, 1 call" in done.err
    assert "  t1: refused; will not\n" in done.err
    assert clean(ledger)


def test_a_program_that_fails_is_quoted(ledger: str) -> None:
    complains = f"{sys.executable} -c 'import sys; sys.exit(\"no key is set\")'"
    done = forum("submit", "write the docs", "--cmd", complains, "--roles", "rules", "--ledger", ledger)
    assert "  t1: exit-code; exit code 1: no key is set\n" in done.err


def test_recorded_text_reaches_a_terminal_escaped(tmp_path: Path, ledger: str) -> None:
    flags = scripted(tmp_path, {"replies": [], "default": "bad \x1b[2J\u202etext"})
    done = forum("submit", "write the docs \x1b]0;owned\x07", *flags, "--ledger", ledger)
    run_id = forum("run", "list", "--ledger", ledger).out.split()[0]
    shown = [
        forum(*command, "--ledger", ledger)
        for command in (
            ("run", "list"),
            ("run", "show", run_id),
            ("ledger", "show", "--bodies"),
            ("ledger", "trace", "5"),
            ("ledger", "replay"),
        )
    ]
    for each in (done, *shown):
        assert "\x1b" not in each.out + each.err
        assert "\u202e" not in each.out + each.err
    assert "bad \\x1b[2J\\u202etext" in done.out
    exact = forum("submit", "write the docs", *flags, "--json", "--ledger", ledger)
    assert "\x1b" not in exact.out
    assert "bad \x1b[2J\u202etext" in str(exact.json()["answer"])


def test_limits_given_to_a_run_hold(tmp_path: Path, ledger: str) -> None:
    done = forum(
        "submit", "1. write docs 2. build css 3. tune sql", *ECHO, "--max-calls", "2", "--json", "--ledger", ledger
    )
    assert done.code == 1
    assert cast("dict[str, int]", done.json()["spent"])["calls"] <= 2
    assert clean(ledger)


def test_the_same_key_joins_the_same_run(ledger: str) -> None:
    first, second = (
        forum("submit", "write the docs", *ECHO, "--idempotency-key", "k", "--json", "--ledger", ledger).json()
        for _ in range(2)
    )
    assert first["run_id"] == second["run_id"]
    assert forum("run", "list", "--ledger", ledger).out.count("\n") == 1


def test_an_unknown_run_is_exit_2(ledger: str) -> None:
    forum("submit", "write the docs", *ECHO, "--ledger", ledger)
    for command in ("show", "cancel", "resume"):
        done = forum("run", command, "0" * 32, "--ledger", ledger)
        assert done.code == 2, done
        assert done.err.startswith("forum-mcp: ")


def test_the_beginning_of_an_id_names_a_run(ledger: str) -> None:
    run_id = str(forum("submit", "write the docs", *ECHO, "--json", "--ledger", ledger).json()["run_id"])
    begins = run_id[:6]
    assert f"run {run_id} succeeded" in forum("run", "show", begins, "--ledger", ledger).out
    assert "run.finished" in forum("ledger", "show", "--run", begins, "--ledger", ledger).out
    assert f"run {run_id} " in forum("ledger", "summary", "--run", begins, "--ledger", ledger).out
    assert f"run {run_id} " in forum("ledger", "replay", "--run", begins, "--ledger", ledger).out
    pasted = forum("run", "show", f" {run_id.upper()} ", "--json", "--ledger", ledger)
    assert pasted.json()["run_id"] == run_id
    for unknown in (run_id[:5], run_id[1:9], "0" * 32):
        for words in (("run", "show", unknown), ("ledger", "show", "--run", unknown)):
            assert forum(*words, "--ledger", ledger).code == 2, unknown


def test_a_run_that_waits_for_approval_says_where(ledger: str) -> None:
    done = forum("submit", "write the docs", *ECHO, "--approve", "run", "--ledger", ledger)
    assert done.code == 4
    assert done.err.endswith("it waits for approval: forum-mcp gate list\n")
    rests = forum("plan", "write the docs", *ECHO, "--json", "--ledger", ledger).json()["run_id"]
    assert f"forum-mcp submit --plan {rests}" in forum("run", "show", str(rests), "--ledger", ledger).out


def test_leaving_early_is_exit_4_and_the_run_can_be_resumed(tmp_path: Path, ledger: str) -> None:
    gate = tmp_path / "gate"
    program = tmp_path / "agent.py"
    program.write_text(f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\nprint('done')\n")
    command = ("--cmd", f"{sys.executable} {program}", "--roles", "rules")
    done = forum("submit", "write the docs", *command, "--wait", "0.3", "--json", "--ledger", ledger)
    assert done.code == 4
    run_id = str(done.json()["run_id"])
    shown = forum("run", "show", run_id, "--ledger", ledger).out
    assert f"run {run_id} interrupted" in shown
    assert f"forum-mcp run resume {run_id}" in shown
    gate.touch()
    resumed = forum("run", "resume", run_id, *command, "--json", "--ledger", ledger)
    assert resumed.code == 0, resumed
    assert clean(ledger)


def test_a_cancelled_run_ends_as_cancelled(tmp_path: Path, ledger: str) -> None:
    program = tmp_path / "agent.py"
    program.write_text("import time\ntime.sleep(60)\n")
    command = ("--cmd", f"{sys.executable} {program}", "--roles", "rules")
    run_id = str(forum("submit", "write", *command, "--wait", "0.2", "--json", "--ledger", ledger).json()["run_id"])
    done = forum("run", "cancel", run_id, "--reason", "not needed", "--json", "--ledger", ledger)
    assert done.code == 0
    assert done.json()["state"] == "cancelled"
    assert clean(ledger)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_submit_in_order(tmp_path: Path, ledger: str, number: signal.Signals, code: int) -> None:
    program = tmp_path / "agent.py"
    program.write_text("import os, sys, time\nprint('started', file=sys.stderr, flush=True)\ntime.sleep(60)\n")
    arguments = ("submit", "write", "--cmd", f"{sys.executable} {program}", "--roles", "rules", "--ledger", ledger)
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as submit:
        assert submit.stderr is not None
        for line in submit.stderr:
            if "call.started" in line:
                break
        os.kill(submit.pid, number)
        _, err = submit.communicate(timeout=30)
    assert submit.returncode == code
    assert "Traceback" not in err
    run_id, state = forum("run", "list", "--ledger", ledger).out.split()[:2]
    assert state == "interrupted"
    assert f"forum-mcp run resume {run_id}" in err
    assert clean(ledger)


def test_the_request_may_come_on_stdin(ledger: str) -> None:
    done = process("submit", "-", *ECHO, "--json", "--ledger", ledger, stdin="write the docs\n")
    assert done.code == 0
    assert forum("run", "show", str(done.json()["run_id"]), "--ledger", ledger).out.startswith(
        "request: write the docs"
    )


def test_runs_are_listed_newest_first_and_paged(ledger: str) -> None:
    for number in range(3):
        forum("submit", f"write docs {number}", *ECHO, "--ledger", ledger)
    first = forum("run", "list", "--limit", "2", "--json", "--ledger", ledger).json()
    assert [row["request"] for row in cast("list[dict[str, str]]", first["runs"])] == ["write docs 2", "write docs 1"]
    second = forum("run", "list", "--before", str(first["before"]), "--json", "--ledger", ledger).json()
    assert [row["request"] for row in cast("list[dict[str, str]]", second["runs"])] == ["write docs 0"]


def test_the_model_of_a_client_is_refused_where_there_is_no_client(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[executors.client]\ntype = "sampling"\n[roles]\nworker = ["client", "host"]\n')
    done = process("submit", "hello", "--single", "--config", str(config), "--ledger", str(tmp_path / "ledger.db"))
    assert done.code == 2
    assert "the worker is the model of an MCP client" in done.err
    assert "--agent claude" in done.err
    assert not (tmp_path / "ledger.db").exists(), "nothing was recorded"
