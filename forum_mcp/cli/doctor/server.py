"""The server over a real pipe, started as a desktop program would: both protocol eras, and what its tools cost."""

import contextlib
import json
import os
import subprocess
import threading
import time
from typing import Any, Final, cast

from forum_mcp.cli.clients.launching import own_command
from forum_mcp.cli.doctor.lines import Line, Patient, fail, fine, gui_path, warn

__all__ = ["wire"]

_CLIENT: Final = {"name": "forum-mcp doctor", "version": "1"}
_MODERN: Final = "2026-07-28"
_HANDSHAKE: Final = "2025-11-25"
_ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": _MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": _CLIENT,
}
_QUESTIONS: Final = frozenset({1, 2})
"""Ids of the two requests of each era."""

_SLOW_S: Final = 5.0
_CHARS_A_TOKEN: Final = 4.2
_TOKENS_MANY: Final = 5_000
_KEPT: Final = ("HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "USERPROFILE")


async def wire(patient: Patient) -> list[Line]:
    """Speak each era to a server process of its own, started with the PATH of a desktop program."""
    import anyio

    found: dict[str, list[Line]] = {}

    async def speak(era: str, questions: bytes) -> None:
        found[era] = await _spoken(patient, era, questions)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(speak, _HANDSHAKE, _handshake())
        tasks.start_soon(speak, _MODERN, _modern())
    return [*found[_MODERN][:1], *found[_HANDSHAKE]]


async def _spoken(patient: Patient, era: str, questions: bytes) -> list[Line]:
    import anyio

    area = f"protocol {era}"
    words = [*own_command(), "mcp", "--ledger", ":memory:"]
    if patient.flags.config is not None:
        words += ["--config", patient.flags.config]
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(("XDG_", "FORUM_"))}
    env = {**kept, "PATH": gui_path()}
    began = time.monotonic()

    over = threading.Event()
    started: list[subprocess.Popen[bytes]] = []

    def ask() -> tuple[bytes, bytes]:
        pipe = subprocess.PIPE
        with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=patient.cwd) as process:
            started.append(process)
            if over.is_set():
                process.kill()
            return _asked(process, questions)

    try:
        said, logged = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
    except OSError as error:
        return [fail(area, f"{words[0]} cannot be started: {error.strerror}", "install forum-mcp again")]
    finally:
        over.set()
        for process in started:
            process.kill()  # when the time is over: the thread ends with it, and holds up no exit
    took = time.monotonic() - began
    answers = _answers(said)
    tools = answers.get(2, {}).get("result", {}).get("tools")
    if "result" not in answers.get(1, {}) or not tools:
        lines = logged.decode(errors="replace").strip().splitlines()
        what = f"no answer; it said: {lines[-1] if lines else 'nothing'}"
        return [fail(area, what, "report this with the output of forum-mcp doctor --json")]
    return [fine(area, f"answers, {len(tools)} tools"), _speed(took), _cost(tools)]


def _asked(process: "subprocess.Popen[bytes]", questions: bytes) -> tuple[bytes, bytes]:
    """Return what a server says to two questions, and what it logs until its end.

    Stdin stays open until both are answered: a server whose stdin ends has little time left for its answers.
    """
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(questions)
        process.stdin.flush()
    said = b""
    for line in process.stdout:
        said += line
        if _answers(said).keys() >= _QUESTIONS:
            break
    rest, logged = process.communicate()
    return said + rest, logged


def _handshake() -> bytes:
    hello = {"protocolVersion": _HANDSHAKE, "capabilities": {}, "clientInfo": _CLIENT}
    return _lines(
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list", "params": {}},
    )


def _modern() -> bytes:
    asked = {"_meta": _ENVELOPE}
    return _lines(
        {"id": 1, "method": "server/discover", "params": asked}, {"id": 2, "method": "tools/list", "params": asked}
    )


def _lines(*messages: dict[str, object]) -> bytes:
    return b"".join(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in messages)


def _speed(took: float) -> Line:
    what = f"start, two requests and end took {took:.1f} s"
    if took > _SLOW_S:
        return warn("server", f"{what}; some clients give up", "install it for good: uv tool install forum-mcp")
    return fine("server", what)


def _answers(stdout: bytes) -> dict[object, dict[str, Any]]:
    found: dict[object, dict[str, Any]] = {}
    for line in stdout.splitlines():
        try:
            message: object = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict):
            table = cast("dict[str, Any]", message)
            found[table.get("id")] = table
    return found


def _cost(tools: list[dict[str, Any]]) -> Line:
    told = [{key: tool.get(key) for key in ("name", "description", "inputSchema")} for tool in tools]
    tokens = round(len(json.dumps(told, separators=(",", ":"))) / _CHARS_A_TOKEN)
    what = f"{len(tools)} tools cost about {tokens} tokens of each conversation"
    if tokens > _TOKENS_MANY:
        return warn("tools", what, "serve fewer: forum-mcp install CLIENT --tools core")
    return fine("tools", what)
