"""``forum-mcp install``: each client's own file, written as it writes it, and given back as it was."""

import json
import os
import re
import subprocess
import sys
import tomllib
from base64 import b64decode
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote, urlparse

import pytest

import forum_mcp.configs
from forum_mcp.cli.clients import jsonc
from forum_mcp.cli.clients.launching import own_command
from forum_mcp.cli.clients.links import web_link
from forum_mcp.cli.clients.table import CLIENTS, Client, Launch, client_named
from forum_mcp.configs.paths import state_dir
from tests.cli.commands import forum

NAMES: Final = [client.name for client in CLIENTS]
ROOT: Final = Path(__file__).parents[3]
SNIPPETS: Final = Path(forum_mcp.configs.__file__).parent / "clients"
UVX: Final = ("--command", "uvx forum-mcp")

FIXTURES: Final[dict[str, str]] = {
    "claude-desktop": """{
  "globalShortcut": "Ctrl+Space",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/home/me/Desktop"]
    }
  }
}
""",
    "claude-code": '{"numStartups":12,"projects":{"/home/me/p":{"mcpServers":{}}},"tipsHistory":{"a":1}}',
    "cursor": '{"mcpServers":{"x":{"url":"http://127.0.0.1:1/mcp"}}}\n',
    "vscode": """{
\t// used by everybody
\t"servers": {
\t\t"github": { "type": "http", "url": "https://api.githubcopilot.com/mcp/" }, // hosted
\t},
\t"inputs": []
}
""",
    "codex": """model = "gpt-5"  # mine

[mcp_servers.docs]
command = "npx"
args = ["-y", "docs"]   # two words

# what I trust
[projects."/home/me/p"]
trust_level = "trusted"
""",
    "gemini-cli": """{
    "security": {"auth": {"selectedType": "oauth-personal"}}, // signed in
    "ui": {"theme": "GitHub"}
}
""",
    "opencode": '{\n  "$schema": "https://opencode.ai/config.json",\n  "theme": "opencode",\n  "mcp": {}\n}\n',
    "zed": """// Zed settings
{
  "theme": "One Dark",
  "context_servers": {
    "a": {"source": "custom", "command": "a", "args": []},
  },
  "vim_mode": true,
}
""",
    "windsurf": "{}",
    "jetbrains": '{"mcpServers": {}}',
}


@pytest.fixture(params=NAMES)
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Each client in turn, in a home and a project of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    return client_named(str(request.param))


def servers(client: Client, text: str) -> dict[str, Any]:
    found: Any = tomllib.loads(text) if client.language == "toml" else jsonc.value_of(text)
    for key in client.table:
        found = found.get(key, {})
    return cast("dict[str, Any]", found)


def comments(text: str) -> list[str]:
    return re.findall(r"(?:(?<![:\w])//|(?<=\s)# ?).*", text)


def test_it_goes_into_the_clients_own_file_beside_what_is_there_and_out_again_byte_by_byte(client: Client) -> None:
    path = client.user()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FIXTURES[client.name].encode())
    path.chmod(0o640)
    done = forum("install", client.name)
    assert done.code == 0, done
    after = path.read_text()
    written = servers(client, after)
    assert [*servers(client, FIXTURES[client.name]), "forum"] == list(written)
    assert written["forum"] == client.write(Launch(own_command()[0], [*own_command()[1:], "mcp"]))
    assert comments(after) == comments(FIXTURES[client.name])
    assert path.stat().st_mode & 0o777 == 0o640
    assert forum("install", client.name, "--json").json() == {"did": "unchanged", "file": str(path), "backup": None}
    assert path.read_text() == after
    assert forum("uninstall", client.name, "--json").json()["did"] == "restored"
    assert path.read_text() == FIXTURES[client.name]
    assert not list((state_dir() / "backups").iterdir())
    assert forum("uninstall", client.name, "--json").json()["did"] == "absent"


def test_a_file_that_was_not_there_is_gone_again(client: Client, own_home: Path) -> None:
    assert forum("install", client.name).code == 0
    assert forum("uninstall", client.name, "--json").json()["did"] == "deleted"
    assert not client.user().exists()


def test_what_was_changed_in_between_stays(client: Client) -> None:
    path = client.user()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FIXTURES[client.name])
    forum("install", client.name)
    if client.language == "toml":
        path.write_text(path.read_text() + '\n[mcp_servers.later]\ncommand = "later"\n')
    else:
        path.write_text(jsonc.put(path.read_text(), (*client.table, "later"), {"command": "later"}))
    assert forum("uninstall", client.name, "--json").json()["did"] == "removed"
    left = servers(client, path.read_text())
    assert "forum" not in left
    assert left["later"] == {"command": "later"}
    assert comments(path.read_text()) == comments(FIXTURES[client.name])


def test_another_command_takes_the_place_of_the_first_and_the_copy_stays_the_first(client: Client) -> None:
    path = client.user()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(FIXTURES[client.name])
    forum("install", client.name)
    done = forum("--ledger", "team.db", "install", client.name, "--tools", "core", "--read-only", "--json")
    assert done.json()["did"] == "updated", done
    words = json.dumps(servers(client, path.read_text())["forum"])
    for word in (str(Path.cwd() / "team.db"), "--tools", "core", "--read-only"):
        assert word in words
    assert forum("uninstall", client.name, "--json").json()["did"] == "restored"
    assert path.read_text() == FIXTURES[client.name]


