"""What holds a command: limits, Landlock, bubblewrap, no network; and what is told when it cannot be had."""

import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import pytest

from forum_mcp.configs.executor import ExecutorSettings, ResourceSettings
from forum_mcp.executors import build, isolation
from forum_mcp.executors.base import Call, Outcome
from forum_mcp.executors.command import CommandExecutor
from forum_mcp.executors.isolation import Isolation, Sandbox
from forum_mcp.executors.minder import landlock
from tests.executors.levels import HIDING, needs_a_counting_kernel, needs_limits

MakeCall = Callable[..., Call]
Opened = Callable[[CommandExecutor], CommandExecutor]
ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "LC_ALL": "C.UTF-8"}
PREFIXES = tuple({sys.prefix, sys.base_prefix})


def kept(code: str, isolated: Isolation, *arguments: str, environ: Mapping[str, str] = ENVIRON) -> CommandExecutor:
    return CommandExecutor([sys.executable, "-c", code, *arguments], environ=environ, isolation=isolated)


def hiding(sandbox: Sandbox, **members: object) -> Isolation:
    return Isolation(sandbox=sandbox, readable=PREFIXES, **members)  # type: ignore[arg-type]


def limited(**limits: int) -> Isolation:
    return Isolation(sandbox="rlimits", limits=ResourceSettings(**limits))


async def test_without_a_sandbox_the_record_says_so(opened: Opened, make_call: MakeCall) -> None:
    outcome = await opened(kept("print(1)", Isolation())).perform(make_call())
    assert outcome.isolation == ("clean-environment", "private-directory")


BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.1)
"""
ESCAPING_BOMB = """
import os, time
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        time.sleep(0.1)
"""


CARELESS_BOMB = "import os\nwhile True:\n    if os.fork() == 0: os.setsid()\n"
"""Each of its processes ends at the first refusal: only the kernel that refused can tell of it afterwards."""


@needs_limits
@pytest.mark.parametrize(
    "code",
    [BOMB, ESCAPING_BOMB, pytest.param(CARELESS_BOMB, marks=needs_a_counting_kernel)],
    ids=["same-session", "new-sessions", "careless"],
)
async def test_a_fork_bomb_is_ended_and_nothing_of_it_is_left(opened: Opened, make_call: MakeCall, code: str) -> None:
    marked = code + "# bomb " + str(os.getpid())
    with anyio.fail_after(30):
        bomb = opened(kept(marked, limited(processes=40)))
        bystander = opened(CommandExecutor(["cat"], environ=ENVIRON))
        outcomes: dict[str, Outcome] = {}

        async def perform(name: str, executor: CommandExecutor) -> None:
            outcomes[name] = await executor.perform(make_call())

        async with anyio.create_task_group() as group:
            group.start_soon(perform, "bomb", bomb)
            group.start_soon(perform, "bystander", bystander)
    assert outcomes["bomb"].error == "resource-limit"
    assert "processes" in (outcomes["bomb"].detail or "")
    assert outcomes["bomb"].isolation == ("clean-environment", "private-directory", "limits")
    assert outcomes["bystander"].reply == b"hello"
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if marked.encode() in _read(path)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@needs_limits
async def test_memory_is_bounded_for_one_process_and_for_all_together(opened: Opened, make_call: MakeCall) -> None:
    alone = opened(kept("x = bytearray(400_000_000); print(len(x))", limited(memory_mb=200)))
    assert (await alone.perform(make_call())).error == "exit-code"
    code = "import os, time\nfor _ in range(4): os.fork()\nx = b'x' * 60_000_000\ntime.sleep(600)"
    together = opened(kept(code, limited(memory_mb=200)))
    with anyio.fail_after(30):
        outcome = await together.perform(make_call())
    assert (outcome.error, "memory" in (outcome.detail or "")) == ("resource-limit", True)


@needs_limits
async def test_processor_time_files_and_descriptors_are_bounded(opened: Opened, make_call: MakeCall) -> None:
    with anyio.fail_after(30):
        busy = await opened(kept("while True: pass", limited(cpu_s=1))).perform(make_call())
    assert (busy.error, "processor time" in (busy.detail or "")) == ("resource-limit", True)
    large = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('f', 'wb').write(b'x' * 2_000_000)"
    assert (await opened(kept(large, limited(file_mb=1))).perform(make_call())).error == "resource-limit"
    many = "import os\nfor _ in range(100): os.open('/dev/null', 0)"
    assert (await opened(kept(many, limited(open_files=32))).perform(make_call())).error == "exit-code"


PEEK = """
import json, os, sys
def tried(action):
    try:
        action()
        return "done"
    except OSError:
        return "refused"
