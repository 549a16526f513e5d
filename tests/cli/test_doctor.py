"""``forum-mcp doctor``: each thing that can be wrong is a line with the words that mend it."""

import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from forum_mcp.cli.clients.files import install
from forum_mcp.cli.clients.table import Launch, client_named
from forum_mcp.cli.doctor.configuration import clients, configuration
from forum_mcp.cli.doctor.examination import CHECKS, examined
from forum_mcp.cli.doctor.lines import Line, Patient
from forum_mcp.cli.doctor.machine import clock
from forum_mcp.cli.doctor.record import ledger
from forum_mcp.cli.doctor.server import wire
from forum_mcp.cli.doctor.team import executors
from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.engine.ledger import Ledger
from tests.cli.commands import forum, process

AGENT = "[executors.a]\ntype = 'command'\nargv = ['no-such-program']\n"


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def patient(flags: Flags | None = None, *, live: bool = False) -> Patient:
    chosen = flags or Flags()
    return Patient(chosen, load(chosen), Path.cwd(), live, seconds=100)


def problems(lines: list[Line]) -> Mapping[str, Line]:
    for line in lines:
        assert bool(line.fix) == (line.status != "ok"), line
    return {f"{line.status} {line.area}": line for line in lines if line.status != "ok"}


def test_a_machine_without_a_problem_is_told_so_and_nothing_is_made(own_home: Path, tmp_path: Path) -> None:
    install(
        client_named("cursor"), client_named("cursor").user(), "forum", Launch(sys.executable, ["-m", "forum_mcp.cli"])
    )
    done = process("doctor", "--json", "--seconds", "100")
    told = json.loads(done.raw)
    assert (done.code, told["ok"], told["failed"]) == (0, True, 0), told
    areas = {line["area"] for line in told["lines"]}
    assert {"interpreter", "versions", "configuration", "executors", "ledger", "disk", "clock"} <= areas
    assert {"protocol 2025-11-25", "protocol 2026-07-28", "tools", "client cursor"} <= areas
    assert not list(tmp_path.iterdir())
    assert not (own_home / "state").exists()


def test_a_problem_is_exit_1_and_its_mending_stands_below_it(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("max_paralel = 2")
    done = process("--config", "c.toml", "doctor", "--seconds", "100")
    assert done.code == 1
    (at,) = [index for index, line in enumerate(done.out.splitlines()) if line.startswith("fail  configuration")]
    assert "did you mean 'max_parallel'" in done.out.splitlines()[at + 1]
    assert "ok    protocol" in done.out, "a server serves all the same"
    assert "\x1b" not in done.out, "a pipe is plain"


def test_every_check_is_listed_once() -> None:
    assert len(CHECKS) == len(set(CHECKS)) == 8


async def test_a_program_that_is_not_there_or_only_on_the_path_of_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.toml").write_text(AGENT)
    found = problems(await executors(patient(Flags(config="c.toml"))))
    assert "absolute path" in found["fail executor a"].fix
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "no-such-program").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "no-such-program").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    found = problems(await executors(patient(Flags(config="c.toml"))))
    assert str(tmp_path / "bin" / "no-such-program") in found["warn executor a"].fix


