"""``forum-mcp init``: from what is on a machine to a configuration that works."""

import http.server
import json
import os
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from forum_mcp.configs.flags import Flags
from forum_mcp.configs.load import load
from forum_mcp.engine.detecting import DetectionView, FoundKey, FoundProgram, FoundServer, FoundWeights
from forum_mcp.engine.proposing import propose
from tests.cli.commands import forum


@pytest.fixture(autouse=True)
def _on_a_machine_with_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("forum_mcp.engine.detecting._WEIGHTS", ())
    for name in [name for name in os.environ if name.endswith("_API_KEY") or name == "OLLAMA_HOST"]:
        monkeypatch.delenv(name)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A model server on a free port of this machine."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"data": [{"id": "nomic-embed"}, {"id": "small:1b"}]}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{serving.server_port}")
        yield serving.server_port
        serving.shutdown()


def program(directory: Path, name: str, text: str) -> Path:
    path = directory / "bin" / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def user_file(home: Path) -> Path:
    return home / "config" / "forum-mcp" / "config.toml"


def test_without_a_model_the_host_executor_is_explained_in_one_line(own_home: Path) -> None:
    done = forum("init")
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if "no model was found" in line]
    assert "executor host" in line
    assert load().roles.worker == ["host"]
    assert user_file(own_home).stat().st_mode & 0o777 == 0o600
    assert forum("config", "check").code == 0


def test_a_server_and_an_agent_become_a_ladder_with_absolute_paths(
    own_home: Path, tmp_path: Path, server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = program(tmp_path, "node", "#!/bin/sh\nexit 0\n")
    agent = program(tmp_path, "claude", "#!/usr/bin/env node\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    done = forum("init", "--json")
    assert done.code == 0, done
    told = done.json()
    assert told["executors"] == ["ollama", "claude"]
    assert "sk-secret" not in done.out
    assert "OPENAI_API_KEY is set" in str(told["left"])
    settings = load()
    assert settings.roles.worker == ["ollama", "claude"]
    assert settings.roles.coordinator == ["claude", "rules"]
    assert settings.executors["ollama"].model == "small:1b", "an embedding model answers no question"
    assert settings.executors["ollama"].url == f"http://127.0.0.1:{server}/v1"
    assert settings.executors["claude"].argv == [str(agent)]
    assert settings.executors["claude"].env["PATH"].startswith(str(interpreter.parent))
    assert forum("config", "check").code == 0


def test_what_is_there_is_kept_until_it_is_forced(own_home: Path) -> None:
    assert forum("init").code == 0
    assert forum("init").code == 0, "the same again is no change"
    user_file(own_home).write_text("max_parallel = 2\n")
    refused = forum("init")
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "--force" in refused.err
    assert user_file(own_home).read_text() == "max_parallel = 2\n"
    assert forum("init", "--force").code == 0
    assert user_file(own_home).with_name("config.toml.before").read_text() == "max_parallel = 2\n"


def test_print_changes_nothing_and_says_what_would_be_written(own_home: Path, tmp_path: Path) -> None:
    printed = forum("init", "--print")
    assert not user_file(own_home).exists()
    forum("init")
    assert printed.out == user_file(own_home).read_text()


def test_a_projects_file_is_written_and_trusted(tmp_path: Path) -> None:
    program(tmp_path, "claude", "#!/bin/sh\n")
    assert forum("init", "--project").code == 0
    assert (tmp_path / ".forum" / "config.toml").exists()
    assert set(load().executors) == {"claude"}


def test_a_call_is_made_only_when_it_is_allowed(tmp_path: Path) -> None:
    marker = tmp_path / "called"
    reply = '{"type":"result","subtype":"success","result":"ready"}'
    script = f"#!{sys.executable}\nimport sys\nif '-p' in sys.argv:\n    open({str(marker)!r}, 'w').close()\n"
    program(tmp_path, "claude", script + f"    print({reply!r})\n")
    assert forum("init").code == 0
    assert not marker.exists(), "nobody at a terminal allowed it"
    done = forum("init", "--call")
    assert marker.exists()
    assert "a call was answered" in done.out


def test_whatever_names_are_found_the_file_is_one_that_loads(tmp_path: Path) -> None:
    odd = 'we"ird\\ \n\u202e name'
    found = DetectionView(
        online=True,
        programs=[FoundProgram(profile="codex", path="/opt/co dex/bin/codex", version=None, flags="--agent codex")],
        servers=[
            FoundServer(name="LM Studio", url="http://127.0.0.1:1/v1", models=[odd], flags=""),
            FoundServer(name="LM Studio", url="http://127.0.0.1:2/v1", models=["b"], context_tokens=8192, flags=""),
            FoundServer(name="vLLM", url="http://127.0.0.1:3/v1", models=["bge-m3"], flags=""),
        ],
        weights=[
            FoundWeights(file="package:w", runs=True, flags=""),
            FoundWeights(file="package:v", runs=False, flags=""),
        ],
        keys=[
            FoundKey(variable="ANTHROPIC_API_KEY", url="u", models=["claude-x"], error=None, flags="--api"),
            FoundKey(variable="GROQ_API_KEY", url="https://h/v1", models=["q"], error=None, flags=""),
            FoundKey(variable="MISTRAL_API_KEY", url="https://h/v1", models=None, error="connect", flags="f"),
        ],
    )
    proposal = propose(found, {})
    assert list(proposal.executors) == ["lm-studio", "lm-studio-2", "local", "codex", "anthropic", "groq"]
    (tmp_path / "c.toml").write_text(proposal.text, encoding="utf-8")
    settings = load(Flags(config="c.toml"))
    assert settings.executors["lm-studio"].model == odd
    assert [settings.executors[name].context_tokens for name in ("lm-studio", "lm-studio-2")] == [None, 8192]
    assert settings.roles.worker == list(proposal.executors)
    assert len(proposal.left) == 3
    assert tomllib.loads(proposal.text)["steps"] == {"escalate": True}
