"""A git worktree per task: what the command made of the files comes back as a patch, and nothing is left."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from forum_mcp.executors.base import Call
from forum_mcp.executors.command import CommandExecutor
from forum_mcp.executors.isolation import Isolation, Sandbox
from tests.executors.levels import HIDING
from tests.executors.test_isolation import PREFIXES

MakeCall = Callable[..., Call]
Opened = Callable[[CommandExecutor], CommandExecutor]
ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
WHO = ("-c", "user.name=A", "-c", "user.email=a@example.org")


def git(repo: Path, *words: str) -> str:
    done = subprocess.run(["git", *WHO, *words], cwd=repo, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    path.mkdir()
    git(path, "init", "-q")
    (path / "kept.txt").write_text("one\ntwo\n")
    (path / "gone.txt").write_text("old\n")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "first")
    (path / "kept.txt").write_text("not committed\n")
    return path


def worker(repo: Path, code: str, isolation: Isolation | None = None) -> CommandExecutor:
    return CommandExecutor([sys.executable, "-c", code], environ=ENVIRON, repo=str(repo), isolation=isolation)


CHANGE = """
import os
assert open("kept.txt").read() == "one\\ntwo\\n"
open("kept.txt", "a").write("three\\n")
open("new.bin", "wb").write(bytes(range(256)))
os.remove("gone.txt")
os.makedirs("sub", exist_ok=True)
open("sub/caf\u00e9 x.txt", "w").write("y\\n")
print("did it")
"""


async def test_what_changed_is_a_patch_that_applies_to_what_was_there(
    opened: Opened, make_call: MakeCall, repo: Path, tmp_path: Path
) -> None:
    outcome = await opened(worker(repo, CHANGE)).perform(make_call())
    assert (outcome.error, outcome.reply) == (None, b"did it\n"), outcome
    assert outcome.isolation == ("clean-environment", "git-worktree")
    assert outcome.patch is not None
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(repo), str(other))
    (tmp_path / "patch").write_bytes(outcome.patch)
    git(other, "apply", str(tmp_path / "patch"))
    assert (other / "kept.txt").read_text() == "one\ntwo\nthree\n"
    assert (other / "new.bin").read_bytes() == bytes(range(256))
    assert (other / "sub" / "caf\u00e9 x.txt").read_text() == "y\n"
    assert not (other / "gone.txt").exists()


def assert_untouched(repo: Path) -> None:
    assert git(repo, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert list((repo / ".git").glob("worktrees/*")) == []
    assert git(repo, "status", "--porcelain") == " M kept.txt\n"


async def test_the_repository_is_as_it_was_and_nothing_is_left(
    opened: Opened, make_call: MakeCall, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    await opened(worker(repo, CHANGE)).perform(make_call())
    assert_untouched(repo)
    assert list((tmp_path / "tmp").iterdir()) == []


async def test_what_a_command_commits_is_in_the_patch_as_well(opened: Opened, make_call: MakeCall, repo: Path) -> None:
    code = (
        "import subprocess\nopen('new.txt', 'w').write('x\\n')\n"
        "subprocess.run(['git', 'add', '.'], check=True)\n"
        f"subprocess.run(['git', *{list(WHO)!r}, 'commit', '-q', '-m', 'mine'], check=True)\nprint('ok')"
    )
    outcome = await opened(worker(repo, code)).perform(make_call())
    assert outcome.error is None, outcome.stderr
    assert b"+++ b/new.txt" in (outcome.patch or b"")
    assert git(repo, "log", "--oneline", "--all").count("\n") == 1


async def test_a_command_that_works_without_a_word_has_its_files_as_its_reply(
    opened: Opened, make_call: MakeCall, repo: Path
) -> None:
    outcome = await opened(worker(repo, "open('new.txt', 'w').write('x')")).perform(make_call())
    assert (outcome.error, outcome.reply) == (None, b"changed 1 file:\nnew.txt")
    idle = await opened(worker(repo, "pass")).perform(make_call())
    assert (idle.error, idle.patch) == ("empty-reply", None)


async def test_a_failed_command_keeps_its_class_and_its_patch(opened: Opened, make_call: MakeCall, repo: Path) -> None:
    outcome = await opened(worker(repo, "open('new.txt', 'w').write('x'); raise SystemExit(3)")).perform(make_call())
    assert (outcome.error, b"new.txt" in (outcome.patch or b"")) == ("exit-code", True)


TRAP = """
import os, pathlib
here = pathlib.Path.cwd()
fake = here / "fake"
(fake / "objects").mkdir(parents=True); (fake / "refs").mkdir()
(fake / "HEAD").write_text("ref: refs/heads/x\\n")
runs = "touch " + os.environ["MARK"]
(fake / "config").write_text("[core]\\n\\tfsmonitor = " + runs + "\\n[diff]\\n\\texternal = " + runs)
(here / ".git").unlink(); (here / ".git").write_text("gitdir: " + str(fake))
print("laid")
"""


async def test_files_that_would_make_git_run_something_do_not(
    opened: Opened, make_call: MakeCall, repo: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    trap = CommandExecutor([sys.executable, "-c", TRAP], environ=ENVIRON, repo=str(repo), env={"MARK": str(mark)})
    outcome = await opened(trap).perform(make_call())
    assert (outcome.error, outcome.reply) == (None, b"laid\n"), outcome
    assert not mark.exists()
    assert_untouched(repo)


async def test_many_tasks_have_each_their_own(opened: Opened, make_call: MakeCall, repo: Path) -> None:
    shared = opened(worker(repo, "import sys; open('mine', 'w').write(sys.stdin.read()); print('ok')"))
    patches: dict[int, bytes | None] = {}

    async def perform(number: int) -> None:
        patches[number] = (await shared.perform(make_call(prompt=b"task %d" % number))).patch

    async with anyio.create_task_group() as group:
        for number in range(4):
            group.start_soon(perform, number)
    assert all(b"+task %d" % number in (patches[number] or b"") for number in range(4))
    assert_untouched(repo)


async def test_cancellation_leaves_no_worktree(opened: Opened, make_call: MakeCall, repo: Path) -> None:
    started = repo.parent / "started"
    os.mkfifo(started)
    slow = opened(worker(repo, f"import time; open({str(started)!r}, 'w').write('x'); time.sleep(600)"))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(slow.perform, make_call())
            await anyio.to_thread.run_sync(started.read_text)
            group.cancel_scope.cancel()
    assert_untouched(repo)


def ended_process() -> int:
    with subprocess.Popen(["true"]) as ended:
        return ended.pid


async def test_what_a_killed_process_of_ours_left_is_removed_by_the_next(
    opened: Opened, make_call: MakeCall, repo: Path, tmp_path: Path
) -> None:
    left = tmp_path / f"forum-{ended_process()}-0123"
    left.mkdir()
    git(repo, "worktree", "add", "-q", "--detach", str(left / "tree"))
    theirs = tmp_path / "theirs"
    git(repo, "worktree", "add", "-q", "--detach", str(theirs))
    await opened(worker(repo, "print('ok')")).perform(make_call())
    assert (left.exists(), theirs.exists()) == (False, True)
    assert git(repo, "worktree", "list", "--porcelain").count("worktree ") == 2


async def test_a_worktree_of_another_container_keeps_its_entry(
    opened: Opened, make_call: MakeCall, repo: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / f"forum-{ended_process()}-0123"
    git(repo, "worktree", "add", "-q", "--detach", str(elsewhere / "tree"))
    elsewhere.rename(tmp_path / "as seen from there")
    await opened(worker(repo, "print('ok')")).perform(make_call())
    assert str(elsewhere) in git(repo, "worktree", "list", "--porcelain")


async def test_no_repository_no_commit_and_no_git_are_told(opened: Opened, make_call: MakeCall, tmp_path: Path) -> None:
    outcome = await opened(worker(tmp_path, "print(1)")).perform(make_call())
    assert (outcome.error, "not a git repository" in (outcome.detail or "")) == ("isolation-missing", True)
    bare = CommandExecutor(["true"], environ={"PATH": "/nowhere"}, repo=str(tmp_path))
    assert "git is not installed" in ((await opened(bare).perform(make_call())).detail or "")


@pytest.mark.parametrize("sandbox", HIDING)
async def test_in_a_sandbox_the_files_are_the_task_s_and_the_repository_is_only_read(
    opened: Opened, make_call: MakeCall, repo: Path, sandbox: Sandbox
) -> None:
    code = (
        "import subprocess, sys\nopen('new.txt', 'w').write('x')\n"
        f"try: open({str(repo / 'planted')!r}, 'w')\nexcept OSError: pass\n"
        "print(subprocess.run(['git', 'log', '--format=%s'], capture_output=True, text=True).stdout)"
    )
    isolation = Isolation(sandbox=sandbox, readable=PREFIXES)
    outcome = await opened(worker(repo, code, isolation)).perform(make_call())
    assert (outcome.error, outcome.reply) == (None, b"first\n\n"), outcome
    assert b"new.txt" in (outcome.patch or b"")
    assert not (repo / "planted").exists()
