"""How a run is shown: a tree, a line of time, a diagram; live on a terminal, plain through a pipe."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from forum_mcp.cli.graphs import mermaid, task_lines
from forum_mcp.cli.progress import counted, progress
from forum_mcp.engine.exports import lines_ahead
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.redaction import prune
from forum_mcp.engine.views import RunView, Spent, TaskView
from tests.cli.commands import COMMAND, forum

ECHO: Final = ("--cmd", "echo done", "--roles", "rules")
PLAN: Final = {
    "tasks": [
        {"id": "a", "lane": "backend", "instruction": "first"},
        {"id": "b", "lane": "frontend", "instruction": "second", "depends_on": ["a"]},
        {"id": "c", "lane": "frontend", "instruction": "third", "depends_on": ["a"]},
        {"id": "d", "lane": "technical-writing", "instruction": "last", "depends_on": ["a", "b", "c"]},
    ]
}


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    return str(tmp_path / "ledger.db")


def run_of_four(tmp_path: Path, ledger: str) -> str:
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))
    plan = str(tmp_path / "plan.json")
    done = forum("submit", "do all", "--plan", plan, *ECHO, "--json", "--ledger", ledger)
    assert done.code == 0
    return str(done.json()["run_id"])


def a_view(*tasks: TaskView) -> RunView:
    return RunView(
        run_id="0" * 32,
        state="running",
        mode="submit",
        lane=None,
        plan_by="caller",
        tasks=list(tasks),
        waves=[],
        answer=None,
        unvalidated=[],
        failed=[],
        skipped=[],
        spent=Spent(calls=0, seconds=0.0, tokens=None, cost_usd=None),
        error=None,
        entries=[1, 2],
        next=None,
        checkpoint=None,
    )


def a_task(name: str, wave: int = 0, *after: str, state: str = "pending") -> TaskView:
    return TaskView(
        id=name, lane="backend", state=state, instruction="x", depends_on=list(after), wave=wave, attempts=0
    )


def test_a_run_is_a_tree_of_tasks_and_a_line_of_time_for_each_call(tmp_path: Path, ledger: str) -> None:
    shown = forum("run", "show", run_of_four(tmp_path, ledger), "--ledger", ledger).out
    tree = re.findall(r"^  (\S.*?) +succeeded  passed|^  (.*?) +succeeded  ", shown, re.MULTILINE)
    assert [one or other for one, other in tree] == ["a", "├─ b", "│  └─ d", "└─ c"]
    assert "after a, b, c" in shown
    calls = re.findall(r"^  ([a-d])  task  \S+ +([·━]+)  \d+\.\d\d s  ok$", shown, re.MULTILINE)
    assert sorted(name for name, _ in calls) == ["a", "b", "c", "d"]
    assert {len(bar) for _, bar in calls} == {40}
    assert calls[0][1].startswith("━")
    assert "\x1b" not in shown


def test_every_task_stands_in_the_tree_once_under_the_last_of_its_dependencies() -> None:
    tasks = (a_task("a"), a_task("b", 1, "a"), a_task("c", 1, "a"), a_task("d", 2, "a", "c"), a_task("e"))
    lines = list(task_lines(a_view(*tasks), lambda word, _: word))
    assert [line.split("  pending")[0].rstrip() for line in lines] == ["a", "├─ b", "└─ c", "   └─ d", "e"]
    assert list(task_lines(a_view(), lambda word, _: word)) == []


def test_states_and_verdicts_have_their_colours_and_nothing_else_has() -> None:
    view = a_view(a_task("a", state="failed"))
    (line,) = task_lines(view, lambda word, colour: f"<{colour}:{word}>")
    assert re.findall(r"<[^>]*>", line) == ["<red:failed>"]


def test_the_diagram_is_a_flowchart_that_cannot_be_broken_out_of() -> None:
    hostile = a_task('x"]; click y "javascript:0', 0, state="succeeded")
    lines = list(mermaid(a_view(hostile, a_task("b", 1, hostile.id))))
    assert lines[0] == "flowchart LR"
    assert "    t0 --> t1" in lines
    assert sum(line.count('"') for line in lines) == 4
    assert '"' not in lines[1].partition('["')[2].partition('"]')[0]


def test_a_diagram_and_json_at_once_are_refused(tmp_path: Path, ledger: str) -> None:
    run_id = run_of_four(tmp_path, ledger)
    drawn = forum("run", "show", run_id, "--mermaid", "--ledger", ledger)
    assert drawn.code == 0
    assert drawn.out.startswith("flowchart LR\n")
    assert drawn.out.count(" --> ") == 5
    refused = forum("run", "show", run_id, "--mermaid", "--json", "--ledger", ledger)
    assert refused.code == 2
    assert "give one" in refused.err


def at_a_terminal(*arguments: str, **env: str) -> str:
    """Return what a command writes to a terminal of its own on stderr."""
    import pty  # not on Windows

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", **env},
    ) as child:
        os.close(theirs)
        written = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not block:
                break
            written += block
    os.close(ours)
    assert child.returncode == 0, written
    return written.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
def test_a_terminal_shows_a_run_live_and_colour_only_where_it_is_welcome(ledger: str) -> None:
    submit = ("submit", "1. write the docs 2. build the css", *ECHO, "--ledger", ledger)
    live = at_a_terminal(*submit)
    assert "run.started" in live
    assert "\x1b[2K" in live or "\x1b[1A" in live or "\x1b[?25l" in live
    assert "\x1b[32m" in live
    plain = at_a_terminal(*submit, NO_COLOR="1")
    assert "\x1b[32m" not in plain
    assert "succeeded" in plain
    dumb = at_a_terminal(*submit, TERM="dumb")
    assert "\x1b" not in dumb
    assert "run.started" in dumb


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
@pytest.mark.parametrize(("total", "shown"), [(0, rb"verifying.*3"), (4, rb"verifying.*3 of 4.*75 %")])
def test_what_takes_long_says_so_at_a_terminal_and_cleans_up(total: int, shown: bytes) -> None:
    import pty  # not on Windows

    script = (
        "import sys; from forum_mcp.cli.progress import counted, progress\n"
        "with progress('verifying', after_s=0) as meter:\n"
        f"    meter.total = {total}\n"
        "    assert list(counted('abc', meter)) == ['a', 'b', 'c']\n"
        "    sys.stdin.read(1)\n"
    )
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs, env=env) as child:
        os.close(theirs)
        written = b""
        while not re.search(shown, written, re.DOTALL):
            written += os.read(ours, 4096)
        out, _ = child.communicate(b"x", timeout=30)
    os.close(ours)
    assert (child.returncode, out) == (0, b"")


def test_what_takes_long_says_nothing_through_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("verifying", after_s=0) as meter:
        assert list(counted("abc", meter)) == ["a", "b", "c"]
    assert meter.done == 3
    assert capsys.readouterr() == ("", "")


class Watcher:
    """Keeps what it is told."""

    def __init__(self, told: list[tuple[int, int]]) -> None:
        self._told = told

    def __call__(self, done: int, total: int) -> None:
        self._told.append((done, total))


def test_how_far_the_work_is_goes_up_to_its_end(tmp_path: Path, ledger: str) -> None:
    run_of_four(tmp_path, ledger)
    with Ledger.open(ledger, create=False) as record:
        size = record.size
        for level, passes in ((3, 1), (4, 2)):
            told: list[tuple[int, int]] = []
            assert record.verify(level, on_progress=Watcher(told)).clean
            assert {total for _, total in told} == {passes * size}
            assert told == sorted(told)
            assert (passes - 1) * size < told[-1][0] <= passes * size, "an entry outside of runs decides nothing"
        for without in (True, False):
            lines = list(record.export(without_bodies=without))
            assert len(lines) - lines_ahead(record.store, without_bodies=without) in range(3), "and head and foot"
        gone: list[tuple[int, int]] = []
        later = record.now_us() + 1
        prune(record, later, "test", yes=True, on_progress=Watcher(gone))
        assert gone
        assert gone[-1][0] == gone[-1][1]
        assert record.verify(4).clean


def test_a_run_of_another_process_is_followed_to_its_end(tmp_path: Path, ledger: str) -> None:
    gate, program = tmp_path / "gate", tmp_path / "agent.py"
    program.write_text(f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\nprint('done')\n")
    worker = ("--cmd", f"{sys.executable} {program}", "--roles", "rules", "--ledger", ledger)
    with subprocess.Popen(
        [*COMMAND, "submit", "write", *worker], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as run:
        assert run.stderr is not None
        assert any(b"call.started" in line for line in run.stderr)
        run_id = forum("run", "list", "--ledger", ledger).out[:32]
        follow = [*COMMAND, "run", "show", run_id, "--follow", "--ledger", ledger]
        with subprocess.Popen(follow, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shown:
            assert shown.stderr is not None
            assert any("call.started" in line for line in shown.stderr)
            gate.touch()
            out, err = shown.communicate(timeout=60)
        run.communicate(timeout=60)
    assert "run.finished" in err
    assert f"run {run_id} succeeded" in out
    assert "\x1b" not in out + err
