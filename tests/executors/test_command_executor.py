"""The command executor against real processes."""

import json
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import pytest

from forum_mcp.configs.settings import ExecutorSettings
from forum_mcp.errors import ConfigRefused
from forum_mcp.executors.base import Call, Executor, Outcome
from forum_mcp.executors.command import CommandExecutor, build
from forum_mcp.executors.minder.removal import remove_tree

MakeCall = Callable[..., Call]
Opened = Callable[[CommandExecutor], CommandExecutor]
ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8", "SECRET_TOKEN": "s3cret"}


def python(code: str, *arguments: str, environ: Mapping[str, str] = ENVIRON) -> CommandExecutor:
    return CommandExecutor([sys.executable, "-c", code, *arguments], environ=environ)


def open_descriptors() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


def test_it_is_an_executor() -> None:
    executor: Executor = python("")
    assert executor.type == "command"


async def test_system_and_prompt_arrive_on_stdin_and_stdout_is_the_reply(opened: Opened, make_call: MakeCall) -> None:
    echo = opened(CommandExecutor(["cat"], environ=ENVIRON, model="m"))
    outcome = await echo.perform(make_call(system=b"be brief", prompt="h\u00e9llo\u2028".encode()))
    held = ("clean-environment", "private-directory")
    reply = "be brief\n\nh\u00e9llo\u2028".encode()
    assert outcome == Outcome(reply=reply, sent_model="m", exit_code=0, isolation=held)
    assert (await echo.perform(make_call(prompt=b"alone"))).reply == b"alone"


HOSTILE = "-rf $(touch /tmp/x) `id`; rm * | \"a\" 'b' \\ && > f ~ $HOME {prompt} %s \n\t*?[a]"


@pytest.mark.parametrize("around", ["{prompt}", "--message={prompt}!"])
async def test_the_prompt_arrives_literally_as_one_argument(opened: Opened, make_call: MakeCall, around: str) -> None:
    show = opened(python("import sys, json; print(json.dumps([sys.argv[1:], sys.stdin.read()]))", around, "last"))
    outcome = await show.perform(make_call(prompt=HOSTILE.encode()))
    assert outcome.reply is not None
    assert json.loads(outcome.reply) == [[around.replace("{prompt}", HOSTILE), "last"], ""]


@pytest.mark.parametrize("argv", [["no-such-command-here"], ["./no/such/file"], [str(Path(__file__))], ["/"], [""]])
async def test_a_command_that_cannot_be_executed_is_not_found(
    opened: Opened, make_call: MakeCall, argv: list[str]
) -> None:
    outcome = await opened(CommandExecutor(argv, environ=ENVIRON)).perform(make_call())
    assert (outcome.error, outcome.exit_code) == ("not-found", None)
    assert outcome.detail


