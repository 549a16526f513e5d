"""Runs that outlive the window they were begun in: a daemon holds them."""

import json
import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.daemon import serve
from forum_mcp.engine.daemon_client import ask_daemons, start_daemon, stop_daemons
from forum_mcp.engine.ledger import Ledger
from forum_mcp.engine.orchestrator import Orchestrator
from forum_mcp.errors import NestedRefused, NotFound, RequestRefused, RunHeld
from tests.cli.commands import process


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory with a short path: a socket's may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="forum") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)
        anyio.run(stop_daemons)


def settings(tmp_path: Path, *, delay_ms: int = 0) -> Settings:
    """Return settings whose worker answers after a while."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"replies": [{"purpose": "task", "reply": "done", "delay_ms": delay_ms}]}))
    return Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"slow": ExecutorSettings(type="scripted", script=str(script))},
        roles=RoleSettings(worker=["slow"]),
    )


async def interrupted(forum: Orchestrator, run: str) -> None:
    """Wait until nobody holds the run; what another process does has no event here."""
    with anyio.fail_after(30):
        while True:
            if (await forum.run(run)).state == "interrupted":
                return
            await anyio.sleep(0.02)


async def test_a_detached_run_goes_on_after_its_client_has_gone(tmp_path: Path, runtime: Path) -> None:
    given = settings(tmp_path, delay_ms=300)
    async with Orchestrator.open(given) as forum:
        view = await forum.submit("say done", single=True, detach=True, wait_s=0)
        assert view.state == "running"
        assert forum.holds() == []
    async with Orchestrator.open(given) as later:
        with anyio.fail_after(60):
            view = await later.run(view.run_id, wait_s=50)
        assert (view.state, view.answer) == ("succeeded", "done")
        assert later.ledger.verify(level=4).clean
    [daemon] = (await ask_daemons()).daemons
    [socket] = runtime.rglob("runs-*.sock")
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert (await start_daemon(given)).pid == daemon.pid, "one daemon serves all runs of the same settings"


async def test_what_the_daemon_refuses_is_refused_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Orchestrator.open(settings(tmp_path)) as forum:
        with pytest.raises(RequestRefused, match="lane 'nowhere'"):
            await forum.submit("x", lane="nowhere", single=True, detach=True)
        with pytest.raises(NotFound):
            await forum.submit(plan="0" * 32, detach=True)
        monkeypatch.setenv("FORUM_DEPTH", "1")
        with pytest.raises(NestedRefused):
            await forum.submit("x", detach=True)
    async with Orchestrator.open(Settings(ledger=":memory:")) as forum:
        monkeypatch.delenv("FORUM_DEPTH")
        with pytest.raises(RequestRefused, match="in memory"):
            await forum.submit("x", detach=True)


async def test_a_killed_daemon_leaves_runs_that_can_be_resumed(tmp_path: Path) -> None:
    given = settings(tmp_path, delay_ms=60_000)
    async with Orchestrator.open(given) as forum:
        run = (await forum.submit("say done", single=True, detach=True, wait_s=0)).run_id
        [daemon] = (await ask_daemons()).daemons
        assert daemon.runs == [run]
        os.kill(daemon.pid, signal.SIGKILL)
        await interrupted(forum, run)
        assert (await ask_daemons()).daemons == []
    settings(tmp_path)
    async with Orchestrator.open(given) as forum:
        assert (await forum.resume(run, wait_s=50)).state == "succeeded"
        assert (await start_daemon(given)).pid != daemon.pid, "another one takes the place of the dead"


async def test_an_interrupted_run_is_handed_to_the_daemon(tmp_path: Path) -> None:
    given = settings(tmp_path, delay_ms=60_000)
    async with Orchestrator.open(given) as forum:
        run = (await forum.submit("say done", single=True, wait_s=0)).run_id
        with pytest.raises(RunHeld):
            await forum.resume(run, detach=True)
    await stop_daemons()  # it has read the slow script
    settings(tmp_path, delay_ms=300)
    async with Orchestrator.open(given) as forum:
        assert (await forum.resume(run, detach=True, wait_s=0)).state == "running"
        assert forum.holds() == []
        assert [daemon.runs for daemon in (await ask_daemons()).daemons] == [[run]]
    async with Orchestrator.open(given) as forum:
        with anyio.fail_after(60):
            assert (await forum.run(run, wait_s=50)).state == "succeeded"
        assert (await forum.resume(run, detach=True)).state == "succeeded", "what is over is only read"
        assert forum.ledger.verify(level=4).clean


async def test_a_fork_is_handed_to_the_daemon(tmp_path: Path) -> None:
    given = settings(tmp_path, delay_ms=300)
    async with Orchestrator.open(given) as forum:
        origin = (await forum.submit("say done", single=True, wait_s=50)).run_id
        at = forum.ledger.show(run_id=origin, kind="plan.accepted").entries[0].seq
        fork = await forum.fork(origin, seq=at, request="say it again", detach=True, wait_s=0)
        assert (fork.state, fork.request, forum.holds()) == ("running", "say it again", [])
        with pytest.raises(RequestRefused, match="is none of run"):
            await forum.fork(origin, seq=0, detach=True)
        assert [daemon.runs for daemon in (await ask_daemons()).daemons] == [[fork.run_id]]
        with anyio.fail_after(60):
            assert (await forum.run(fork.run_id, wait_s=50)).state == "succeeded"
        [started] = forum.ledger.show(run_id=fork.run_id, kind="run.started").entries
        assert started.data["fork"] == {"run": origin, "seq": at}
        assert forum.ledger.verify(level=4).clean


async def test_a_stopped_daemon_lets_its_runs_go_in_order(tmp_path: Path) -> None:
    given = settings(tmp_path, delay_ms=60_000)
    async with Orchestrator.open(given) as forum:
        run = (await forum.submit("say done", single=True, detach=True, wait_s=0)).run_id
        assert len((await stop_daemons()).daemons) == 1
        await interrupted(forum, run)
        kinds = [entry.kind for entry in forum.ledger.show(limit=100, run_id=run).entries]
        assert "run.interrupted" in kinds


async def test_a_daemon_without_a_run_ends_by_itself_and_a_second_one_does_not_start(tmp_path: Path) -> None:
    socket = Path(tempfile.mkdtemp(prefix="forum")) / "d.sock"
    ready = anyio.Event()
    ended: list[bool] = []

    async def first() -> None:
        ended.append(await serve(settings(tmp_path), socket, 0.2, ready))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await ready.wait()
            assert await serve(settings(tmp_path), socket, 0.2) is False
    assert ended == [True]
    assert not socket.exists()


async def test_a_daemon_answers_nonsense_and_goes_on(tmp_path: Path, runtime: Path) -> None:
    daemon = await start_daemon(settings(tmp_path))
    [socket] = runtime.rglob("runs-*.sock")
    for line in (b"not json\n", b'{"do": "dance"}\n', b'{"do": 7}\n', b"[]\n", b"\xff\n"):
        async with await anyio.connect_unix(socket) as stream:
            await stream.send(line)
            assert b'"error":"request-refused"' in await stream.receive()
    async with await anyio.connect_unix(socket) as stream:
        await stream.send(b'{"do": "sta')
    assert (await start_daemon(settings(tmp_path))).pid == daemon.pid


def test_the_command_line_detaches_shows_and_stops(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"default": {"reply": "done", "delay_ms": 60_000}}))
    flags = ("--scripted", str(script), "--roles", "rules", "--ledger", str(tmp_path / "ledger.db"))
    done = process("submit", "say done", "--single", "--detach", *flags)
    assert done.code == 0, done.err
    run = done.out.strip()
    shown = process("serve", "--status", "--json").json()
    assert shown["daemons"][0]["runs"] == [run]  # type: ignore[index]
    assert "run resume --all" in process("serve", "--stop").err
    again = process("run", "resume", run, "--detach", *flags)
    assert (again.code, again.out.strip()) == (0, run)
    assert process("serve", "--stop").code == 0
    every = process("run", "resume", "--all", "--detach", *flags)
    assert (every.code, every.out.split()[:2]) == (0, [run, "running"])
    assert process("serve", "--status", "--json").json()["daemons"][0]["runs"] == [run]  # type: ignore[index]
    assert process("serve", "--stop").code == 0
    assert "no daemon" in process("serve", "--status").err
    with Ledger.open(tmp_path / "ledger.db", create=False) as ledger:
        assert ledger.verify(level=4).clean
    assert process("serve").code == 2