def test_the_project_has_a_file_of_its_own_or_says_that_it_has_none(client: Client) -> None:
    done = forum("install", client.name, "--project")
    if client.project is None:
        assert done.code == 2
        assert "leave --project out" in done.err
        return
    assert done.code == 0
    assert "forum" in servers(client, Path(client.project).read_text())
    assert not client.user().exists()
    assert forum("uninstall", client.name, "--project").code == 0
    assert not Path(client.project).exists()


def test_a_strangers_server_of_that_name_is_left_alone(client: Client) -> None:
    path = client.user()
    path.parent.mkdir(parents=True, exist_ok=True)
    theirs: dict[str, object] = {"command": "/opt/agora/forum", "args": []}
    text = '[mcp_servers.forum]\ncommand = "/opt/agora/forum"\n'
    path.write_text(text if client.language == "toml" else jsonc.put("", (*client.table, "forum"), theirs))
    before = path.read_bytes()
    for command in (("install", client.name), ("uninstall", client.name)):
        done = forum(*command)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert "not ours" in done.err
    assert path.read_bytes() == before
    assert forum("install", client.name, "--name", "team").code == 0
    assert set(servers(client, path.read_text())) == {"forum", "team"}


@pytest.mark.parametrize("text", [b"{ broken", b"\xff\xfe", b"[1]", b"x = = 1"])
def test_a_file_nobody_understands_is_left_alone(client: Client, text: bytes) -> None:
    if client.language == "toml" and text == b"[1]":
        text = b"mcp_servers = 3"
    path = client.user()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    for command in ("install", "uninstall"):
        done = forum(command, client.name)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert "nothing was changed" in done.err
    assert path.read_bytes() == text


def test_a_link_to_a_file_elsewhere_stays_a_link(client: Client, tmp_path: Path) -> None:
    path = client.user()
    path.parent.mkdir(parents=True, exist_ok=True)
    real = tmp_path / "dotfiles"
    real.write_text(FIXTURES[client.name])
    path.symlink_to(real)
    assert forum("install", client.name).code == 0
    assert path.is_symlink()
    assert "forum" in servers(client, real.read_text())


def test_the_shipped_snippets_are_what_print_says(client: Client) -> None:
    shipped = SNIPPETS / f"{client.name}.{client.language}"
    assert forum("install", client.name, "--print", *UVX).out == shipped.read_text(encoding="utf-8")
    assert not client.user().exists()


def test_the_readme_shows_the_snippets_and_the_links() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("claude-desktop", "codex"):
        (shipped,) = SNIPPETS.glob(f"{name}.*")
        shown = re.findall(r"```(?:json|toml)\n(.*?)```", readme, re.DOTALL)
        assert any(
            (tomllib.loads(each) if shipped.suffix == ".toml" else json.loads(each))
            == (tomllib.loads(shipped.read_text()) if shipped.suffix == ".toml" else json.loads(shipped.read_text()))
            for each in shown
            if (each.lstrip().startswith("[")) == (shipped.suffix == ".toml")
        ), name
    for name in ("cursor", "vscode"):
        link = web_link(client_named(name), "forum", Launch("uvx", ["forum-mcp", "mcp"]))
        assert link is not None
        assert link in readme


def test_links_say_what_the_files_say() -> None:
    cursor = urlparse(forum("install", "cursor", "--link", *UVX).out.strip())
    asked = parse_qs(cursor.query)
    assert (cursor.scheme, asked["name"]) == ("cursor", ["forum"])
    assert json.loads(b64decode(asked["config"][0])) == {"command": "uvx", "args": ["forum-mcp", "mcp"]}
    code = forum("install", "vscode", "--link", *UVX).out.strip()
    assert code.startswith("vscode:mcp/install?")
    assert json.loads(unquote(code.partition("?")[2])) == {
        "name": "forum",
        "type": "stdio",
        "command": "uvx",
        "args": ["forum-mcp", "mcp"],
    }
    assert forum("install", "zed", "--link").code == 2


def test_without_a_client_they_are_listed_with_what_is_there() -> None:
    forum("install", "cursor")
    listed = {line.split()[0]: line for line in forum("install").out.splitlines()}
    assert list(listed) == NAMES
    assert " ours " in listed["cursor"]
    assert " absent " in listed["zed"]
    assert forum("install", "emacs").code == 2


@pytest.fixture
def in_uvx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment as ``uvx`` makes one, and uvx on PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("uv", "uvx"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("UV", raising=False)  # what ``uv run`` tells of itself
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "cache" / "uv" / "archive-v0" / "abc"))
    return tools


def test_an_environment_that_may_be_swept_is_not_named_but_made_anew(in_uvx: Path) -> None:
    words = own_command()
    assert words[0] == str(in_uvx / "uvx")
    assert words[-1] == "forum-mcp"


def test_the_command_that_is_installed_speaks_mcp_under_the_path_of_a_desktop_program(tmp_path: Path) -> None:
    forum("install", "claude-desktop")
    entry = servers(client_named("claude-desktop"), client_named("claude-desktop").user().read_text())["forum"]
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    done = subprocess.run(
        [entry["command"], *entry["args"]],
        input=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n",
        env={"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"]},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert json.loads(done.stdout)["result"]["serverInfo"]["name"] == "forum-mcp"