async def test_a_script_without_an_interpreter_line_is_not_found(
    opened: Opened, make_call: MakeCall, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("echo hello")
    script.chmod(0o700)
    outcome = await opened(CommandExecutor([str(script)], environ=ENVIRON)).perform(make_call())
    assert outcome.error == "not-found"


async def test_a_prompt_too_long_for_an_argument_is_told_with_the_way_out(opened: Opened, make_call: MakeCall) -> None:
    outcome = await opened(CommandExecutor(["echo", "{prompt}"], environ=ENVIRON)).perform(
        make_call(prompt=b"x" * 3_000_000)
    )
    assert outcome.error == "not-found"
    assert "stdin" in (outcome.detail or "")


async def test_a_directory_that_cannot_be_made_is_told_and_the_next_attempt_works(
    opened: Opened, make_call: MakeCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = opened(python("print('ok')"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    outcome = await executor.perform(make_call())
    assert outcome.error == "executor-crashed", "it may pass, so it is tried again"
    assert "(TMPDIR): no such file or directory" in (outcome.detail or "")
    (tmp_path / "gone").mkdir()
    assert (await executor.perform(make_call())).reply == b"ok\n"


@pytest.mark.parametrize("code", ["os.rename('.', d); os.symlink('/', d)", "os.rmdir(d)", "os.chmod(d, 0)"])
async def test_whatever_a_command_does_to_its_directory_nothing_is_left_and_nothing_else_is_touched(
    opened: Opened, make_call: MakeCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    code = code.replace("os.rename('.', d)", f"os.rename(d, {str(moved)!r})")
    outcome = await opened(python(f"import os; d = os.getcwd(); {code}; print('ok')")).perform(make_call())
    assert outcome.reply == b"ok\n"
    assert list(tmp_path.iterdir()) == []


def test_directories_that_may_not_be_written_are_removed_and_links_not_followed(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        place, user = Path(name), os.geteuid()
        (place / "cache" / "module").mkdir(parents=True)
        (place / "cache" / "module" / "file").write_text("x")
        (place / "mine").mkdir()
        (place / "cache" / "link").symlink_to(place / "mine")
        (place / "mine").chmod(0o500)
        for locked in ("cache/module", "cache"):
            (place / locked).chmod(0o500)
        if user == 0:
            for each in (place, *place.rglob("*")):
                os.chown(each, 65_534, 65_534, follow_symlinks=False)
            os.seteuid(65_534)  # root may remove anything
        try:
            shutil.rmtree(place / "cache", ignore_errors=True)
            assert (place / "cache" / "module" / "file").exists(), "this is not so easy"
            remove_tree(place / "cache")
        finally:
            os.seteuid(user)
        assert not (place / "cache").exists()
        assert stat.S_IMODE((place / "mine").stat().st_mode) == 0o500


async def test_a_nul_byte_in_an_argument_is_an_outcome_and_no_exception(opened: Opened, make_call: MakeCall) -> None:
    outcome = await opened(CommandExecutor(["echo", "{prompt}"], environ=ENVIRON)).perform(make_call(prompt=b"a\0b"))
    assert (outcome.error, outcome.reply) == ("not-found", None)


async def test_an_exit_code_is_told_and_the_output_kept(opened: Opened, make_call: MakeCall) -> None:
    code = "import sys; print('so far'); print('why', file=sys.stderr); sys.exit(3)"
    outcome = await opened(python(code)).perform(make_call())
    assert (outcome.error, outcome.exit_code) == ("exit-code", 3)
    assert (outcome.reply, outcome.stderr) == (b"so far\n", b"why\n")


async def test_a_relative_path_in_argv_is_explained_when_the_command_fails(
    opened: Opened, make_call: MakeCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "agent.py").write_text("print('hi')")
    monkeypatch.chdir(tmp_path)
    outcome = await opened(CommandExecutor([sys.executable, "agent.py"], environ=ENVIRON)).perform(make_call())
    assert outcome.error == "exit-code"
    assert "'agent.py'" in (outcome.detail or "")
    assert str(tmp_path) not in (outcome.detail or "")


async def test_a_relative_command_is_taken_from_our_own_directory(
    opened: Opened, make_call: MakeCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "agent").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "agent").chmod(0o700)
    monkeypatch.chdir(tmp_path)
    assert (await opened(CommandExecutor(["./agent"], environ=ENVIRON)).perform(make_call())).reply == b"mine\n"


async def test_a_signal_is_named(opened: Opened, make_call: MakeCall) -> None:
    outcome = await opened(python("import os; os.kill(os.getpid(), 11)")).perform(make_call())
    assert (outcome.error, outcome.exit_code) == ("signal", None)
    assert "SIGSEGV" in (outcome.detail or "")


@pytest.mark.parametrize("printed", ["", " \n\t\n"])
async def test_success_without_a_word_is_an_empty_reply(opened: Opened, make_call: MakeCall, printed: str) -> None:
    outcome = await opened(python(f"print({printed!r}, end='')")).perform(make_call())
    assert (outcome.error, outcome.exit_code) == ("empty-reply", 0)


async def test_output_that_is_not_utf8_is_kept_as_octets(opened: Opened, make_call: MakeCall) -> None:
    outcome = await opened(python("import os; os.write(1, b'\\xff\\xfe\\0\\x1b[2J')")).perform(make_call())
    assert (outcome.error, outcome.reply) == ("bad-encoding", b"\xff\xfe\0\x1b[2J")
    assert outcome.reply_type == "application/octet-stream"


async def test_stderr_is_a_tail_of_eight_kib_and_always_text(opened: Opened, make_call: MakeCall) -> None:
    code = "import os\nfor _ in range(100): os.write(2, b'\\xffx' * 50_000)\nos.write(2, b'end')\nprint('ok')"
    outcome = await opened(python(code)).perform(make_call())
    assert outcome.error is None
    assert outcome.stderr is not None
    text = outcome.stderr.decode()
    assert text.endswith("x\ufffdxend")
    assert len(text) == 8_192


async def test_a_flood_ends_the_command_and_keeps_the_first_mebibyte(opened: Opened, make_call: MakeCall) -> None:
    code = "import os\nfor _ in range(1_000_000): os.write(1, '\u00e9'.encode() * 500)"
    flood = opened(CommandExecutor([sys.executable, "-c", code, "{prompt}"], environ=ENVIRON, stdout_bytes=1_048_575))
    outcome = await flood.perform(make_call())
    assert (outcome.error, outcome.truncated) == ("output-limit", True)
    assert outcome.reply == "\u00e9".encode() * 524_287  # the cut inside the last character moved before it
    assert outcome.reply_type.startswith("text/plain")


async def test_exactly_the_cap_is_no_flood(opened: Opened, make_call: MakeCall) -> None:
    code = "import os\nfor _ in range(16): os.write(1, b'x' * 65_536)"
    outcome = await opened(python(code)).perform(make_call())
    assert (outcome.error, outcome.truncated) == (None, False)
    assert len(outcome.reply or b"") == 1_048_576


async def test_a_command_that_never_reads_a_large_prompt_does_not_hang_us(opened: Opened, make_call: MakeCall) -> None:
    prompt = b"x" * 10_000_000
    assert (await opened(python("print('done')")).perform(make_call(prompt=prompt))).reply == b"done\n"
    stuck = await opened(python("import time; time.sleep(600)")).perform(make_call(prompt=prompt, timeout_ms=300))
    assert stuck.error == "timeout"


async def test_a_large_prompt_arrives_whole(opened: Opened, make_call: MakeCall) -> None:
    count = opened(python("import sys; print(len(sys.stdin.buffer.read()))"))
    assert (await count.perform(make_call(prompt=b"x" * 10_000_000))).reply == b"10000000\n"


async def test_a_time_limit_keeps_what_was_said(opened: Opened, make_call: MakeCall) -> None:
    talk = CommandExecutor(["sh", "-c", "echo first words; exec sleep 600"], environ=ENVIRON)
    outcome = await opened(talk).perform(make_call(timeout_ms=1_000))
    assert (outcome.error, outcome.reply) == ("timeout", b"first words\n")


async def test_sigterm_is_ignored_in_vain(opened: Opened, make_call: MakeCall) -> None:
    deaf = opened(CommandExecutor(["sh", "-c", "trap '' TERM; echo up; sleep 600"], environ=ENVIRON))
    with anyio.fail_after(10):
        outcome = await deaf.perform(make_call(timeout_ms=500))
    assert (outcome.error, outcome.reply) == ("timeout", b"up\n")


async def test_sigterm_lets_a_command_say_goodbye(opened: Opened, make_call: MakeCall) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    polite = opened(CommandExecutor(["sh", "-c", script], environ=ENVIRON))
    outcome = await polite.perform(make_call(timeout_ms=1_000))
    assert (outcome.error, outcome.reply) == ("timeout", b"up\nbye\n")


# Opens the FIFO named by its argument, so that reading it ends when the last of these processes is gone.
FAMILY = """
import os, sys, time
fifo = os.open(sys.argv[1], os.O_WRONLY)
os.set_inheritable(fifo, True)
mode = sys.argv[2]
if os.fork() == 0:
    if mode == "session":
        os.setsid()
        if os.fork():
            os._exit(0)
    if mode != "pipe":
        null = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
    os.write(fifo, b"%d\\n" % os.getpid())
    time.sleep(600)
if mode != "exit":
    os.write(fifo, b"%d\\n" % os.getpid())
if len(sys.argv) > 3:
    time.sleep(600)
time.sleep(0.2)
print("done", flush=True)
"""


async def read_to_end(fifo: int) -> bytes:
    """Return all that is written until every writer is gone."""
    said = b""
    while True:
        await anyio.wait_readable(fifo)
        part = os.read(fifo, 4_096)
        if not part:
            return said
        said += part


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("mode", ["group", "session", "pipe"])
async def test_what_a_command_leaves_behind_is_killed_when_it_ends(
    opened: Opened, make_call: MakeCall, fifo: Path, mode: str
) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with anyio.fail_after(10):
        outcome = await opened(python(FAMILY, str(fifo), mode)).perform(make_call())
        assert (outcome.error, outcome.reply) == (None, b"done\n")
        assert len((await read_to_end(reader)).split()) == 2
    os.close(reader)


@pytest.mark.parametrize("mode", ["group", "session", "pipe"])
async def test_cancellation_leaves_nothing_behind(opened: Opened, make_call: MakeCall, fifo: Path, mode: str) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    family = opened(python(FAMILY, str(fifo), mode, "stay"))
    said = b""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(family.perform, make_call())
            while said.count(b"\n") < 2:
                await anyio.wait_readable(reader)
                # Before the first writer opens it a FIFO reads as ended.
                said += os.read(reader, 4_096)
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        # The last writer is gone already: no wait is needed to see the end.
        assert os.read(reader, 4_096) == b""
    os.close(reader)


async def test_closing_the_executor_ends_a_call_that_runs(opened: Opened, make_call: MakeCall, fifo: Path) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    family = opened(python(FAMILY, str(fifo), "session", "stay"))
    outcomes: list[Outcome] = []

    async def perform() -> None:
        outcomes.append(await family.perform(make_call()))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(perform)
            said = b""
            while said.count(b"\n") < 2:
                await anyio.wait_readable(reader)
                said += os.read(reader, 4_096)
                await anyio.lowlevel.checkpoint()
            await family.aclose()
    assert outcomes[0].error == "signal"
    os.close(reader)


PARENT = """
import anyio, os, sys
from forum_mcp.executors.base import Call
from forum_mcp.executors.command import CommandExecutor
executor = CommandExecutor(sys.argv[1:], environ=os.environ)
call = Call(run="0" * 32, seq=1, purpose="task", task=None, attempt=1, system=b"", prompt=b"x", schema=None,
            timeout_ms=600_000, max_tokens=None)
anyio.run(executor.perform, call)
"""


@pytest.mark.parametrize("mode", ["group", "session", "pipe"])
async def test_kill_9_of_our_process_leaves_no_child(fifo: Path, mode: str, tmp_path: Path) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    argv = [sys.executable, "-c", PARENT, sys.executable, "-c", FAMILY, str(fifo), mode, "stay"]
    with anyio.fail_after(15):
        async with await anyio.open_process(argv, env={**os.environ, "TMPDIR": str(temporary)}) as parent:
            said = b""
            while said.count(b"\n") < 2:
                await anyio.wait_readable(reader)
                said += os.read(reader, 4_096)
                await anyio.lowlevel.checkpoint()
            assert len(list(temporary.iterdir())) == 1
            parent.send_signal(signal.SIGKILL)
            await parent.wait()
            assert await read_to_end(reader) == b""
            while list(temporary.iterdir()):
                await anyio.lowlevel.checkpoint()
    os.close(reader)


async def test_a_killed_watcher_is_told_and_the_next_call_works(
    opened: Opened, make_call: MakeCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "import os, signal, sys\nif sys.stdin.read() == 'die': os.kill(os.getppid(), 9); signal.pause()\nprint('ok')"
    fragile = opened(python(code))
    with anyio.fail_after(10):
        assert (await fragile.perform(make_call(prompt=b"die"))).error == "executor-crashed"
        assert list(tmp_path.iterdir()) == []
        assert (await fragile.perform(make_call())).reply == b"ok\n"


@pytest.mark.parametrize("mode", ["group", "session", "pipe"])
async def test_a_command_that_kills_its_watcher_leaves_nothing_behind(
    opened: Opened, make_call: MakeCall, fifo: Path, mode: str
) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    traitor = FAMILY.replace("time.sleep(0.2)", "os.kill(os.getppid(), 9); time.sleep(600)")
    with anyio.fail_after(10):
        outcome = await opened(python(traitor, str(fifo), mode)).perform(make_call())
        assert outcome.error == "executor-crashed"
        # Its end is that of the last process which holds the FIFO; how many there were by then is theirs to say.
        assert await read_to_end(reader)
    os.close(reader)


STOPPER = """
import os, signal, sys, time
if sys.stdin.read() != "stop":
    print("ok")
    sys.exit()
def parent(process):
    return int(open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[1])
minder = os.getppid()
helper = parent(minder)
held = open(sys.argv[1], "w")
held.write("here\\n"); held.flush()
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
for victim in sys.argv[2].split(","):
    os.kill({"minder": minder, "helper": helper}[victim], signal.SIGSTOP)
if len(sys.argv) > 3:
    time.sleep(600)
print("done")
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("stays", [(), ("stays",)])
@pytest.mark.parametrize("victims", ["minder", "helper", "helper,minder"])
async def test_a_command_that_stops_who_watches_it_is_ended_with_all_it_started(
    opened: Opened, make_call: MakeCall, fifo: Path, victims: str, stays: tuple[str, ...]
) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    executor = opened(python(STOPPER, str(fifo), victims, *stays))
    with anyio.fail_after(30):
        outcome = await executor.perform(make_call(prompt=b"stop", timeout_ms=1_000))
        assert outcome.error in {"executor-crashed", "timeout"} or (victims, outcome.reply) == ("helper", b"done\n")
        assert await read_to_end(reader) == b"here\n", "nothing holds the FIFO any more"
        assert (await executor.perform(make_call())).reply == b"ok\n"
    os.close(reader)


INSIDE = """
import json, os, signal, sys
blocked = [s.name for s in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
ignored = [s.name for s in signal.valid_signals() if hasattr(s, "name") and signal.getsignal(s) == signal.SIG_IGN]
print(json.dumps({"env": dict(os.environ), "cwd": os.getcwd(), "files": os.listdir("."),
    "mode": os.stat(".").st_mode & 0o777,
    "fds": [n for n in range(1024) if os.path.exists(f"/proc/self/fd/{n}")], "leader": os.getsid(0) == os.getpid(),
    "blocked": blocked, "ignored": ignored, "stdin": sys.stdin.read()}))
open("left", "w").write("x")
"""


async def test_the_command_sees_a_clean_world(opened: Opened, make_call: MakeCall, tmp_path: Path) -> None:
    held = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held, True)
    inside = opened(
        CommandExecutor(
            [sys.executable, "-I", "-c", INSIDE],
            environ={**ENVIRON, "ALSO": "1", "NOT_THIS": "1"},
            env={"MINE": "2"},
            pass_env=["ALSO", "ABSENT"],
        )
    )
    outcome = await inside.perform(make_call(prompt=b""))
    os.close(held)
    assert outcome.reply is not None, outcome
    world = json.loads(outcome.reply)
    world["env"].pop("LC_CTYPE", None)
    assert world["env"] == {
        "PATH": ENVIRON["PATH"],
        "HOME": "/nowhere",
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "ALSO": "1",
        "MINE": "2",
        "FORUM_DEPTH": "1",
    }
    assert (world["files"], world["mode"], world["leader"], world["stdin"]) == ([], 0o700, True, "")
    assert world["fds"] == [0, 1, 2]
    assert world["blocked"] == []
    assert world["ignored"] == ["SIGPIPE", "SIGXFSZ"]  # Python's own choice in the child
    assert not Path(world["cwd"]).exists()


async def test_a_command_below_another_forum_is_refused_unless_its_executor_allowed_it(
    opened: Opened, make_call: MakeCall
) -> None:
    below = {**ENVIRON, "FORUM_DEPTH": "1"}
    refused = await opened(CommandExecutor(["cat"], environ=below)).perform(make_call())
    assert (refused.error, "allow_nested" in (refused.detail or "")) == ("refused", True)
    show = ["sh", "-c", "echo $FORUM_DEPTH $FORUM_NESTED"]
    outer = opened(CommandExecutor(show, environ=ENVIRON, allow_nested=True))
    assert (await outer.perform(make_call())).reply == b"1 1\n"
    inner = opened(CommandExecutor(show, environ={**below, "FORUM_NESTED": "1"}))
    assert (await inner.perform(make_call())).reply == b"2\n"


async def test_the_depth_cannot_be_overridden_by_settings(opened: Opened, make_call: MakeCall) -> None:
    env = {"FORUM_DEPTH": "0", "FORUM_NESTED": "1"}
    show = CommandExecutor(["sh", "-c", "echo $FORUM_DEPTH $FORUM_NESTED"], environ=ENVIRON, env=env)
    assert (await opened(show).perform(make_call())).reply == b"1\n"


async def test_many_commands_at_once_keep_their_replies_apart(opened: Opened, make_call: MakeCall) -> None:
    echo = opened(CommandExecutor(["cat"], environ=ENVIRON))
    replies: dict[int, bytes | None] = {}

    async def one(number: int) -> None:
        replies[number] = (await echo.perform(make_call(prompt=b"%d" % number * 50_000))).reply

    async with anyio.create_task_group() as group:
        for number in range(10, 42):
            group.start_soon(one, number)
    assert replies == {number: b"%d" % number * 50_000 for number in range(10, 42)}


async def test_no_descriptor_of_ours_is_left_open(opened: Opened, make_call: MakeCall) -> None:
    echo = opened(CommandExecutor(["cat"], environ=ENVIRON))
    missing = opened(CommandExecutor(["/no/such"], environ=ENVIRON))
    await echo.perform(make_call())
    await missing.perform(make_call())
    before = open_descriptors()
    for _ in range(3):
        await echo.perform(make_call())
        await missing.perform(make_call())
        await echo.perform(make_call(prompt=b"x" * 2_000_000))
    assert open_descriptors() == before


async def test_closing_ends_the_helper_and_twice_is_harmless(make_call: MakeCall) -> None:
    echo = CommandExecutor(["cat"], environ=ENVIRON)
    before = open_descriptors()
    await echo.perform(make_call())
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    assert children.read_text()
    await echo.aclose()
    await echo.aclose()
    assert not children.read_text()
    assert open_descriptors() == before


def test_identity_names_variables_and_never_their_values() -> None:
    executor = CommandExecutor(["a", "{prompt}"], environ=ENVIRON, env={"KEY": "v"}, pass_env=["SECRET_TOKEN"])
    assert executor.identity() == {
        "type": "command",
        "argv": ["a", "{prompt}"],
        "model": None,
        "env": ["KEY", "SECRET_TOKEN"],
    }


@pytest.mark.parametrize("members", [{"argv": [""]}, {"argv": ["a"], "env": {"A=B": "1"}}])
def test_a_command_without_sense_is_refused_when_built(members: dict[str, object]) -> None:
    with pytest.raises(ConfigRefused, match="'x'"):
        build("x", ExecutorSettings.model_validate({"type": "command", **members}))
