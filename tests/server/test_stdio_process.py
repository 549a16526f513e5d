"""The server as a process of its own: faults on the wire, and every way to end."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from forum_mcp.configs.settings import ExecutorSettings, RoleSettings, Settings
from forum_mcp.engine.ledger import Ledger
from forum_mcp.server.admission import IN_FLIGHT_MAX, WAITING_MAX
from forum_mcp.server.wire import BUSY, LINE_MAX

END_S = 20.0
"""The promise is two seconds; how loaded a machine is, is not what these tests are about."""

SERVE = """
import sys
from forum_mcp.configs.settings import Settings
from forum_mcp.server.stdio import serve
sys.exit(serve(Settings.model_validate_json(sys.argv[1])))
"""

Start = Callable[[Settings], Any]


def verified(settings: Settings) -> list[str]:
    """Verify the ledger that a process left behind; return the kinds of its entries."""
    assert settings.ledger is not None
    with Ledger.open(settings.ledger, create=False) as ledger:
        assert ledger.verify(level=4).findings == []
        return [entry.kind for entry in ledger.show(limit=200).entries]


def test_each_wire_fault_is_answered_and_the_server_goes_on(start: Start, host_settings: Settings) -> None:
    server = start(host_settings)
    server.ask(1, "server/discover")
    oversized = b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"a":"' + b"x" * LINE_MAX + b'"}}'
    for line in (b"{", b"[]", b"3", b'{"jsonrpc":"2.0","id":null,"method":"m"}', b"\xff", b"[" * 100_000, oversized):
        server.send(line)
        answer = server.answer()
        assert answer["id"] is None
        assert answer["error"]["code"] in (-32700, -32600)
    server.send(b'\n\n{"jsonrpc":"2.0","id":5,"result":{}}')
    server.send(b'{"jsonrpc":"2.0","method":"notifications/nobody-knows"}')
    assert server.ask(2, "no/such/method")["error"]["code"] == -32601
    assert server.ask(3, "tools/call", name="route")["result"]["isError"] is True
    assert server.ask(4, "tools/call", name="route", arguments=7)["error"]["code"] == -32602
    assert server.ask(6, "tools/call", name="nope", arguments={})["error"]["code"] == -32602
    verify = server.ask(7, "tools/call", name="ledger_verify", arguments={"level": 4})
    assert verify["result"]["structuredContent"]["clean"] is True
    server.stdin.close()
    assert server.popen.wait(END_S) == 0
    assert server.stdout.read() == b"", "each line was answered once"
    verified(host_settings)


def test_requests_piped_in_get_their_answers_although_stdin_ends(start: Start, host_settings: Settings) -> None:
    server = start(host_settings)
    server.send(server.request(1, "server/discover"))
    server.send(server.request(2, "tools/list"))
    server.stdin.close()
    answers = [json.loads(line) for line in server.stdout.read().splitlines()]
    assert {answer["id"] for answer in answers} == {1, 2}
    assert all("result" in answer for answer in answers)
    assert server.popen.wait(END_S) == 0


def test_many_waiting_calls_hold_up_no_other_and_can_be_cancelled(start: Start, tmp_path: Path) -> None:
    server = start(hanging(tmp_path))
    run = server.ask(1, "tools/call", name="submit", arguments={"request": "poem", "single": True, "wait_s": 0})
    wait = {"name": "run", "arguments": {**run_of(run), "wait_s": 300}}
    for number in range(1_000, 1_000 + IN_FLIGHT_MAX - 1):
        server.send(server.request(number, "tools/call", **wait))
    assert server.ask(2, "tools/call", name="route", arguments={"request": "x"})["result"]["isError"] is False
    server.send(server.request(3, "tools/call", **wait))
    server.send(server.request(4, "tools/list"))  # it waits for a place, which the cancellation makes
    server.send(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}')
    assert server.answer()["id"] == 4


def test_what_is_one_too_many_is_answered_at_once(start: Start, tmp_path: Path) -> None:
    server = start(hanging(tmp_path))
    run = server.ask(1, "tools/call", name="submit", arguments={"request": "poem", "single": True, "wait_s": 0})
    wait = {"name": "run", "arguments": {**run_of(run), "wait_s": 300}}
    for number in range(1_000, 1_000 + IN_FLIGHT_MAX + WAITING_MAX):
        server.send(server.request(number, "tools/call", **wait))
    server.send(server.request(2, "tools/list"))
    busy = server.answer()
    assert (busy["id"], busy["error"]["code"]) == (2, BUSY)


SLOW_VERIFY = """
import sys, time
from forum_mcp.configs.settings import Settings
from forum_mcp.engine.ledger import Ledger
from forum_mcp.server.stdio import serve
Ledger.verify = lambda *_, **__: time.sleep(600)
sys.exit(serve(Settings.model_validate_json(sys.argv[1])))
"""


@pytest.mark.parametrize("way", ["stdin ends", "SIGTERM"])
def test_a_long_verification_cannot_keep_the_server_from_ending(
    start: Start, host_settings: Settings, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr("tests.server.conftest.SERVE", SLOW_VERIFY)
    server = start(host_settings)
    server.send(server.request(1, "tools/call", name="ledger_verify", arguments={}))
    server.ask(2, "tools/call", name="route", arguments={"request": "x"})
    end, code = ENDS[way]
    end(server)
    assert server.popen.wait(END_S) == code


def hanging(tmp_path: Path) -> Settings:
    """A team that never answers: a child process that sleeps and says its id first."""
    command = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    return Settings(
        ledger=str(tmp_path / "ledger.db"),
        executors={"team": ExecutorSettings(type="command", argv=[sys.executable, "-c", command])},
        roles=RoleSettings(worker=["team"]),
    )


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


ENDS: dict[str, tuple[Callable[[Any], object], int]] = {
    "stdin ends": (lambda server: server.stdin.close(), 0),
    "stdout closed": (lambda server: server.stdout.close(), 0),
    "SIGINT": (lambda server: server.popen.send_signal(signal.SIGINT), 130),
    "SIGTERM": (lambda server: server.popen.send_signal(signal.SIGTERM), 143),
}


@pytest.mark.parametrize("way", ENDS)
def test_an_idle_server_ends_soon(start: Start, host_settings: Settings, way: str) -> None:
    server = start(host_settings)
    server.ask(1, "tools/call", name="run", arguments={})
    end, code = ENDS[way]
    end(server)
    assert server.popen.wait(END_S) == code
    verified(host_settings)


@pytest.mark.parametrize("way", ENDS)
def test_a_server_with_a_run_under_way_ends_soon_and_records_it(start: Start, tmp_path: Path, way: str) -> None:
    settings = hanging(tmp_path)
    server = start(settings)
    run = server.ask(1, "tools/call", name="submit", arguments={"request": "poem", "single": True, "wait_s": 1})
    assert run["result"]["structuredContent"]["state"] == "running"
    child = pid_of(tmp_path / "pid")
    server.send(server.request(2, "tools/call", name="run", arguments={**run_of(run), "wait_s": 60}))
    end, code = ENDS[way]
    end(server)
    assert server.popen.wait(END_S) == code
    assert not is_alive(child)
    assert "run.interrupted" in verified(settings)


def test_a_cancelled_wait_leaves_the_work_and_a_cancelled_run_ends_it(start: Start, tmp_path: Path) -> None:
    settings = hanging(tmp_path)
    server = start(settings)
    run = server.ask(1, "tools/call", name="submit", arguments={"request": "poem", "single": True, "wait_s": 0})
    child = pid_of(tmp_path / "pid")
    server.send(server.request(2, "tools/call", name="run", arguments={**run_of(run), "wait_s": 300}))
    server.send(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}')
    still = server.ask(3, "tools/call", name="run", arguments=run_of(run))["result"]["structuredContent"]
    assert still["state"] == "running"
    assert is_alive(child)
    over = server.ask(4, "tools/call", name="run_control", arguments={**run_of(run), "action": "cancel"})
    assert over["result"]["structuredContent"]["state"] == "cancelled"
    assert not is_alive(child)
    server.stdin.close()
    assert server.popen.wait(END_S) == 0
    assert "run.cancelled" in verified(settings)


def pid_of(file: Path) -> int:
    """Return the pid a child writes when it runs; how soon that is depends on the machine."""
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text().strip()):
        assert time.monotonic() < deadline, "the child never ran"
        time.sleep(0.02)
    return int(file.read_text())


def run_of(answer: dict[str, Any]) -> dict[str, Any]:
    return {"run_id": answer["result"]["structuredContent"]["run_id"]}


@pytest.mark.parametrize("way", ["SIGTERM", "stdin ends"])
def test_a_client_that_never_reads_cannot_keep_the_server_from_ending(
    start: Start, host_settings: Settings, way: str
) -> None:
    server = start(host_settings)
    server.ask(1, "server/discover")
    os.set_blocking(server.stdin.fileno(), False)
    while select.select([], [server.stdin], [], 0.5)[1]:  # until neither side takes anything
        os.write(server.stdin.fileno(), b"3\n" * 2_000)
    end, code = ENDS[way]
    end(server)
    assert server.popen.wait(END_S) == code


def test_a_server_whose_parent_died_ends_although_stdin_stays_open(host_settings: Settings) -> None:
    reading, held = os.pipe()
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {SERVE!r}, sys.argv[1]], stdin={reading})\n"
        "sys.stdin.readline()\n"
    )
    wrapper = subprocess.Popen(
        [sys.executable, "-c", parent, host_settings.model_dump_json(exclude_unset=True)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[reading],
    )
    assert wrapper.stdin is not None
    assert wrapper.stdout is not None
    os.close(reading)
    os.write(held, b"3\n")
    assert b"-32600" in wrapper.stdout.readline()
    wrapper.stdin.close()
    wrapper.wait(5)
    assert wrapper.stdout.read() == b"", "the pipe closes when the orphan has ended"
    wrapper.stdout.close()
    os.close(held)


async def test_the_sdks_own_client_does_the_main_job_over_stdio(era: str, scripted_settings: Settings) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-c", SERVE, scripted_settings.model_dump_json(exclude_unset=True)],
        env=dict(os.environ),
    )
    async with Client(server, mode=era) as client:
        run = (await client.call_tool("submit", {"request": "write a poem"})).structured_content
        assert run is not None
        assert run["state"] == "succeeded"
        content = (await client.read_resource(f"forum://runs/{run['run_id']}")).contents[0]
        assert json.loads(content.text)["answer"] == run["answer"]  # type: ignore[union-attr]
    verified(scripted_settings)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_server_started_without_a_standard_stream_ends_by_itself(host_settings: Settings, closed: str) -> None:
    line = f'exec "$0" -c "$1" "$2" {closed}'
    arguments = [sys.executable, SERVE, host_settings.model_dump_json(exclude_unset=True)]
    ended = subprocess.run(["sh", "-c", line, *arguments], input=b"3\n", capture_output=True, timeout=20, check=False)
    assert ended.returncode == 0, ended.stderr
    assert b"-32600" not in ended.stderr, "the protocol never goes to stderr"
