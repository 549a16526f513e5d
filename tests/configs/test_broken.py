"""Broken configurations: each is one line that says what to mend, exit 2, and a server that still answers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import pytest
from mcp import Client

from forum_mcp.cli.serving import ServerStart
from forum_mcp.configs.flags import Flags
from forum_mcp.server.app import build_server
from tests.cli.commands import COMMAND, forum, process

AGENT: Final = '[executors.agent]\ntype = "command"\nargv = ["true"]\n'
CHAT: Final = '[executors.m]\ntype = "chat"\nurl = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
Prepare = Callable[[Path, pytest.MonkeyPatch], object]


@dataclass(frozen=True)
class Broken:
    """One broken configuration: what brings it about, and words its message must have.

    Attributes:
        serves: a server goes on with it: the program may be there by the time a task needs it, and its absence is data.
    """

    prepare: Prepare
    says: tuple[str, ...]
    serves: bool = False


def config(text: str | bytes, *says: str) -> Broken:
    """A configuration file, named by FORUM_CONFIG."""

    def prepare(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (here / "c.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        monkeypatch.setenv("FORUM_CONFIG", "c.toml")

    return Broken(prepare, says)


def roster(text: str | bytes, *says: str) -> Broken:
    """A roster of the user's own."""

    def prepare(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (here / "lanes.toml").write_bytes(text.encode() if isinstance(text, str) else text)
        monkeypatch.setenv("FORUM_ROSTER", "lanes.toml")

    return Broken(prepare, says)


def env(*says: str, **variables: str) -> Broken:
    """Variables of the environment."""

    def prepare(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return Broken(prepare, says)


def own(prepare: Prepare, *says: str) -> Broken:
    return Broken(prepare, says)


def world_writable_config(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "c.toml").write_text("max_parallel = 2")
    (here / "c.toml").chmod(0o666)
    monkeypatch.setenv("FORUM_CONFIG", "c.toml")


def world_writable_state(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "state").mkdir()
    (here / "state").chmod(0o777)
    monkeypatch.setenv("FORUM_STATE_DIR", str(here / "state"))


def no_home(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "")


def home_is_a_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "home").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "home"))