ledger, mine, other = sys.argv[1:4]
print(json.dumps({
    "reads the ledger": tried(lambda: open(ledger).read()),
    "reads its own place": tried(lambda: open(other).read()),
    "writes there": tried(lambda: open(other, "w")),
    "writes what it may": tried(lambda: open(mine, "w").write("x")),
    "writes at home": tried(lambda: open("here", "w").write("x")),
    "uses TMPDIR": tried(lambda: open(os.path.join(os.environ["TMPDIR"], "t"), "w").write("x")),
    "reads the system": tried(lambda: open("/etc/passwd").read()),
    "writes the system": tried(lambda: open("/etc/forum-was-here", "w")),
}))
"""


@pytest.mark.parametrize("sandbox", HIDING)
async def test_a_sandboxed_command_sees_what_it_may_and_no_ledger(
    opened: Opened, make_call: MakeCall, tmp_path: Path, sandbox: Sandbox
) -> None:
    for name in ("secret", "open", "shared"):
        (tmp_path / name).mkdir()
    ledger, mine, other = tmp_path / "secret" / "ledger.db", tmp_path / "open" / "out", tmp_path / "shared" / "in"
    ledger.write_text("all of it")
    other.write_text("for everybody")
    isolated = Isolation(sandbox=sandbox, readable=(*PREFIXES, str(other.parent)), writable=(str(mine.parent),))
    outcome = await opened(kept(PEEK, isolated, str(ledger), str(mine), str(other))).perform(make_call())
    assert outcome.error is None, outcome.stderr
    assert json.loads(outcome.reply or b"") == {
        "reads the ledger": "refused",
        "reads its own place": "done",
        "writes there": "refused",
        "writes what it may": "done",
        "writes at home": "done",
        "uses TMPDIR": "done",
        "reads the system": "done",
        "writes the system": "refused",
    }
    assert mine.read_text() == "x"
    word = "bubblewrap" if sandbox == "bwrap" else f"landlock-{landlock.version()}"
    assert outcome.isolation == ("clean-environment", "private-directory", "limits", word)


@pytest.mark.parametrize("sandbox", HIDING)
async def test_a_sandboxed_command_reads_no_environment_of_ours_and_ends_with_all_it_started(
    opened: Opened, make_call: MakeCall, sandbox: Sandbox
) -> None:
    code = (
        "import os, sys, subprocess\n"
        "subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "try: print(open(f'/proc/{sys.argv[1]}/environ').read())\n"
        "except OSError: print('refused')"
    )
    with anyio.fail_after(15):
        outcome = await opened(kept(code, hiding(sandbox), str(os.getpid()))).perform(make_call())
    assert outcome.reply == b"refused\n"


@pytest.mark.parametrize("sandbox", ["none", pytest.param("rlimits", marks=needs_limits), *HIDING])
async def test_without_a_network_not_even_this_machine_is_reached(
    opened: Opened, make_call: MakeCall, sandbox: Sandbox
) -> None:
    code = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2); print('reached')"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        reached = await opened(kept(code, hiding(sandbox), port)).perform(make_call())
        cut_off = await opened(kept(code, hiding(sandbox, network=False), port)).perform(make_call())
    assert reached.reply == b"reached\n"
    if cut_off.error == "isolation-missing":
        pytest.skip("this machine gives no network namespace")
    assert cut_off.error == "exit-code"
    assert cut_off.isolation[-1] == "no-network"


async def test_a_level_that_cannot_be_had_is_an_outcome_with_what_to_install(
    opened: Opened, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "find_bwrap", lambda: None)
    outcome = await opened(kept("print(1)", hiding("bwrap"))).perform(make_call())
    assert (outcome.error, outcome.reply, outcome.isolation) == ("isolation-missing", None, ())
    assert "apt install bubblewrap" in (outcome.detail or "")


async def test_a_bubblewrap_that_does_not_work_is_told_in_its_own_words(
    opened: Opened, make_call: MakeCall, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no permissions to create a namespace' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(isolation, "find_bwrap", lambda: str(broken))
    outcome = await opened(kept("print(1)", hiding("bwrap"))).perform(make_call())
    assert (outcome.error, "no permissions" in (outcome.detail or "")) == ("isolation-missing", True)


def test_what_a_command_may_see_is_named_by_absolute_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    settings = ExecutorSettings(
        type="command", argv=["cat"], sandbox="landlock", readable=["~/bin", "here"], writable=["/there"]
    )
    identity = build("a", settings).identity()
    assert identity["readable"] == ["/home/me/bin", str(tmp_path / "here")]
    assert identity["writable"] == ["/there"]
