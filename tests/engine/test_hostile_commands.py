"""Every hostile command at once on one ledger, beside a run that means well: each has its own class."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from forum_mcp.configs.executor import ResourceSettings
from forum_mcp.configs.settings import ExecutorSettings, RoleSettings
from tests.engine.stage import Stage, assert_clean
from tests.executors.levels import needs_landlock, needs_limits

MARK = f"# hostile command of {os.getpid()}"
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if sys.argv[1] == "daemon":
            for number in (0, 1, 2):
                os.close(number)
        time.sleep(600)
    os._exit(0)
os.wait()
print("done")
"""
BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.1)
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
FLOOD = "import os\nfor _ in range(16_384): os.write(1, b'x' * 65_536)"
HUNGRY = """
import os, time
for _ in range(2):
    os.fork()
taken = b"x" * 60_000_000
time.sleep(600)
"""

HOSTILE: dict[str, tuple[list[str], str | None]] = {
    "missing": (["no-such-command-anywhere"], "not-found"),
    "not executable": ([str(Path(__file__))], "not-found"),
    "silent": (["-c", "pass"], "empty-reply"),
    "dies by a signal": (["-c", "import os; os.kill(os.getpid(), 11)"], "signal"),
    "ignores SIGTERM": (["-c", STUBBORN], "timeout"),
    "leaves a daemon": (["-c", DAEMON, "daemon"], None),
    "holds the pipe in a grandchild": (["-c", DAEMON, "pipe"], None),
    "prints 1 GB": (["-c", FLOOD], "output-limit"),
    "prints binary": (["-c", "import os; os.write(1, bytes(range(256)))"], "bad-encoding"),
    "prints terminal escapes": (["-c", "print('\\x1b[2J\\x1b]0;title\\x07 done')"], None),
    "never reads": (["-c", "print('not interested')"], None),
    "fork bomb": (["-c", BOMB], "resource-limit"),
    "takes all memory": (["-c", HUNGRY], "resource-limit"),
}


def executor(argv: list[str], error: str | None) -> ExecutorSettings:
    program = [sys.executable, argv[0], argv[1] + "\n" + MARK, *argv[2:]] if argv[0] == "-c" else argv
    return ExecutorSettings(
        type="command",
        argv=program,
        attempts=1,
        timeout_s=2.0 if error == "timeout" else 60.0,
        sandbox="rlimits",
        limits=ResourceSettings(processes=40, memory_mb=150 if argv[-1] == HUNGRY else 4_096),
    )


@needs_limits
async def test_each_hostile_command_has_its_class_and_nobody_else_notices(stage: Stage) -> None:
    import resource  # not on Windows

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended: dict[str, tuple[str | None, object]] = {}
    limiter = anyio.CapacityLimiter(4)

    async def hostile(name: str, argv: list[str], error: str | None) -> None:
        settings = stage.settings(RoleSettings(worker=["bad"]), extra={"bad": executor(argv, error)})
        async with limiter, stage.forum(settings) as forum:
            view = await forum.submit("x" * 20_000 if name == "never reads" else "go", single=True, wait_s=90)
            (outcome,) = [e for e in stage.entries(forum, "call.finished") if e.run == view.run_id]
            ended[name] = (view.state, outcome.data.get("error"))

    async def well_meant() -> None:
        async with stage.forum(stage.settings(RoleSettings(worker=["model"]))) as forum:
            for number in range(5):
                assert (await forum.submit(f"go {number}", single=True, wait_s=60)).state == "succeeded"

    with anyio.fail_after(120):
        async with anyio.create_task_group() as group:
            for name, (argv, error) in HOSTILE.items():
                group.start_soon(hostile, name, argv, error)
            group.start_soon(well_meant)
    assert ended == {name: ("failed" if error else "succeeded", error) for name, (_, error) in HOSTILE.items()}
    assert [path for path in Path("/proc").glob("[0-9]*/cmdline") if MARK.encode() in _read(path)] == []
    # The reply of a flood is its first mebibyte, whatever follows: kilobytes of growth are counted in 100,000s.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
    async with stage.forum() as forum:
        assert_clean(forum)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("sandbox", ["none", pytest.param("landlock", marks=[needs_landlock, needs_limits])])
async def test_the_command_is_given_no_ledger_no_descriptor_and_no_secret(
    stage: Stage, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "k3y-of-ours")
    code = (
        "import os; fds = sorted(os.listdir('/proc/self/fd')); print(fds[:3], len(fds), dict(os.environ), os.listdir())"
    )
    readable = [sys.prefix, sys.base_prefix] if sandbox == "landlock" else []
    command = ExecutorSettings.model_validate(
        {"type": "command", "argv": [sys.executable, "-c", code], "sandbox": sandbox, "readable": readable}
    )
    async with stage.forum(stage.settings(RoleSettings(worker=["bad"]), extra={"bad": command})) as forum:
        view = await forum.submit("go", single=True, wait_s=60)
        said = view.answer or ""
        assert view.state == "succeeded"
        # 0, 1, 2 and the one that lists them.
        assert "['0', '1', '2'] 4" in said
        assert "k3y-of-ours" not in said
        assert str(stage.ledger) not in said
        assert "[]" in said
        assert_clean(forum)
