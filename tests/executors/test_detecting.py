"""What is found on this machine, and that looking for it stays on it."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import cast

import pytest

from forum_mcp.engine.detecting import PORTS, DetectionView, detect
from tests.cli.commands import forum
from tests.executors.fault_server import Answer, FaultServer, respond, send, wait_for_the_end

MODELS = {"object": "list", "data": [{"id": "qwen3:8b", "owned_by": "library"}, {"id": "small"}, {"id": 7}, 8]}


def program(place: Path, name: str, code: str) -> None:
    path = place / name
    path.write_text(f"#!{sys.executable}\n{code}\n")
    path.chmod(0o755)


def port_of(server: FaultServer) -> int:
    return int(server.url.rpartition(":")[2])


async def test_programs_are_found_with_the_version_they_tell(tmp_path: Path) -> None:
    program(tmp_path, "claude", "import sys; print('2.1.0 (Claude Code)'); print(sys.argv[1:], file=sys.stderr)")
    program(tmp_path, "codex", "raise SystemExit(1)")
    program(tmp_path, "llm", "import time; print('\\x1b[31m', flush=True)")
    found = await detect({"PATH": str(tmp_path)}, ports={}, online=True)
    assert [(each.profile, each.version, each.flags) for each in found.programs] == [
        ("claude", "2.1.0 (Claude Code)", "--agent claude"),
        ("codex", None, "--agent codex"),
        ("llm", None, "--agent llm"),
    ]
    assert found.programs[0].path == str(tmp_path / "claude")


async def test_a_program_that_is_asked_for_its_version_has_no_network_and_no_home_of_ours(tmp_path: Path) -> None:
    code = "import os, socket, sys\nsocket.create_connection(('127.0.0.1', {port}), 2); print('reached')"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program(tmp_path, "claude", code.format(port=listener.getsockname()[1]))
        program(tmp_path, "codex", "import os; print(os.listdir(os.environ['HOME']))")
        found = await detect({"PATH": str(tmp_path), "HOME": "/somebody", "SECRET": "x"}, ports={})
    assert found.programs[0].version is None
    assert found.programs[1].version in ("[]", None)  # None: this machine gives no network namespace


@pytest.mark.parametrize("name", ["vLLM"])
async def test_a_server_that_listens_is_found_with_its_models(server: FaultServer, name: str) -> None:
    server.answer = respond(200, json.dumps(MODELS).encode())
    found = await detect({"PATH": ""}, ports={port_of(server): name})
    (listening,) = found.servers
    assert (listening.name, listening.url) == ("Ollama", f"{server.url}/v1")
    assert listening.models == ["qwen3:8b", "small"]
    assert listening.flags == f"--chat-url {server.url}/v1 --model qwen3:8b"
    first, headers, body = server.requests[0]
    assert (first, body) == ("GET /v1/models HTTP/1.1", b"")
    assert "authorization" not in headers


@pytest.mark.parametrize(
    "answer",
    [
        respond(404),
        respond(200, b"<html>"),
        respond(200, b'{"data": 7}'),
        respond(302, Location="http://192.0.2.1/"),
        send(b"SSH-2.0-OpenSSH\r\n"),
        send(b""),
        wait_for_the_end,
        respond(200, b" " * 2_000_000),
    ],
)
async def test_whatever_else_listens_there_is_not_taken_for_one(server: FaultServer, answer: Answer) -> None:
    server.answer = answer
    assert (await detect({"PATH": ""}, ports={port_of(server): "vLLM"})).servers == []


async def test_ollama_is_found_where_its_variable_says_unless_that_is_elsewhere(server: FaultServer) -> None:
    server.answer = respond(200, json.dumps(MODELS).encode())
    for value in (f"127.0.0.1:{port_of(server)}", f"http://localhost:{port_of(server)}/"):
        assert len((await detect({"PATH": "", "OLLAMA_HOST": value}, ports={})).servers) == 1
    for value in ("192.0.2.7:11434", "https://ollama.example", "127.0.0.1", "[", ""):
        assert (await detect({"PATH": "", "OLLAMA_HOST": value}, ports={})).servers == []


async def test_a_key_is_named_and_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    connect = socket.socket.connect

    def watched(self: socket.socket, address: object) -> None:
        asked.append(address)
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", watched)
    found = await detect({"PATH": "", "ANTHROPIC_API_KEY": "k3y", "OPENAI_API_KEY": "", "GROQ_API_KEY": "g"}, ports={})
    assert [(key.variable, key.models) for key in found.keys] == [("ANTHROPIC_API_KEY", None), ("GROQ_API_KEY", None)]
    assert "k3y" not in json.dumps(found.to_dict())
    assert asked == []


async def test_online_asks_each_provider_with_its_own_key(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = respond(200, json.dumps(MODELS).encode())
    places = {"ANTHROPIC_API_KEY": ("anthropic", f"{server.url}/v1"), "GROQ_API_KEY": ("chat", f"{server.url}/g")}
    monkeypatch.setattr("forum_mcp.engine.detecting._KEYS", places)
    environ = {"PATH": "", "ANTHROPIC_API_KEY": "k3y", "GROQ_API_KEY": "g"}
    found = await detect(environ, online=True, ports={})
    assert [key.models for key in found.keys] == [["qwen3:8b", "small"]] * 2
    sent = {first: headers for first, headers, _ in server.requests}
    assert sent["GET /v1/models HTTP/1.1"]["x-api-key"] == "k3y"
    assert sent["GET /g/models HTTP/1.1"]["authorization"] == "Bearer g"


def test_the_command_prints_the_same_as_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "gemini", "print('0.61.0')")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = forum("models", "detect", "--json").json()
    assert set(said) == set(DetectionView.__struct_fields__)
    assert any(each["profile"] == "gemini" for each in cast("list[dict[str, object]]", said["programs"]))
    assert said["online"] is False


def test_every_port_is_named() -> None:
    assert {11434, 1234, 8080, 8000} <= set(PORTS)