def read_only_home(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # /proc takes no files from anybody, root included.
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/self" if Path("/proc/self").exists() else "/dev/null")


def full_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the size of files is the disk that is full for everybody, root included."""
    import resource  # not on Windows

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))


def ledger_is_a_directory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "dir").mkdir()
    monkeypatch.setenv("FORUM_LEDGER", "dir")


def key_file_of_everybody(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "key").write_text("sk-1")
    (here / "key").chmod(0o666)
    (here / "c.toml").write_text(CHAT + 'api_key = "file:key"')
    monkeypatch.setenv("FORUM_CONFIG", "c.toml")


def broken_project_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".forum").mkdir()
    (here / ".forum" / "config.toml").write_text("max_paralel = 3")


def damaged_trust(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_project_file(here, monkeypatch)
    (here / ".forum" / "config.toml").write_text(AGENT)
    state = Path(os.environ["XDG_STATE_HOME"]) / "forum-mcp"
    state.mkdir(parents=True)
    (state / "trusted.json").write_text("nonsense")


BROKEN: Final[dict[str, Broken]] = {
    "not TOML": config("max_parallel = ", "c.toml", "not TOML", "line 1"),
    "a key twice": config("max_parallel = 1\nmax_parallel = 2", "not TOML", "line 2"),
    "not UTF-8": config(b'ledger = "\xff"', "not TOML", "c.toml"),
    "nested beyond reason": config("a = " + "[" * 50_000, "not TOML"),
    "unknown key": config("\nmax_paralel = 3", "'max_paralel'", "c.toml line 2", "did you mean 'max_parallel'"),
    "unknown key of a table": config("[limits]\ncals = 3", "'limits.cals'", "line 2", "did you mean 'calls'"),
    "unknown key of an executor": config(AGENT + "agv = 1", "line 4", "did you mean 'argv'"),
    "unknown key in an inline table": config("limits = {cals = 3}", "line 1", "did you mean 'calls'"),
    "unknown key of custody": config("[custody]\nkeep = 1", "line 2", "did you mean 'keep_days'"),
    "wrong type": config('max_parallel = "four"', "'max_parallel'", "line 1", "integer"),
    "a table that is a number": config("limits = 3", "'limits'", "line 1"),
    "out of range": config("max_parallel = 0", "line 1", "greater than 0"),
    "not a number": config("[limits]\nseconds = nan", "'limits.seconds'", "line 2"),
    "custody out of range": config("[custody]\nwarn_mb = -1", "line 2", "whole number"),
    "a role bound to nobody": config(AGENT + '[roles]\nworker = ["agnt"]', "'agnt'", "did you mean 'agent'"),
    "rules as worker": config('[roles]\nworker = ["rules"]', "line 2", "cannot do tasks"),
    "unknown executor type": config('[executors.a]\ntype = "comand"', "line 2", "'command'"),
    "an executor without its program": config('[executors.a]\ntype = "command"', "needs 'argv'", "line 1"),
    "a program that is not there": replace(
        config('[executors.a]\ntype = "command"\nargv = ["no-such-program"]', "'no-such-program'", "absolute path"),
        serves=True,
    ),
    "a model file that is not there": config('[executors.a]\ntype = "local"\nfile = "m.gguf"', "m.gguf", "cannot be"),
    "a package that is not there": config('[executors.a]\ntype = "local"\nfile = "package:nope"', "install it"),
    "a secret in clear": config(CHAT + 'api_key = "sk-123"', "line 5", "env:NAME"),
    "a secret that is not set": config(CHAT + 'api_key = "env:NO_SUCH_KEY"', "env:NO_SUCH_KEY", "not set"),
    "a secret in a missing file": config(CHAT + 'api_key = "file:nokey"', "api_key", "cannot be read"),
    "a key file of everybody": own(key_file_of_everybody, "chmod o-w"),
    "a URL that is none": config(CHAT.replace("http:", "ftp:"), "line 3", "http://"),
    "a missing file": env("'gone.toml'", "does not exist", FORUM_CONFIG="gone.toml"),
    "a directory as file": env("is no file", FORUM_CONFIG="."),
    "a misspelt variable": env("FORUM_LEDGR", "did you mean 'FORUM_LEDGER'", FORUM_LEDGR="x"),
    "a variable of the wrong type": env("FORUM_MAX_PARALLEL", "integer", FORUM_MAX_PARALLEL="many"),
    "a variable that is no JSON": env("environment variable", FORUM_LIMITS="{"),
    "a missing roster": env("gone.toml", "cannot be read", FORUM_ROSTER="gone.toml"),
    "a roster that is no TOML": roster("[[lanes]", "lanes.toml:1: not TOML"),
    "a roster with an unknown key": roster('[lanes.x]\nkeyword = ["a"]', "lanes.toml", "keyword"),
    "a roster that is not UTF-8": roster(b"\xff", "lanes.toml"),
    "a policy on a lane nobody has": config('[policy]\ndeny_lanes = ["nolane"]', "nolane"),
    "a broken project file": own(broken_project_file, ".forum/config.toml line 1", "did you mean"),
    "a damaged list of trusted files": own(damaged_trust, "forum-mcp trust"),
    "a configuration of everybody": own(world_writable_config, "chmod o-w c.toml"),
    "a state directory of everybody": own(world_writable_state, "chmod o-w"),
    "no home": own(no_home, "set HOME"),
    "a home that is a file": own(home_is_a_file, "not a directory", "FORUM_STATE_DIR"),
    "a home that is read-only": own(read_only_home, "no ledger can be made", "FORUM_STATE_DIR"),
    "a full disk": own(full_disk, "no ledger can be made", "too large"),
    "a ledger that is a directory": own(ledger_is_a_directory, "is a directory", "--ledger"),
}


@contextmanager
def limits_kept() -> Generator[None]:
    """Undo what ``full_disk`` does."""
    if sys.platform == "win32":
        yield
        return
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.getsignal(signal.SIGXFSZ)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broken]:
    """A working directory and environment with one thing broken."""
    monkeypatch.chdir(tmp_path)
    case = BROKEN[request.param]
    with limits_kept():
        case.prepare(tmp_path, monkeypatch)
        yield case


def test_there_are_at_least_thirty() -> None:
    assert len(BROKEN) >= 30


def test_a_broken_configuration_is_one_line_that_says_what_to_mend(broken: Broken, own_home: Path) -> None:
    done = forum("config", "check")
    assert done.code == 2, done
    assert done.out == ""
    assert done.err.startswith("forum-mcp: ")
    assert done.err.count("\n") == 1, done.err
    for words in broken.says:
        assert words in done.err
    assert str(own_home) not in done.err


async def test_the_server_lists_its_tools_and_every_call_says_what_to_mend(broken: Broken) -> None:
    start = ServerStart(Flags())
    server = build_server(start.open_forum, tools=start.served("all", read_only=False))
    async with Client(server) as client:
        assert len((await client.list_tools()).tools) >= 10
        for _ in range(2):
            result = await client.call_tool("submit", {"request": "write the docs"})
            if broken.serves:
                return
            assert result.is_error
            (content,) = result.content
            assert content.type == "text"
            assert "failed by a bug" not in content.text
            assert "ask the operator" in content.text


Ask = Callable[..., dict[str, Any]]


@contextmanager
def served(*words: str) -> Generator[Ask]:
    """A server over stdio as a process, past its handshake; asked by a method and its parameters."""
    server = subprocess.Popen(
        [*COMMAND, *words, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdin is not None
    assert server.stdout is not None
    stdin, stdout = server.stdin, server.stdout

    def ask(method: str, **params: object) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": method, "method": method, "params": params}
        stdin.write(json.dumps(message).encode() + b"\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        assert answer["id"] == method
        return cast("dict[str, Any]", answer["result"])

    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    with server:
        try:
            assert ask("initialize", **client)["serverInfo"]["name"] == "forum-mcp"
            stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
            yield ask
        finally:
            stdin.close()
            code = server.wait(30)
    assert code == 0


def test_a_server_over_stdio_answers_too(broken: Broken) -> None:
    with served() as ask:
        assert len(ask("tools/list")["tools"]) >= 10
        if broken.serves:
            return
        refused = ask("tools/call", name="submit", arguments={"request": "write the docs"})
        assert refused["isError"] is True
        assert "ask the operator" in refused["content"][0]["text"]


def test_a_server_with_a_broken_file_works_as_soon_as_it_is_mended(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("max_paralel = 3")
    with served("--config", str(file)) as ask:
        refused = ask("tools/call", name="run", arguments={})
        assert refused["isError"] is True
        assert "did you mean 'max_parallel'" in refused["content"][0]["text"]
        file.write_text("max_parallel = 3")
        assert ask("tools/call", name="run", arguments={}).get("isError") is not True


def test_a_server_says_on_stderr_that_it_serves_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("max_paralel = 3")
    said = process("--config", str(tmp_path / "c.toml"), "mcp", cwd=tmp_path)
    assert (said.code, said.out) == (0, "")
    assert "serving all the same" in said.err


async def test_a_toolset_nobody_has_is_told_by_every_call(tmp_path: Path) -> None:
    start = ServerStart(Flags(ledger=":memory:"))
    server = build_server(start.open_forum, tools=start.served("al", read_only=False))
    async with Client(server) as client:
        assert (await client.list_tools()).tools
        result = await client.call_tool("run", {})
        assert result.is_error
        assert "no tool or toolset 'al'" in str(result.content)