async def test_only_programs_known_to_answer_are_asked_for_their_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("claude", "deploy"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{name}\necho 9.8.7\n")
        (tmp_path / name).chmod(0o755)
    text = "".join(f"[executors.{name}]\ntype='command'\nargv=['{tmp_path / name}']\n" for name in ("claude", "deploy"))
    (tmp_path / "c.toml").write_text(text)
    told = {line.area: line.what for line in await executors(patient(Flags(config="c.toml")))}
    assert told["executor claude"].endswith(", 9.8.7")
    assert (tmp_path / "ran-claude").exists()
    assert not (tmp_path / "ran-deploy").exists()


async def test_a_model_server_that_is_not_there_and_one_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        found = problems(await executors(patient(Flags(chat_url=f"http://127.0.0.1:{port}/v1", model="m"))))
        assert "does not answer (ReadTimeout)" in found["fail executor chat"].what
    found = problems(await executors(patient(Flags(chat_url=f"http://127.0.0.1:{port}/v1", model="m"))))
    assert "ConnectError" in found["fail executor chat"].what


async def test_a_live_call_is_made_only_when_asked_for(tmp_path: Path) -> None:
    marker = tmp_path / "called"
    flags = Flags(cmd=f"sh -c 'touch {marker}; echo ready'")
    assert len(await executors(patient(flags))) == 1
    assert not marker.exists()
    told = await executors(patient(flags, live=True))
    assert marker.exists()
    assert "a call was answered" in told[1].what
    failed = problems(await executors(patient(Flags(cmd="false"), live=True)))
    assert "a call failed" in failed["fail executor command"].what


def recorded(path: Path, at_us: int | None = None) -> None:
    with Ledger.open(path, now_us=lambda: at_us or time.time_ns() // 1000):
        pass


async def test_a_ledger_that_was_tampered_with_is_open_to_others_or_of_the_future(tmp_path: Path) -> None:
    path = tmp_path / "l.db"
    recorded(path, int((time.time() + 86_400) * 1e6))
    look = patient(Flags(ledger=str(path)))
    assert not problems(await ledger(look))
    assert "later than now" in problems(await clock(look))["warn clock"].what
    path.chmod(0o644)
    assert problems(await ledger(look))["warn permissions"].fix == "chmod 600 l.db"
    path.chmod(0o600)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entries SET raw = zeroblob(length(raw))")
    connection.close()
    found = problems(await ledger(look))
    assert "fail ledger" in found
    path.write_bytes(b"no ledger")
    assert "not a ledger" in problems(await ledger(look))["fail ledger"].what


async def test_a_ledger_in_memory_and_one_that_cannot_be_made(tmp_path: Path) -> None:
    assert "nothing is kept" in problems(await ledger(patient(Flags(ledger=":memory:"))))["warn ledger"].what
    (tmp_path / "file").write_text("")
    found = problems(await ledger(patient(Flags(ledger="file/l.db"))))
    assert "FORUM_STATE_DIR" in found["fail ledger"].fix


async def test_a_client_that_starts_what_is_not_there(tmp_path: Path) -> None:
    assert "warn clients" in problems(await clients(patient()))
    cursor = client_named("cursor")
    install(cursor, cursor.user(), "forum", Launch(str(tmp_path / "gone" / "forum-mcp"), []))
    assert problems(await clients(patient()))["fail client cursor"].fix == "forum-mcp install cursor"
    forum("uninstall", "cursor")
    install(cursor, cursor.user(), "forum", Launch("sh", ["forum-mcp"]))
    assert "by name" in problems(await clients(patient()))["warn client cursor"].what
    forum("install", "cursor")
    assert not problems(await clients(patient()))
    client_named("zed").user().parent.mkdir(parents=True)
    client_named("zed").user().write_text("{ broken")
    assert "line 1" in problems(await clients(patient()))["warn client zed"].what


async def test_a_project_file_that_is_not_trusted_is_told(tmp_path: Path) -> None:
    (tmp_path / ".forum").mkdir()
    (tmp_path / ".forum" / "config.toml").write_text("[limits]\ncalls = 3\n")
    assert problems(await configuration(patient()))["warn configuration"].fix == "read it, then: forum-mcp trust"
    forum("trust")
    assert not problems(await configuration(patient()))


async def test_what_hangs_is_cut_off_and_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        flags = Flags(chat_url=f"http://127.0.0.1:{listening.getsockname()[1]}/v1", model="m", ledger=":memory:")
        found = problems(await examined(flags, seconds=0.6))
    assert "it took too long" in found["fail executors"].what


async def test_a_server_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "forum_mcp.cli.doctor.server.own_command", lambda: [sys.executable, "-c", "raise SystemExit('no')"]
    )
    found = problems(await wire(patient()))
    assert set(found) == {"fail protocol 2025-11-25", "fail protocol 2026-07-28"}
    assert found["fail protocol 2025-11-25"].what == "no answer; it said: no"


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from forum_mcp.cli.terminal import painted

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert painted("ok", "green") == "\x1b[32mok\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert painted("ok", "green") == "ok"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert painted("ok", "green") == "ok"
